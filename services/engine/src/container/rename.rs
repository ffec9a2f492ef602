//! Renames a container.

use std::collections::BTreeMap;

use crate::containers::Containers;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::peers::Networks;
use crate::record::Record;

/// Gives a container another name.
pub async fn rename(
    containers: &Containers,
    networks: &Networks,
    events: &Events,
    container: &str,
    name: &str,
) -> Result<()> {
    let container = containers.find(container)?;
    let _turn = container.operate().await;
    container.refuse_if_removing()?;
    let record = container.record();
    if name.is_empty() {
        return Err(Error::Invalid("Neither old nor new names may be empty".to_owned()));
    }
    let wanted = if name.starts_with('/') { name.to_owned() } else { format!("/{name}") };
    if wanted[1..] == record.name {
        return Err(Error::Invalid("Renaming a container with the same name as its current name".to_owned()));
    }
    let new = containers
        .index
        .reserve(&wanted, container.id())
        .map_err(|error| Error::cannot("Error when allocating new name", error))?;
    let changed = Record { name: new.clone(), ..Record::clone(&record) };
    if let Err(error) = containers.write(&container, changed).await {
        containers.index.release(&new, container.id());
        return Err(error);
    }
    containers.index.release(&record.name, container.id());
    containers.rename_children(&record.links);
    if container.life().netns().is_some() {
        // The network service gets the new name; if it cannot be reached now, the next start sends it.
        if let Err(error) = networks.rename(container.id(), &new).await {
            tracing::warn!(container = %container.id(), error = %gantry_rpc::chain(&error), "name not told to the network");
        }
    }
    let more = BTreeMap::from([("oldName".to_owned(), format!("/{}", record.name))]);
    events.publish_container(&container, "rename", more);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::Stage;

    #[tokio::test]
    async fn a_new_name_is_taken_and_the_old_one_given_back() {
        let stage = Stage::new();
        let container = stage.made("web").await;
        stage.made("db").await;
        let networks = &stage.peers.networks;
        let to = async |name| rename(&stage.containers, networks, &stage.events, "web", name).await;
        let taken = to("db").await.expect_err("somebody has it").to_string();
        assert!(taken.starts_with("Error when allocating new name: Conflict."), "{taken}");
        to("web").await.expect_err("it has it");
        to("front").await.expect("renamed");
        assert_eq!(stage.written(&container).await.0.name, "front");
        assert_eq!(stage.containers.find("front").expect("found").id(), container.id());
        stage.made("web").await;
        assert_eq!(stage.told(), ["rename"]);
    }
}
