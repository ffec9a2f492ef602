//! Where the hierarchies are, and the cgroups in them by path.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gantry_mount::table;

use crate::stats::{self, Stats};
use crate::{Error, Result};

/// Which of the two generations manages resources on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// A hierarchy for each controller.
    V1,
    /// One hierarchy for all.
    V2,
}

/// The hierarchies of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchies {
    version: Version,
    /// Controller or name (`cpu`, `name=systemd`) to the root of its hierarchy.
    controllers: BTreeMap<String, PathBuf>,
    /// The unified hierarchy, if it is mounted.
    unified: Option<PathBuf>,
}

impl Hierarchies {
    /// Finds the hierarchies in the mount table.
    pub fn detect() -> Result<Self> {
        Ok(Self::from_table(&table::read()?))
    }

    fn from_table(entries: &[table::Entry]) -> Self {
        let mut controllers = BTreeMap::new();
        let mut unified = None;
        for entry in entries {
            match entry.fs_type.as_str() {
                "cgroup" => {
                    for word in &entry.super_options {
                        let known = matches!(
                            word.as_str(),
                            "cpu"
                                | "cpuacct"
                                | "cpuset"
                                | "memory"
                                | "devices"
                                | "freezer"
                                | "blkio"
                                | "pids"
                                | "hugetlb"
                                | "perf_event"
                                | "net_cls"
                                | "net_prio"
                                | "rdma"
                                | "misc"
                        );
                        if known || word.starts_with("name=") {
                            controllers.entry(word.clone()).or_insert_with(|| entry.mount_point.clone());
                        }
                    }
                }
                "cgroup2" if unified.is_none() => unified = Some(entry.mount_point.clone()),
                _ => {}
            }
        }
        let version =
            if unified.is_some() && !controllers.contains_key("memory") { Version::V2 } else { Version::V1 };
        Self { version, controllers, unified }
    }

    /// Which generation manages resources.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The controllers that can be used.
    pub fn controllers(&self) -> Result<Vec<String>> {
        match (self.version, &self.unified) {
            (Version::V2, Some(root)) => {
                let path = root.join("cgroup.controllers");
                let text = std::fs::read_to_string(&path).map_err(|e| Error::path("read", path, e))?;
                Ok(text.split_whitespace().map(str::to_owned).collect())
            }
            _ => Ok(self.controllers.keys().filter(|name| !name.starts_with("name=")).cloned().collect()),
        }
    }

    /// The directory of a cgroup in a controller's hierarchy.
    pub fn directory(&self, controller: &str, cgroup: &str) -> Option<PathBuf> {
        let root = match self.version {
            Version::V1 => self.controllers.get(controller)?,
            Version::V2 => self.unified.as_ref()?,
        };
        Some(join(root, cgroup))
    }

    /// Every hierarchy's root, each once.
    fn roots(&self) -> Vec<&Path> {
        let mut roots: Vec<&Path> =
            self.controllers.values().chain(&self.unified).map(PathBuf::as_path).collect();
        roots.sort_unstable();
        roots.dedup();
        roots
    }

    /// What a cgroup has used. Fails if no hierarchy has it.
    pub fn stats(&self, cgroup: &str) -> Result<Stats> {
        stats::read(self, cgroup)
    }

    /// Whether any hierarchy has this cgroup.
    pub fn exists(&self, cgroup: &str) -> bool {
        self.roots().iter().any(|root| join(root, cgroup).is_dir())
    }

