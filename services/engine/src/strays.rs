//! Finds parts of containers that have no record: their tasks, their records in the tasks service, their network
//! namespaces, their directories.
//!
//! The engine writes a container's record before it makes the parts, and deletes it after it has removed them. So
//! parts without a record mean that the record is lost, with everything that the container was, or that another
//! program has made a container in Docker's namespace. In both cases the engine must not end or delete them.
//!
//! A container that is being created is known after its parts were listed, and one that is being removed is known
//! before. So a part is a stray only if its container was known at neither time.

pub(crate) mod check;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::blocking::blocking;
use crate::container::specs::Specs;
use crate::container::{Container, recorded};
use crate::containers::Containers;
use crate::error::{Error, Result};
use crate::index::Index;
use crate::paths::Paths;
use crate::peers::Peers;
use crate::retry;
use crate::root::kernel;
use crate::volumes::Volumes;

/// Parts of containers, by the containers' ids.
#[derive(Default)]
pub(crate) struct Parts {
    /// Containers that were known before the parts were listed.
    pub(crate) known: BTreeSet<String>,
    /// Tasks.
    pub(crate) tasks: BTreeSet<String>,
    /// Container records of the tasks service.
    pub(crate) records: BTreeSet<String>,
    pub(crate) netns: BTreeSet<String>,
    /// Names of directories, including those that are being removed.
    pub(crate) directories: BTreeSet<String>,
}

/// A part of a container that has no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stray {
    Task(String),
    Record(String),
    Netns(String),
    Directory(String),
}

impl Stray {
    /// The word for this kind in fsck's findings.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Stray::Task(_) => "process",
            Stray::Record(_) => "record",
            Stray::Netns(_) => "netns",
            Stray::Directory(_) => "directory",
        }
    }

    pub(crate) fn id(&self) -> &str {
        match self {
            Stray::Task(id) | Stray::Record(id) | Stray::Netns(id) | Stray::Directory(id) => id,
        }
    }

    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Stray::Task(_) => "it runs, but Docker's record of it is lost; `ctr -n moby tasks kill` ends it",
            Stray::Record(_) => {
                "Docker's record of it is lost, its root is kept; `ctr -n moby containers rm` gives it up"
            }
            Stray::Netns(_) => "the network of what runs without a record",
            Stray::Directory(_) => "no record names it: its log is all that is left, or it runs",
        }
    }
}

/// Compares the records with the parts that exist. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Strays {
    containers: Containers,
    peers: Peers,
    paths: Paths,
    volumes: Arc<Volumes>,
    specs: Specs,
}

impl Strays {
    /// Compares these containers and volumes with what these services and paths have.
    pub(crate) fn new(
        containers: &Containers,
        peers: &Peers,
        paths: &Paths,
        volumes: &Arc<Volumes>,
        specs: &Specs,
    ) -> Strays {
        Strays {
            containers: containers.clone(),
            peers: peers.clone(),
            paths: paths.clone(),
            volumes: Arc::clone(volumes),
            specs: specs.clone(),
        }
    }

    /// Lists all parts. A part whose container is unknown afterwards belongs to no container that is being created,
    /// because its record is written first. A part whose container was unknown before belongs to none that is being
    /// removed.
    async fn parts(&self) -> Result<Parts> {
        let known = self.containers.all().iter().map(|container| container.id().to_owned()).collect();
        let directory = self.paths.containers();
        let directories = blocking(move || names_in(&directory)).await?;
        let peers = &self.peers;
        Ok(Parts {
            known,
            tasks: peers.tasks.ids().await?.into_iter().collect(),
            records: peers.records.ids().await?.into_iter().collect(),
            netns: peers.networks.netns_ids().await?.into_iter().collect(),
            directories,
        })
    }

    /// Looks for parts of containers in other services and on the disk, once all services answer. Reports what has no
    /// record, makes records of the tasks service that are lost, and removes what an earlier removal has left.
    pub(crate) async fn look_around(&self) {
        loop {
            match self.try_look_around().await {
                Ok(()) => return,
                Err(error) if error.is_passing() => tokio::time::sleep(retry::PAUSE).await,
                Err(error) => {
                    tracing::warn!(error = %gantry_rpc::chain(&error), "strays are not looked for");
                    return;
                }
            }
        }
    }

