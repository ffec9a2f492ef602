//! The durable records: networks, network namespaces, which of the host's forwarding was switched on, and what
//! plugins still have to be told ([`crate::owed`]).

use std::path::PathBuf;

use gantry_disk::{Batch, Database, Schema, Table};

use crate::error::{Error, Result};
use crate::record;

/// The durable records.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) database: Database,
    pub(crate) networks: Table<String, record::Network>,
    pub(crate) netns: Table<String, record::Netns>,
    pub(crate) forwarding: Table<String, record::Forwarding>,
    /// By the id of the network or endpoint.
    pub(crate) owed: Table<String, record::Owed>,
}

const NETWORKS: &str = "networks";
/// The table's name in existing databases.
const NETNS: &str = "sandboxes";
const FORWARDING: &str = "forwarding";
const OWED: &str = "owed";

impl Store {
    pub(crate) fn open(dir: PathBuf, pins: PathBuf) -> Result<Self> {
        let schema = Schema { tables: &[NETWORKS, NETNS, FORWARDING, OWED], migrations: &[] };
        let database =
            Database::open_beside(dir, schema, &[pins]).map_err(Error::disk("the network service"))?;
        let (networks, netns) = (database.table(NETWORKS), database.table(NETNS));
        let (forwarding, owed) = (database.table(FORWARDING), database.table(OWED));
        Ok(Store { database, networks, netns, forwarding, owed })
    }

    pub(crate) async fn put_network(&self, network: &record::Network) -> Result<()> {
        let mut batch = self.database.batch();
        batch.put(&self.networks, &network.id, network);
        batch.commit().await.map_err(Error::disk(format!("network {}", network.name)))
    }

    /// Deletes a network's record, and records what plugins have to be told.
    pub(crate) async fn delete_network(
        &self,
        network: &record::Network,
        owed: &[record::Owed],
    ) -> Result<()> {
        let mut batch = self.database.batch();
        batch.delete(&self.networks, &network.id);
        self.owe_with(&mut batch, owed);
        batch.commit().await.map_err(Error::disk(format!("network {}", network.name)))
    }

    /// Writes a network namespace's record, and records what plugins have to be told of endpoints that it no longer
    /// has.
    pub(crate) async fn put_netns(&self, netns: &record::Netns, owed: &[record::Owed]) -> Result<()> {
        let mut batch = self.database.batch();
        batch.put(&self.netns, &netns.id, netns);
        self.owe_with(&mut batch, owed);
        batch.commit().await.map_err(Error::disk(format!("network namespace {}", netns.id)))
    }

    /// Deletes a network namespace's record, and records what plugins have to be told.
    pub(crate) async fn delete_netns(&self, id: &str, owed: &[record::Owed]) -> Result<()> {
        let mut batch = self.database.batch();
        batch.delete(&self.netns, &id.to_owned());
        self.owe_with(&mut batch, owed);
        batch.commit().await.map_err(Error::disk(format!("network namespace {id}")))
    }

    /// Records ends that plugins have to be told unless the objects come to exist.
    pub(crate) async fn owe(&self, owed: &[record::Owed]) -> Result<()> {
        if owed.is_empty() {
            return Ok(());
        }
        let mut batch = self.database.batch();
        self.owe_with(&mut batch, owed);
        batch.commit().await.map_err(Error::disk("what plugins are to hear"))
    }

    /// Deletes such notes: plugins were told, or the objects exist.
    pub(crate) async fn settle(&self, ids: &[String]) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut batch = self.database.batch();
        for id in ids {
            batch.delete(&self.owed, id);
        }
        batch.commit().await.map_err(Error::disk("what plugins are to hear"))
    }

    pub(crate) fn owe_with(&self, batch: &mut Batch, owed: &[record::Owed]) {
        for one in owed {
            batch.put(&self.owed, &one.id().to_owned(), one);
        }
    }
}
