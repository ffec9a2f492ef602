//! The engine's records.
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | `containers` | id | the configuration, and what was decided at creation ([`Record`]) |
//! | `states` | id | the container's state ([`StateRecord`]), written at each transition |
//! | `volumes` | name | a volume ([`VolumeRecord`]) |
//! | `held` | user and volume | a user of a volume whose driver counts users ([`HeldRecord`]), from before the driver is told until after it is told of the end |
//! | `execs` | id | an exec ([`ExecRecord`]), until its container ends |
//! | `engine` | `id` | the engine's own identity |
//!
//! [`stored`](crate::record::stored) defines their form since schema 2. Records of an earlier engine are migrated
//! when the database is opened, in one transaction that is durable before anything else happens.
//!
//! A container's name is durable with its record. [`crate::index`], which is filled from here at the start, keeps
//! names unique.

use std::path::{Path, PathBuf};

use gantry_disk::{Database, Schema, Table};

use crate::blocking::blocking;
use crate::container::life::Life;
use crate::error::{Error, Result};
use crate::record::stored::{self, EngineRecord, StateRecord};
use crate::record::{ExecRecord, HeldRecord, Record, VolumeRecord, released};

/// The tables of the database.
#[derive(Clone)]
pub struct Store {
    database: Database,
    containers: Table<String, stored::Container>,
    states: Table<String, StateRecord>,
    volumes: Table<String, VolumeRecord>,
    held: Table<String, HeldRecord>,
    execs: Table<String, stored::Exec>,
    engine: Table<String, EngineRecord>,
}

const IDENTITY: &str = "id";
/// The table of containers' states.
pub(crate) const STATES: &str = "states";

impl Store {
    /// Opens the database in a directory, and creates it if there is none. If there is none while anything is in one
    /// of the directories `spoken_of`, the database is lost, and opening fails.
    pub fn open(directory: &Path, spoken_of: &[PathBuf]) -> Result<Store> {
        let tables = &["containers", STATES, "volumes", "held", "execs", "engine"];
        let database =
            Database::open_beside(directory, Schema { tables, migrations: released::MIGRATIONS }, spoken_of)
                .map_err(|source| Error::Database { doing: "open", source })?;
        Ok(Store {
            containers: database.table("containers"),
            states: database.table(STATES),
            volumes: database.table("volumes"),
            held: database.table("held"),
            execs: database.table("execs"),
            engine: database.table("engine"),
            database,
        })
    }

    /// The database.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// All containers with their recorded lives.
    pub async fn containers(&self) -> Result<Vec<(Record, Life)>> {
        let (containers, states) = (self.containers.clone(), self.states.clone());
        let with_life = move |(id, record): (String, stored::Container)| {
            let state = states.get(&id).map_err(reading)?;
            let unreadable = |source| Error::Record { id: id.clone(), source };
            let life = state.map(Life::restore).transpose().map_err(unreadable)?.unwrap_or_default();
            Ok((Record::try_from(record).map_err(unreadable)?, life))
        };
        blocking(move || containers.scan_all().map_err(reading)?.into_iter().map(with_life).collect()).await
    }

    /// Writes a container's record and state in one transaction.
    pub async fn put(&self, record: &Record, state: &StateRecord) -> Result<()> {
        let mut batch = self.database.batch();
        batch.put(&self.containers, &record.id, &record.clone().into());
        batch.put(&self.states, &record.id, state);
        batch.commit().await.map_err(writing)
    }

    /// Writes a container's state.
    pub async fn put_state(&self, id: &str, state: &StateRecord) -> Result<()> {
        let mut batch = self.database.batch();
        batch.put(&self.states, &id.to_owned(), state);
        batch.commit().await.map_err(writing)
    }

