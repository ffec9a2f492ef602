//! Changes that are made together or not at all.

use prost::Message;

use crate::writer::{Change, Writer};
use crate::{Key, Result, Table};

/// Changes to the tables of one database. [`Batch::commit`] makes them; a dropped batch changes nothing.
#[must_use = "a batch changes nothing until it is committed"]
pub struct Batch {
    writer: Writer,
    changes: Vec<Change>,
}

impl Batch {
    pub(crate) fn new(writer: Writer) -> Self {
        Batch { writer, changes: Vec::new() }
    }

    /// Stores a record, in place of the key's earlier one.
    pub fn put<K: Key, V: Message + Default>(
        &mut self,
        table: &Table<K, V>,
        key: &K,
        value: &V,
    ) -> &mut Self {
        self.push(Change { table: table.name(), key: key.to_bytes(), value: Some(value.encode_to_vec()) })
    }

    /// Removes a record; a missing one is no error.
    pub fn delete<K: Key, V: Message + Default>(&mut self, table: &Table<K, V>, key: &K) -> &mut Self {
        self.push(Change { table: table.name(), key: key.to_bytes(), value: None })
    }

    pub(crate) fn push(&mut self, change: Change) -> &mut Self {
        self.changes.push(change);
        self
    }

    /// Whether the batch has no change.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Makes the changes, durably: they survive a power cut when this returns `Ok`. Concurrent commits share a sync.
    ///
    /// If the future is dropped before it ends, the changes are made all together or not at all.
    pub async fn commit(self) -> Result<()> {
        if self.changes.is_empty() {
            return Ok(());
        }
        self.writer.write(self.changes).await
    }

    /// Makes the changes soon, without waiting: after every earlier commit, and before any later one returns. A power
    /// cut may undo them before that, so this is for changes that recovery would make again.
    ///
    /// Fails only if the database is closing.
    pub async fn commit_soon(self) -> Result<()> {
        if self.changes.is_empty() {
            return Ok(());
        }
        self.writer.write_soon(self.changes).await
    }

    /// [`Batch::commit`] for threads that may block. Panics on a thread of the async runtime.
    pub fn commit_blocking(self) -> Result<()> {
        if self.changes.is_empty() {
            return Ok(());
        }
        self.writer.write_blocking(self.changes)
    }
}
