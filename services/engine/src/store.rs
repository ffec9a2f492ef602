//! The engine's records.
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | `containers` | id | what was asked for and what was decided at creation ([`Record`]) |
//! | `states` | id | what has become of it ([`StateRecord`]), written at each transition |
//! | `volumes` | name | a volume ([`VolumeRecord`]) |
//! | `held` | user and volume | a user of a volume that its driver counts ([`HeldRecord`]), from before it is told until after |
//! | `execs` | id | an exec ([`ExecRecord`]), until its container ends |
//! | `engine` | `id` | the engine's own identity |
//!
//! They are written as [`stored`](crate::record::stored) says, since schema 2; what an earlier engine has written is
//! brought to that when the database is opened, in one step that is durable before anything else happens.
//!
//! A container's name is durable with its record; that names are unique is the business of [`crate::index`], which is filled
//! from here at start.

use std::path::{Path, PathBuf};

use gantry_disk::{Database, Schema, Table};

use crate::container::life::Life;
use crate::error::{Error, Result};
use crate::record::stored::{self, EngineRecord, StateRecord};
use crate::record::{ExecRecord, HeldRecord, Record, VolumeRecord, released};

/// The tables.
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
/// The table of what has become of containers.
pub(crate) const STATES: &str = "states";

impl Store {
    /// Opens the database in a directory, making it where there is none.
    /// While anything is in one of the directories that it speaks of, one that is not there is lost, not new.
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

    /// The records as a whole.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Every container with its life, as far as that was written down.
    pub fn containers(&self) -> Result<Vec<(Record, Life)>> {
        let records = self.containers.scan_all().map_err(reading)?;
        let with_life = |(id, record): (String, stored::Container)| {
            let state = self.states.get(&id).map_err(reading)?;
            let unreadable = |source| Error::Record { id: id.clone(), source };
            let life = state.map(Life::restore).transpose().map_err(unreadable)?.unwrap_or_default();
            Ok((Record::try_from(record).map_err(unreadable)?, life))
        };
        records.into_iter().map(with_life).collect()
    }

    /// Writes a container's record and state together.
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

    /// Deletes what is recorded of a container and of the given execs, all or none, before whatever is written next. It is
    /// not waited for: after a power cut recovery removes again what was being removed.
    pub async fn delete(&self, id: &str, execs: &[String]) -> Result<()> {
        let mut batch = self.database.batch();
        batch.delete(&self.containers, &id.to_owned());
        batch.delete(&self.states, &id.to_owned());
        for exec in execs {
            batch.delete(&self.execs, exec);
        }
        batch.commit_soon().await.map_err(writing)
    }

    /// Every volume.
    pub fn volumes(&self) -> Result<Vec<VolumeRecord>> {
        let all = self.volumes.scan_all().map_err(reading)?;
        Ok(all.into_iter().map(|(_, volume)| volume).collect())
    }

    /// Writes volumes, all or none.
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

    /// Every user of a volume whose driver counts them.
    pub fn all_held(&self) -> Result<Vec<HeldRecord>> {
        let all = self.held.scan_all().map_err(reading)?;
        Ok(all.into_iter().map(|(_, held)| held).collect())
    }

    /// One of them.
    pub fn held(&self, user: &str, volume: &str) -> Result<Option<HeldRecord>> {
        self.held.get(&held_key(user, volume)).map_err(reading)
    }

    /// Writes one.
    pub async fn put_held(&self, held: &HeldRecord) -> Result<()> {
        let mut batch = self.database.batch();
        batch.put(&self.held, &held_key(&held.user, &held.volume), held);
        batch.commit().await.map_err(writing)
    }

    /// Deletes one. It is not waited for: after a power cut the driver is told once more.
    pub async fn delete_held(&self, held: &HeldRecord) -> Result<()> {
        let mut batch = self.database.batch();
        batch.delete(&self.held, &held_key(&held.user, &held.volume));
        batch.commit_soon().await.map_err(writing)
    }

    /// Every exec.
    pub fn execs(&self) -> Result<Vec<ExecRecord>> {
        let all = self.execs.scan_all().map_err(reading)?;
        Ok(all.into_iter().map(|(_, exec)| exec.into()).collect())
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

    /// The engine's own id: made once, the same ever after.
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

/// A user's name has no space in it.
fn held_key(user: &str, volume: &str) -> String {
    format!("{user} {volume}")
}

fn reading(source: gantry_disk::Error) -> Error {
    Error::Database { doing: "read", source }
}

fn writing(source: gantry_disk::Error) -> Error {
    Error::Database { doing: "write", source }
}
