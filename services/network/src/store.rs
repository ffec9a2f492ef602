//! The durable records: networks, network namespaces, and what was switched on of the host's forwarding.

use std::path::PathBuf;

use gantry_disk::{Database, Schema, Table};

use crate::error::{Error, Result};
use crate::record;

/// The durable records.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) database: Database,
    pub(crate) networks: Table<String, record::Network>,
    pub(crate) netns: Table<String, record::Netns>,
    pub(crate) forwarding: Table<String, record::Forwarding>,
}

const NETWORKS: &str = "networks";
/// As databases that are there call it.
const NETNS: &str = "sandboxes";
const FORWARDING: &str = "forwarding";

impl Store {
    pub(crate) fn open(dir: PathBuf, pins: PathBuf) -> Result<Self> {
        let schema = Schema { tables: &[NETWORKS, NETNS, FORWARDING], migrations: &[] };
        let database =
            Database::open_beside(dir, schema, &[pins]).map_err(Error::disk("the network service"))?;
        let (networks, netns) = (database.table(NETWORKS), database.table(NETNS));
        let forwarding = database.table(FORWARDING);
        Ok(Store { database, networks, netns, forwarding })
    }

    pub(crate) async fn put_network(&self, network: &record::Network) -> Result<()> {
        let mut batch = self.database.batch();
        batch.put(&self.networks, &network.id, network);
        batch.commit().await.map_err(Error::disk(format!("network {}", network.name)))
    }

    pub(crate) async fn delete_network(&self, network: &record::Network) -> Result<()> {
        let mut batch = self.database.batch();
        batch.delete(&self.networks, &network.id);
        batch.commit().await.map_err(Error::disk(format!("network {}", network.name)))
    }

    pub(crate) async fn put_netns(&self, netns: &record::Netns) -> Result<()> {
        let mut batch = self.database.batch();
        batch.put(&self.netns, &netns.id, netns);
        batch.commit().await.map_err(Error::disk(format!("network namespace {}", netns.id)))
    }

    pub(crate) async fn delete_netns(&self, id: &str) -> Result<()> {
        let mut batch = self.database.batch();
        batch.delete(&self.netns, &id.to_owned());
        batch.commit().await.map_err(Error::disk(format!("network namespace {id}")))
    }
}
