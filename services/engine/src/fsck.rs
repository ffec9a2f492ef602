//! The engine's part of `gantry fsck`: files without records, and records whose parts are missing.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use gantry_proto::gantry::gc::v1::Stray;

use crate::container::create::blocking;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::record::Phase;
use crate::root::kernel;

/// Files that are just being removed in the background are given this long to go.
const PATIENCE: Duration = Duration::from_secs(2);

impl Engine {
    /// Finds what belongs to nobody; removes what is safe to remove if that is wanted.
    pub(crate) async fn check(&self, repair: bool) -> Result<Vec<Stray>> {
        let mut found = self.stray_directories().await?;
        if !found.is_empty() {
            tokio::time::sleep(PATIENCE).await;
            let still = self.stray_directories().await?;
            found.retain(|path| still.contains(path));
        }
        let mut strays = Vec::new();
        for path in found {
            let name = path.display().to_string();
            let repaired = if repair {
                blocking(move || gantry_host::fs::remove_tree(&path).map_err(kernel)).await?;
                true
            } else {
                false
            };
            strays.push(stray("directory", name, "no record names it", repaired));
        }
        let records: BTreeSet<String> = self.peers.record_ids().await?.into_iter().collect();
        for container in self.index.all() {
            let live = container.live().clone();
            if container.record().phase() != Phase::Ready || live.removing {
                continue;
            }
            if !records.contains(container.id()) {
                strays.push(stray(
                    "record",
                    container.id().to_owned(),
                    "tasks has no record of this container",
                    false,
                ));
            }
        }
        Ok(strays)
    }

    async fn stray_directories(&self) -> Result<Vec<PathBuf>> {
        let (containers, volumes) = (self.paths.containers(), self.paths.volumes());
        let (in_containers, in_volumes) = blocking(move || {
            let list = |directory: &PathBuf| -> Result<Vec<PathBuf>> {
                let entries = std::fs::read_dir(directory)
                    .map_err(|source| Error::io("read directory", directory, source))?;
                Ok(entries.flatten().map(|entry| entry.path()).collect())
            };
            Ok((list(&containers)?, list(&volumes)?))
        })
        .await?;
        // Asked after the directories were listed: what is just being made has its record, or its turn, by then.
        let name =
            |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let strays = in_containers.into_iter().filter(|path| self.index.find(&name(path)).is_err());
        let volumes = in_volumes.into_iter().filter(|path| self.volumes.get(&name(path)).is_err());
        Ok(strays.chain(volumes).collect())
    }
}

fn stray(kind: &str, name: String, detail: &str, repaired: bool) -> Stray {
    Stray { kind: kind.to_owned(), name, detail: detail.to_owned(), repaired }
}
