//! Lists what a container has changed relative to its image, from the upper directory of its overlay.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use gantry_api::engine::{Change, ChangeKind as Kind};
use gantry_mount::{Mount, Overlay};
use gantry_rooted::{EntryKind, FileStat, Root};

use crate::blocking::blocking;
use crate::containers::Containers;
use crate::error::{Error, Result};
use crate::peers::Snapshots;
use crate::root::kernel;

/// Lists the changes, sorted by path.
pub async fn changes(containers: &Containers, snapshots: &Snapshots, name: &str) -> Result<Vec<Change>> {
    let container = containers.find(name)?;
    let record = container.record();
    let mounts = snapshots.mounts(&record.snapshotter, container.id()).await?;
    let layers = Layers::of(&mounts)?;
    blocking(move || layers.changes()).await
}

/// Files and directories that a runtime makes in an empty root in order to mount over them. They are not the
/// container's changes, so they count as part of the image.
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
    /// Topmost first.
    lower: Vec<PathBuf>,
}

struct Found {
    kind: Kind,
    /// A directory with the same owner and mode as before, or as a runtime makes it.
    as_made: bool,
    /// Reported only if something below it is reported.
    only_with_others: bool,
}

impl Layers {
    fn of(mounts: &[Mount]) -> Result<Layers> {
        let overlay = mounts.iter().find_map(Overlay::of);
        match (overlay.map(|overlay| (overlay.upper, overlay.lower)), mounts) {
            (Some((Some(upper), lower)), _) => Ok(Layers { upper: upper.files, lower }),
            // An image without layers: everything in the root is an addition.
            (None, [single]) if single.fs_type == "bind" => {
                Ok(Layers { upper: PathBuf::from(&single.source), lower: Vec::new() })
            }
            _ => Err(Error::NotBuilt("changes can only be listed for roots on overlayfs".to_owned())),
        }
    }

    fn changes(&self) -> Result<Vec<Change>> {
        let open = |path: &PathBuf| Root::open_path(path).map_err(kernel);
        let upper = open(&self.upper)?;
        let lower = self.lower.iter().map(open).collect::<Result<Vec<Root>>>()?;
        let mut found = BTreeMap::new();
        let mut ahead = vec![PathBuf::from("/")];
        // Not recursive, because the container decides how deep its directories are.
        while let Some(directory) = ahead.pop() {
            let entries = match upper.read_dir(&directory) {
                Ok(entries) => entries,
                // The container may have removed the directory meanwhile.
                Err(error) if is_gone(&error) && directory != Path::new("/") => continue,
                Err(error) => return Err(kernel(error)),
            };
            let mut holds_mount_points = false;
            for entry in entries {
                let path = directory.join(&entry.name);
                let Ok(stat) = upper.stat(&path) else { continue };
                let stat = FileStat::from_raw(&stat);
                let before = before(&lower, &path);
                if stat.is_whiteout() {
                    if before.is_some() {
                        found.insert(path, Found::told(Kind::Deleted));
                    }
                    continue;
                }
                let is_directory = stat.kind == EntryKind::Directory;
                let is_made = is_directory || stat.size == 0 || stat.kind == EntryKind::Symlink;
                let is_mount_point = is_made && MOUNT_POINTS.iter().any(|point| path == Path::new(point));
                holds_mount_points |= is_mount_point;
                if is_directory {
                    ahead.push(path.clone());
                } else if is_mount_point {
                    continue;
                }
                let kind = if before.is_some() || is_mount_point { Kind::Modified } else { Kind::Added };
                let as_made = is_directory && is_as_made(&stat, before.as_ref());
                found.insert(path, Found { kind, as_made, only_with_others: is_mount_point });
            }
            if holds_mount_points
                && let Some(own) = found.get_mut(&directory)
                && own.as_made
            {
                *own = Found { kind: Kind::Modified, as_made: true, only_with_others: true };
            }
        }
        Ok(told(found))
    }
}

impl Found {
    fn told(kind: Kind) -> Found {
        Found { kind, as_made: false, only_with_others: false }
    }
}

/// The changes to report, sorted by path.
fn told(found: BTreeMap<PathBuf, Found>) -> Vec<Change> {
    let mut with_others = BTreeSet::new();
    let mut changes = Vec::with_capacity(found.len());
    // In reverse order, so that a directory's content comes before the directory.
    for (path, found) in found.into_iter().rev() {
        if found.only_with_others && !with_others.contains(&path) {
            continue;
        }
        if let Some(parent) = path.parent() {
            with_others.insert(parent.to_owned());
        }
        changes.push(Change { path: path.display().to_string(), kind: found.kind });
    }
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    changes
}

/// The file that the image has at a path, if any.
fn before(lower: &[Root], path: &Path) -> Option<FileStat> {
    for layer in lower {
        match layer.stat(path) {
            Ok(stat) => {
                let stat = FileStat::from_raw(&stat);
                return (!stat.is_whiteout()).then_some(stat);
            }
            // A file or a whiteout on the way hides the path in the layers below.
            Err(error) if is_kind(&error, std::io::ErrorKind::NotADirectory) => return None,
            Err(_) => {}
        }
    }
    None
}

