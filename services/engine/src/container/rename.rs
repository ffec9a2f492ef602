//! A new name.

use std::collections::BTreeMap;

use super::Container;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::record::Record;

impl Engine {
    /// Gives a container another name.
    pub async fn rename(&self, container: &str, name: &str) -> Result<()> {
        let container = self.index.find(container)?;
        let _turn = container.operate().await;
        container.refuse_if_removing()?;
        let record = container.record();
        if name.is_empty() {
            return Err(Error::Invalid("Neither old nor new names may be empty".to_owned()));
        }
        let wanted = if name.starts_with('/') { name.to_owned() } else { format!("/{name}") };
        if wanted[1..] == record.name {
            return Err(Error::Invalid(
                "Renaming a container with the same name as its current name".to_owned(),
            ));
        }
        let new = self
            .index
            .reserve(&wanted, container.id())
            .map_err(|error| Error::cannot("Error when allocating new name", error))?;
        let changed = Record { name: new.clone(), ..Record::clone(&record) };
        if let Err(error) = self.write_record(&container, changed).await {
            self.index.release(&new, container.id());
            return Err(error);
        }
        self.index.release(&record.name, container.id());
        self.rename_children(&record.links);
        if container.life().netns().is_some() {
            // Names on networks follow; a network service that is away learns of it at the next start.
            if let Err(error) = self.peers.rename(container.id(), &new).await {
                tracing::warn!(container = %container.id(), error = %gantry_rpc::chain(&error), "name not told to the network");
            }
        }
        let more = BTreeMap::from([("oldName".to_owned(), format!("/{}", record.name))]);
        self.publish_container(&container, "rename", more);
        Ok(())
    }

    /// Writes a changed record and lets everybody see it; the caller has the container's turn.
    pub(crate) async fn write_record(&self, container: &Container, record: Record) -> Result<()> {
        let state = container.life().recorded();
        self.store.put(&record, &state).await?;
        container.set_record(record);
        Ok(())
    }
}