    /// The names of the cgroups directly below one, in any hierarchy.
    pub fn children(&self, cgroup: &str) -> Result<Vec<String>> {
        let mut names = std::collections::BTreeSet::new();
        for root in self.roots() {
            let directory = join(root, cgroup);
            let found = match std::fs::read_dir(&directory) {
                Ok(found) => found,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(Error::path("read", directory, error)),
            };
            for entry in found.flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    names.insert(entry.file_name().to_string_lossy().into_owned());
                }
            }
        }
        Ok(names.into_iter().collect())
    }

    /// The processes in a cgroup and in those below it.
    pub fn processes(&self, cgroup: &str) -> Result<Vec<u32>> {
        let mut found = std::collections::BTreeSet::new();
        for root in self.roots() {
            collect_processes(&join(root, cgroup), &mut found)?;
        }
        Ok(found.into_iter().collect())
    }

    /// Removes a cgroup and those below it from every hierarchy. It is no error if there is none.
    ///
    /// The kernel lets go of one a moment after its last process has gone, so removal is tried again for `patience`.
    pub fn remove(&self, cgroup: &str, patience: Duration) -> Result<()> {
        if cgroup.split('/').all(str::is_empty) {
            return Err(Error::Malformed { what: "cgroup to remove", text: cgroup.to_owned() });
        }
        let until = Instant::now() + patience;
        for root in self.roots() {
            remove_directory(&join(root, cgroup), until)?;
        }
        Ok(())
    }
}

fn join(root: &Path, cgroup: &str) -> PathBuf {
    let mut path = root.to_owned();
    path.extend(cgroup.split('/').filter(|part| !part.is_empty() && *part != "." && *part != ".."));
    path
}

fn collect_processes(directory: &Path, found: &mut std::collections::BTreeSet<u32>) -> Result<()> {
    let list = directory.join("cgroup.procs");
    match std::fs::read_to_string(&list) {
        Ok(text) => found.extend(text.lines().filter_map(|line| line.parse::<u32>().ok())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::path("read", list, error)),
    }
    for below in directories(directory) {
        collect_processes(&below, found)?;
    }
    Ok(())
}

fn directories(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    entries.flatten().filter(|e| e.file_type().is_ok_and(|kind| kind.is_dir())).map(|e| e.path()).collect()
}

fn remove_directory(directory: &Path, until: Instant) -> Result<()> {
    for below in directories(directory) {
        remove_directory(&below, until)?;
    }
    loop {
        match std::fs::remove_dir(directory) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(error) => return Err(Error::path("remove cgroup", directory, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(line: &str) -> table::Entry {
        table::parse(line.as_bytes()).unwrap()
    }

    #[test]
    fn v1_hybrid_and_v2_are_told_apart() {
        let v1 = [
            entry("32 31 0:29 / /c/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct"),
            entry("35 31 0:32 / /c/memory rw - cgroup cgroup rw,memory"),
            entry("40 31 0:37 / /c/systemd rw - cgroup cgroup rw,name=systemd"),
            entry("41 31 0:38 / /c/unified rw - cgroup2 cgroup2 rw"),
        ];
        let found = Hierarchies::from_table(&v1);
        assert_eq!(found.version(), Version::V1);
        assert_eq!(found.directory("cpuacct", "/a/../b").unwrap(), Path::new("/c/cpu,cpuacct/a/b"));
        assert_eq!(found.roots().len(), 4);
        let found = Hierarchies::from_table(&v1[3..]);
        assert_eq!(found.version(), Version::V2);
        assert_eq!(found.directory("memory", "x").unwrap(), Path::new("/c/unified/x"));
    }

    #[test]
    fn the_root_is_never_removed() {
        let found = Hierarchies { version: Version::V2, controllers: BTreeMap::new(), unified: None };
        assert!(found.remove("/", Duration::ZERO).is_err() && found.remove("", Duration::ZERO).is_err());
    }

    #[test]
    fn root_a_cgroup_is_made_read_and_removed() {
        let found = Hierarchies::detect().unwrap();
        let name = format!("/gantry-host-test-{}", std::process::id());
        for root in found.roots() {
            std::fs::create_dir_all(join(root, &name).join("below")).unwrap();
        }
        assert_eq!(found.children(&name).unwrap(), ["below"]);
        let stats = found.stats(&name).unwrap();
        assert_eq!(stats.pids.current, 0);
        assert!(stats.memory.limit.is_none());
        assert!(found.processes(&name).unwrap().is_empty());
        found.remove(&name, Duration::from_secs(1)).unwrap();
        assert!(!found.exists(&name));
    }
}
