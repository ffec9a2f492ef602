//! What a container has changed of its image: read from the upper directory of its overlay.

use std::collections::BTreeMap;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use gantry_host::root::Root;
use gantry_proto::containerd::types::Mount;
use gantry_proto::gantry::engine::v1 as pb;
use pb::changes_response::{Change, Kind};

use super::create::blocking;
use crate::engine::Engine;
use crate::error::{Error, Result};

impl Engine {
    /// Lists the changes, sorted by path.
    pub async fn changes(&self, name: &str) -> Result<Vec<Change>> {
        let container = self.index.find(name)?;
        let record = container.record();
        let mounts = self.peers.mounts(&record.snapshotter, container.id()).await?;
        let layers = Layers::of(&mounts)?;
        blocking(move || layers.changes()).await
    }
}

/// What a runtime makes in an empty root so that it can mount something there; no change of the container's own.
const MOUNT_POINTS: [&str; 11] = [
    "/.dockerenv",
    "/dev",
    "/dev/console",
    "/dev/pts",
    "/dev/shm",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/mtab",
    "/etc/resolv.conf",
    "/proc",
    "/sys",
];

struct Layers {
    upper: PathBuf,
    lower: Vec<PathBuf>,
}

impl Layers {
    fn of(mounts: &[Mount]) -> Result<Layers> {
        let option = |name: &str| {
            let all = mounts.iter().flat_map(|mount| &mount.options);
            all.filter_map(|option| option.split_once('='))
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value)
        };
        match (option("upperdir"), option("lowerdir"), mounts) {
            (Some(upper), Some(lower), _) => Ok(Layers {
                upper: PathBuf::from(upper),
                lower: lower.split(':').map(PathBuf::from).collect(),
            }),
            // An image without layers: everything there is was added.
            (_, _, [single]) if single.r#type == "bind" => {
                Ok(Layers { upper: PathBuf::from(&single.source), lower: Vec::new() })
            }
            _ => Err(Error::NotBuilt("changes can only be listed for roots on overlayfs".to_owned())),
        }
    }

    fn changes(&self) -> Result<Vec<Change>> {
        let mut found = BTreeMap::new();
        let lower: Vec<Root> = self.lower.iter().filter_map(|path| Root::open_path(path).ok()).collect();
        self.walk(Path::new("/"), &lower, &mut found)?;
        Ok(found.into_iter().map(|(path, kind)| Change { path, kind: kind.into() }).collect())
    }

    /// Nothing that a container made is followed: only entries of directories are opened.
    fn walk(&self, path: &Path, lower: &[Root], found: &mut BTreeMap<String, Kind>) -> Result<()> {
        let here = self.upper.join(path.strip_prefix("/").unwrap_or(path));
        let entries =
            std::fs::read_dir(&here).map_err(|source| Error::io("read directory", &here, source))?;
        for entry in entries.flatten() {
            let below = path.join(entry.file_name());
            let Ok(metadata) = entry.metadata() else { continue };
            let empty = metadata.is_dir() || metadata.len() == 0;
            if empty && MOUNT_POINTS.iter().any(|point| below == Path::new(point)) {
                continue;
            }
            let existed = lower.iter().any(|layer| layer.stat(&below).is_ok());
            let whiteout = metadata.file_type().is_char_device() && metadata.rdev() == 0;
            let kind = match (whiteout, existed) {
                (true, true) => Kind::Deleted,
                (true, false) => continue,
                (false, true) => Kind::Modified,
                (false, false) => Kind::Added,
            };
            found.insert(below.display().to_string(), kind);
            if metadata.is_dir() {
                self.walk(&below, lower, found)?;
            }
            // What has changed has changed the directories that lead to it.
            let mut parent = below.parent();
            while let Some(directory) = parent.filter(|directory| *directory != Path::new("/")) {
                found.entry(directory.display().to_string()).or_insert(Kind::Modified);
                parent = directory.parent();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn added_and_modified_are_told_apart() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (upper, lower) = (dir.path().join("upper"), dir.path().join("lower"));
        for (base, name) in [(&lower, "etc/old"), (&upper, "etc/old"), (&upper, "etc/new")] {
            let path = base.join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, "x").expect("written");
        }
        let layers = Layers { upper, lower: vec![lower] };
        let changes = layers.changes().expect("listed");
        let seen: Vec<(&str, Kind)> =
            changes.iter().map(|change| (change.path.as_str(), change.kind())).collect();
        assert_eq!(seen, [("/etc", Kind::Modified), ("/etc/new", Kind::Added), ("/etc/old", Kind::Modified)]);
    }
}
