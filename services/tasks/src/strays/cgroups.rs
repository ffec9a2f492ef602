//! Cgroups of containers whose bundle is gone. The shim writes the path of the bundle on each cgroup, because another
//! engine's cgroups may have the same names.

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

/// The cgroups that are left of one container.
#[derive(Debug, PartialEq, Eq)]
pub struct Group {
    /// The path of the container's bundle.
    pub bundle: PathBuf,
    /// One directory on cgroup v2; one in each hierarchy on v1.
    pub directories: BTreeSet<PathBuf>,
}

impl Group {
    /// Whether a process is in one of the cgroups.
    pub fn is_in_use(&self) -> bool {
        self.directories.iter().any(|directory| is_populated(directory))
    }

    /// Removes the cgroups with all cgroups below them. Fails while a process is in one.
    pub fn remove(&self) -> std::io::Result<()> {
        self.directories.iter().try_for_each(|directory| remove(directory))
    }
}

/// The cgroups that belong to missing bundles below `bundles`.
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
            // The cgroups below are the container's own.
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

/// Whether the cgroup has a process. May miss a process that comes and goes.
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

/// The directories in a directory, symbolic links left out: v1 has links for controllers that are mounted together.
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