    async fn try_look_around(&self) -> Result<()> {
        let parts = self.parts().await?;
        for container in self.containers.all() {
            if !parts.records.contains(container.id()) {
                self.record_again(&container).await?;
            }
        }
        for stray in parts.without_container(&self.containers.index) {
            tracing::warn!(kind = stray.kind(), container = stray.id(), "kept: {}", stray.reason());
        }
        for id in parts.idle_netns(&self.containers.index) {
            tracing::info!(container = %id, "removing a network namespace without a container");
            self.peers.networks.detach(id).await?;
        }
        self.volumes.end_strays(|user| self.containers.find(user).is_ok()).await?;
        for name in parts.directories.iter().filter(|name| Paths::is_removed(name)) {
            let path = self.paths.containers().join(name);
            blocking(move || gantry_rooted::tree::remove_tree(&path).map_err(kernel)).await?;
        }
        Ok(())
    }

    async fn record_again(&self, container: &Container) -> Result<()> {
        recorded::record_again(&self.peers.records, &self.specs, container).await
    }
}

fn names_in(directory: &Path) -> Result<BTreeSet<String>> {
    let fail = |source| Error::io("read directory", directory, source);
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(directory).map_err(fail)? {
        names.extend(entry.map_err(fail)?.file_name().into_string().ok());
    }
    Ok(names)
}

impl Parts {
    /// Parts without a container that must be kept.
    pub(crate) fn without_container(&self, index: &Index) -> Vec<Stray> {
        let unknown = |ids: &BTreeSet<String>, stray: fn(String) -> Stray| -> Vec<Stray> {
            ids.iter().filter(|id| !self.is_known(index, id)).cloned().map(stray).collect()
        };
        let mut found = unknown(&self.tasks, Stray::Task);
        found.extend(unknown(&self.records, Stray::Record));
        let (idle, kept) = (self.idle_netns(index), unknown(&self.netns, Stray::Netns));
        found.extend(kept.into_iter().filter(|stray| !idle.contains(&stray.id())));
        let directories = unknown(&self.directories, Stray::Directory);
        found.extend(directories.into_iter().filter(|stray| !Paths::is_removed(stray.id())));
        found
    }

    /// Network namespaces without a container, in which no process runs.
    pub(crate) fn idle_netns(&self, index: &Index) -> Vec<&str> {
        let unused = |id: &&String| !self.is_known(index, id) && !self.tasks.contains(*id);
        self.netns.iter().filter(unused).map(String::as_str).collect()
    }

    /// Directories that an interrupted removal has moved away.
    pub(crate) fn left_behind(&self, index: &Index) -> impl Iterator<Item = &String> {
        let left = |name: &&String| Paths::removed_id(name).is_some_and(|id| !self.is_known(index, id));
        self.directories.iter().filter(left)
    }

    fn is_known(&self, index: &Index, id: &str) -> bool {
        self.known.contains(id) || index.find(id).is_ok_and(|container| container.id() == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts() -> Parts {
        let one = |id: &str| BTreeSet::from([id.to_owned()]);
        let directories = [one("lost"), one(".removed-gone")].into_iter().flatten().collect();
        Parts {
            tasks: one("lost"),
            records: one("lost"),
            netns: one("lost"),
            directories,
            ..Parts::default()
        }
    }

    #[test]
    fn what_has_no_record_is_lost() {
        let (parts, index) = (parts(), Index::default());
        let kinds: Vec<_> = parts.without_container(&index).iter().map(Stray::kind).collect();
        assert_eq!(kinds, ["process", "record", "netns", "directory"]);
        assert_eq!(parts.left_behind(&index).collect::<Vec<_>>(), [".removed-gone"]);
    }

    /// The container was removed after its parts were listed.
    #[test]
    fn what_is_unmade_meanwhile_is_not_lost() {
        let known = ["lost", "gone"].map(str::to_owned).into_iter().collect();
        let (parts, index) = (Parts { known, ..parts() }, Index::default());
        assert_eq!(parts.without_container(&index), []);
        assert_eq!(parts.left_behind(&index).count(), 0);
        let idle = Parts { tasks: BTreeSet::new(), ..parts };
        assert_eq!(idle.idle_netns(&index), Vec::<&str>::new());
    }
}