    /// Deletes the records of a container and of the given execs in one transaction, before any later write. The
    /// deletion is not synced: after a power failure recovery repeats the removal.
    pub async fn delete(&self, id: &str, execs: &[String]) -> Result<()> {
        let mut batch = self.database.batch();
        batch.delete(&self.containers, &id.to_owned());
        batch.delete(&self.states, &id.to_owned());
        for exec in execs {
            batch.delete(&self.execs, exec);
        }
        batch.commit_soon().await.map_err(writing)
    }

    /// All volumes.
    pub async fn volumes(&self) -> Result<Vec<VolumeRecord>> {
        all_of(&self.volumes).await
    }

    /// Writes volumes in one transaction.
    pub async fn put_volumes(&self, volumes: &[VolumeRecord]) -> Result<()> {
        let mut batch = self.database.batch();
        for volume in volumes {
            batch.put(&self.volumes, &volume.name, volume);
        }
        batch.commit().await.map_err(writing)
    }

    /// Deletes a volume's record.
    pub async fn delete_volume(&self, name: &str) -> Result<()> {
        let mut batch = self.database.batch();
        batch.delete(&self.volumes, &name.to_owned());
        batch.commit().await.map_err(writing)
    }

    /// All users of volumes whose drivers count users.
    pub async fn all_held(&self) -> Result<Vec<HeldRecord>> {
        all_of(&self.held).await
    }

    /// Reads the record of a user of a volume.
    pub fn held(&self, user: &str, volume: &str) -> Result<Option<HeldRecord>> {
        self.held.get(&held_key(user, volume)).map_err(reading)
    }

    /// Writes the record of a user of a volume.
    pub async fn put_held(&self, held: &HeldRecord) -> Result<()> {
        let mut batch = self.database.batch();
        batch.put(&self.held, &held_key(&held.user, &held.volume), held);
        batch.commit().await.map_err(writing)
    }

    /// Deletes the record of a user of a volume. The deletion is not synced: after a power failure the driver is told
    /// once more.
    pub async fn delete_held(&self, held: &HeldRecord) -> Result<()> {
        let mut batch = self.database.batch();
        batch.delete(&self.held, &held_key(&held.user, &held.volume));
        batch.commit_soon().await.map_err(writing)
    }

    /// All execs.
    pub async fn execs(&self) -> Result<Vec<ExecRecord>> {
        Ok(all_of(&self.execs).await?.into_iter().map(ExecRecord::from).collect())
    }

    /// Writes an exec.
    pub async fn put_exec(&self, exec: &ExecRecord) -> Result<()> {
        let mut batch = self.database.batch();
        batch.put(&self.execs, &exec.id, &exec.clone().into());
        batch.commit().await.map_err(writing)
    }

    /// Deletes execs.
    pub async fn delete_execs(&self, ids: &[String]) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut batch = self.database.batch();
        for id in ids {
            batch.delete(&self.execs, id);
        }
        batch.commit().await.map_err(writing)
    }

    /// The engine's id, which is created once and never changes.
    pub async fn identity(&self) -> Result<String> {
        let key = IDENTITY.to_owned();
        if let Some(known) = self.engine.get(&key).map_err(reading)? {
            return Ok(known.id);
        }
        let made = EngineRecord { id: crate::names::new_uuid() };
        let mut batch = self.database.batch();
        batch.put(&self.engine, &key, &made);
        batch.commit().await.map_err(writing)?;
        Ok(made.id)
    }
}

/// All entries of a table. Runs on a blocking thread, because a table may be long.
async fn all_of<V: prost::Message + Default + 'static>(table: &Table<String, V>) -> Result<Vec<V>> {
    let table = table.clone();
    blocking(move || Ok(table.scan_all().map_err(reading)?.into_iter().map(|(_, value)| value).collect()))
        .await
}

/// The space separates the parts: a user's name has none.
fn held_key(user: &str, volume: &str) -> String {
    format!("{user} {volume}")
}

fn reading(source: gantry_disk::Error) -> Error {
    Error::Database { doing: "read", source }
}

fn writing(source: gantry_disk::Error) -> Error {
    Error::Database { doing: "write", source }
}
