//! What is there of containers that have no record: their tasks, the records that tasks keeps of them, their network
//! namespaces, their directories.
//!
//! Whoever made them wrote the container's record first, and whoever removes them deletes it last. So one that is missing
//! is lost, with all that the container was, or somebody has made a container in Docker's namespace without Docker.
//! Either way it is not the engine's to end or to delete.

use std::collections::BTreeSet;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::index::Index;
use crate::paths::Paths;

/// What is there, by the ids of containers.
pub(crate) struct Parts {
    /// What runs, or has run.
    pub(crate) tasks: BTreeSet<String>,
    /// What tasks starts from.
    pub(crate) records: BTreeSet<String>,
    pub(crate) netns: BTreeSet<String>,
    /// Names of directories, those on their way out among them.
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
    /// Fsck's word for it.
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

impl Engine {
    /// Lists everything. What is listed and not known afterwards is of no container that is just being made: its record
    /// is written before anything else.
    pub(crate) async fn parts(&self) -> Result<Parts> {
        let directory = self.paths.containers();
        let fail = |source| Error::io("read directory", &directory, source);
        let mut directories = BTreeSet::new();
        for entry in std::fs::read_dir(&directory).map_err(fail)? {
            directories.extend(entry.map_err(fail)?.file_name().into_string().ok());
        }
        Ok(Parts {
            tasks: self.peers.task_ids().await?.into_iter().collect(),
            records: self.peers.record_ids().await?.into_iter().collect(),
            netns: self.peers.netns_ids().await?.into_iter().collect(),
            directories,
        })
    }
}

impl Parts {
    /// The parts that are kept though they are nobody's.
    pub(crate) fn without_container(&self, index: &Index) -> Vec<Stray> {
        let unknown = |ids: &BTreeSet<String>, stray: fn(String) -> Stray| -> Vec<Stray> {
            ids.iter().filter(|id| !is_known(index, id)).cloned().map(stray).collect()
        };
        let mut found = unknown(&self.tasks, Stray::Task);
        found.extend(unknown(&self.records, Stray::Record));
        let (idle, kept) = (self.idle_netns(index), unknown(&self.netns, Stray::Netns));
        found.extend(kept.into_iter().filter(|stray| !idle.contains(&stray.id())));
        let directories = unknown(&self.directories, Stray::Directory);
        found.extend(directories.into_iter().filter(|stray| !Paths::is_removed(stray.id())));
        found
    }

    /// Network namespaces of no container, in which nothing runs.
    pub(crate) fn idle_netns(&self, index: &Index) -> Vec<&str> {
        let unused = |id: &&String| !is_known(index, id) && !self.tasks.contains(*id);
        self.netns.iter().filter(unused).map(String::as_str).collect()
    }
}

fn is_known(index: &Index, id: &str) -> bool {
    index.find(id).is_ok_and(|container| container.id() == id)
}
