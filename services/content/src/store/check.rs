//! The consistency check while the service runs: what is in the making is no stray.

use gantry_types::Digest;

use super::{Store, blocking};
use crate::Result;
use crate::recover::{self, Stray};

/// Whether strays are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repair {
    Yes,
    No,
}

impl Store {
    /// Compares records and files; each stray, and whether it was repaired.
    ///
    /// Records without bytes are only reported: they are dropped at start, when nobody can be at them.
    pub(crate) async fn check(&self, repair: Repair) -> Result<Vec<(Stray, bool)>> {
        let (layout, records) = (self.0.layout.clone(), self.0.records.clone());
        let suspects = blocking(move || recover::strays(&layout, &records)).await?;
        let mut found = Vec::new();
        for stray in suspects {
            let repaired = match &stray {
                Stray::BlobFile(digest) => match self.check_file(digest, repair).await? {
                    Some(repaired) => repaired,
                    None => continue,
                },
                Stray::BlobBytes(_) => continue,
                Stray::BlobRecord(namespace, digest) => {
                    let _lock = self.0.digests.lock(digest.clone()).await;
                    if self.info(namespace, digest).is_err() {
                        continue;
                    }
                    false
                }
                Stray::IngestRecord(key) => {
                    if self.0.ingests.lock().contains_key(key) {
                        continue;
                    }
                    false
                }
                Stray::IngestDirectory(id) => {
                    if self.0.ingests.lock().values().any(|ingest| ingest.id == *id) {
                        continue;
                    }
                    if repair == Repair::Yes {
                        self.0.layout.remove_ingest(id)?;
                    }
                    repair == Repair::Yes
                }
            };
            found.push((stray, repaired));
        }
        Ok(found)
    }

    /// `None` if the file is none of a stray after all.
    async fn check_file(&self, digest: &Digest, repair: Repair) -> Result<Option<bool>> {
        let _lock = self.0.digests.lock(digest.clone()).await;
        let path = self.0.layout.blob(digest);
        if self.0.records.is_held(digest)? || !path.is_file() {
            return Ok(None);
        }
        // Where records were lost it may be all that is left of an image: it is there again when that is pulled.
        let removed = repair == Repair::Yes && self.database().lost_at().is_none();
        if removed {
            std::fs::remove_file(&path).map_err(crate::Error::io("remove", path))?;
        }
        Ok(Some(removed))
    }
}
