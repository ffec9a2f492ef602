//! Cgroups of containers whose bundle is gone. A shim writes on each whose it is: the names alone may be another engine's.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Where the hierarchies are mounted.
const ROOT: &str = "/sys/fs/cgroup";
/// The attribute that the shim writes.
const BUNDLE: &str = "trusted.gantry.bundle";
/// `PATH_MAX`.
const LONGEST: usize = 4096;

/// What is left of one container.
#[derive(Debug, PartialEq, Eq)]
pub struct Group {
    /// Where its bundle was.
    pub bundle: PathBuf,
    /// One on cgroup v2, one in each hierarchy on v1.
    pub directories: BTreeSet<PathBuf>,
}

impl Group {
    /// Whether somebody is in it.
    pub fn is_in_use(&self) -> bool {
        self.directories.iter().any(|directory| is_populated(directory))
    }

    /// Removes it with what was made below it. A process in it makes this fail.
    pub fn remove(&self) -> std::io::Result<()> {
        self.directories.iter().try_for_each(|directory| remove(directory))
    }
}

/// The cgroups that belong to bundles below `bundles` which are not there.
pub fn lost(bundles: &Path) -> Vec<Group> {
    lost_in(Path::new(ROOT), bundles, &|directory| {
        let mut buffer = vec![0; LONGEST];
        let length = rustix::fs::getxattr(directory, BUNDLE, &mut buffer[..]).ok()?;
        buffer.truncate(length);
        Some(PathBuf::from(std::ffi::OsString::from_vec(buffer)))
    })
}

fn lost_in(root: &Path, bundles: &Path, bundle_of: &dyn Fn(&Path) -> Option<PathBuf>) -> Vec<Group> {
    let mut found: BTreeMap<PathBuf, BTreeSet<PathBuf>> = BTreeMap::new();
    let mut left = children(root);
    while let Some(directory) = left.pop() {
        match bundle_of(&directory) {
            // What is below is the container's own.
            Some(bundle) => {
                if bundle.starts_with(bundles) && !bundle.exists() {
                    found.entry(bundle).or_default().insert(directory);
                }
            }
            None => left.extend(children(&directory)),
        }
    }
    found.into_iter().map(|(bundle, directories)| Group { bundle, directories }).collect()
}

/// A process that comes and goes may be missed; one that stays is not.
fn is_populated(directory: &Path) -> bool {
    fs::read_to_string(directory.join("cgroup.procs")).is_ok_and(|pids| !pids.is_empty())
        || children(directory).iter().any(|child| is_populated(child))
}

fn remove(directory: &Path) -> std::io::Result<()> {
    for child in children(directory) {
        remove(&child)?;
    }
    match fs::remove_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// The directories in a directory; of links, which v1 has for controllers that are mounted together, none.
fn children(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_bundles_that_are_not_there_are_found() {
        let root = tempfile::tempdir().unwrap();
        let bundles = root.path().join("bundles");
        fs::create_dir_all(bundles.join("ns/here")).unwrap();
        for path in [
            "cgroup/cpu/docker/gone/own",
            "cgroup/pids/docker/gone",
            "cgroup/cpu/docker/here",
            "cgroup/cpu/theirs",
        ] {
            fs::create_dir_all(root.path().join(path)).unwrap();
        }
        let bundle_of = |directory: &Path| {
            let name = directory.file_name()?.to_str()?;
            match name {
                "gone" | "here" => Some(bundles.join("ns").join(name)),
                "theirs" => Some(PathBuf::from("/elsewhere/bundles/ns/gone")),
                _ => None,
            }
        };
        let found = lost_in(&root.path().join("cgroup"), &bundles, &bundle_of);
        let [group] = &found[..] else { panic!("{found:?}") };
        assert_eq!(group.bundle, bundles.join("ns/gone"));
        assert_eq!(group.directories.len(), 2);
        assert!(!group.is_in_use());
        group.remove().unwrap();
        assert!(!root.path().join("cgroup/pids/docker/gone").exists());
        assert!(!root.path().join("cgroup/cpu/docker/gone").exists());
        assert!(root.path().join("cgroup/cpu/docker/here").exists());
    }
}
