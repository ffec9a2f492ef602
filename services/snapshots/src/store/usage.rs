//! What snapshots take on disk. A committed one is counted once, when somebody first asks.

use super::{Store, blocking, is};
use crate::Result;
use crate::record::{Kind, Scope, StoredUsage};

impl Store {
    /// Bytes and inodes of a snapshot alone, without those below it.
    ///
    /// # Errors
    ///
    /// `NotFound`.
    pub async fn usage(&self, scope: &Scope, key: &str) -> Result<StoredUsage> {
        let record = self.stat(scope, key)?;
        if let Some(usage) = record.usage {
            return Ok(usage);
        }
        let driver = self.driver(&scope.snapshotter)?.clone();
        let (id, kind, layers) = (record.id, record.kind(), record.layers.clone());
        let counted = blocking(move || driver.usage(id, kind, &layers)).await?;
        let usage = StoredUsage { size: counted.size, inodes: counted.inodes };
        if is(&record, Kind::Committed) {
            let _serial = self.lock(scope, key).await;
            // It may have been removed, or its labels changed, while it was counted.
            if let Some(mut current) = self.get(scope, key)?
                && current.id == id
            {
                current.usage = Some(usage);
                let mut batch = self.inner.database.batch();
                self.put(&mut batch, scope, key, &current);
                batch.commit().await?;
            }
        }
        Ok(usage)
    }
}