fn is_as_made(own: &FileStat, before: Option<&FileStat>) -> bool {
    let attributes = |stat: &FileStat| (stat.kind, stat.mode, stat.uid, stat.gid);
    attributes(own) == before.map_or((EntryKind::Directory, 0o755, 0, 0), attributes)
}

fn is_gone(error: &gantry_host::Error) -> bool {
    error.is_not_found() || is_kind(error, std::io::ErrorKind::NotADirectory)
}

fn is_kind(error: &gantry_host::Error, kind: std::io::ErrorKind) -> bool {
    error.io().is_some_and(|error| error.kind() == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A container over an image with one layer. Files have content; names that end in `/` are directories.
    struct Stage {
        _directory: tempfile::TempDir,
        layers: Layers,
    }

    impl Stage {
        fn new(lower: &[&str], upper: &[&str]) -> Stage {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let layers = Layers {
                upper: directory.path().join("upper"),
                lower: vec![directory.path().join("middle"), directory.path().join("lower")],
            };
            let stage = Stage { _directory: directory, layers };
            for (base, names) in
                [(&stage.layers.upper, upper), (&stage.layers.lower[0], &[]), (&stage.layers.lower[1], lower)]
            {
                std::fs::create_dir_all(base).expect("made");
                for name in names {
                    let path = base.join(name);
                    if name.ends_with('/') {
                        std::fs::create_dir_all(path).expect("made");
                        continue;
                    }
                    std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
                    std::fs::write(path, "x").expect("written");
                }
            }
            stage
        }

        /// Adds the empty files that a runtime makes in order to mount over them.
        fn started(self) -> Stage {
            for name in ["etc/hosts", "etc/hostname", "etc/resolv.conf", "dev/", "proc/", "sys/"] {
                let path = self.layers.upper.join(name);
                std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
                match name.strip_suffix('/') {
                    Some(_) => std::fs::create_dir_all(path).expect("made"),
                    None => std::fs::write(path, "").expect("written"),
                }
            }
            self
        }

        fn without(self, layer: &Path, name: &str) -> Stage {
            let root = Root::open_path(layer).expect("opened");
            root.mknod(Path::new(name), EntryKind::CharDevice, 0o600, 0).expect("marked as removed");
            self
        }

        fn removing(self, name: &str) -> Stage {
            let upper = self.layers.upper.clone();
            self.without(&upper, name)
        }

        fn told(&self) -> Vec<String> {
            let changes = self.layers.changes().expect("listed");
            let letter = |kind| match kind {
                Kind::Modified => 'C',
                Kind::Added => 'A',
                Kind::Deleted => 'D',
            };
            changes.iter().map(|change| format!("{} {}", letter(change.kind), change.path)).collect()
        }
    }

    #[test]
    fn added_and_modified_are_told_apart() {
        let stage = Stage::new(&["etc/old"], &["etc/old", "etc/new"]);
        assert_eq!(stage.told(), ["C /etc", "A /etc/new", "C /etc/old"]);
    }

    #[test]
    fn root_starting_a_container_changes_nothing() {
        assert_eq!(Stage::new(&["etc/passwd"], &["etc/"]).started().told(), [""; 0]);
        // An image that has none of the directories.
        assert_eq!(Stage::new(&["program"], &[]).started().told(), [""; 0]);
    }

    #[test]
    fn a_change_beside_mount_points_changes_their_directory() {
        let image = ["etc/passwd", "etc/group", "usr/lib"];
        let added = Stage::new(&image, &["etc/new"]).started();
        assert_eq!(added.told(), ["C /etc", "A /etc/new"]);
        let deeper = Stage::new(&image, &["etc/a/b"]).started();
        assert_eq!(deeper.told(), ["C /etc", "A /etc/a", "A /etc/a/b"]);
        let removed = Stage::new(&image, &["etc/"]).started().removing("etc/group");
        assert_eq!(removed.told(), ["C /etc", "D /etc/group"]);
        let copied_in = Stage::new(&image, &["dev/node"]).started();
        assert_eq!(copied_in.told(), ["C /dev", "A /dev/node"]);
        let elsewhere = Stage::new(&image, &["usr/"]).started();
        assert_eq!(elsewhere.told(), ["C /usr"]);
    }

    #[test]
    fn an_own_mode_of_a_directory_is_a_change() {
        use std::os::unix::fs::PermissionsExt;
        let stage = Stage::new(&["etc/passwd"], &["etc/"]).started();
        let mode = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(stage.layers.upper.join("etc"), mode).expect("changed");
        assert_eq!(stage.told(), ["C /etc"]);
    }

    #[test]
    fn a_removed_mount_point_of_the_image_is_told() {
        let stage = Stage::new(&["etc/mtab"], &["etc/"]).started().removing("etc/mtab");
        assert_eq!(stage.told(), ["C /etc", "D /etc/mtab"]);
    }

    #[test]
    fn what_the_image_itself_removed_is_added() {
        let stage = Stage::new(&["opt/x", "y"], &["opt/x", "y"]);
        let middle = stage.layers.lower[0].clone();
        let stage = stage.without(&middle, "opt").without(&middle, "y");
        assert_eq!(stage.told(), ["A /opt", "A /opt/x", "A /y"]);
    }
}
