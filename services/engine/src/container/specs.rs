//! The specifications that containers are created and started with, from their records and from what they share with
//! other containers.

use std::path::PathBuf;

use gantry_spec::{Facts, Namespace};
use oci_spec::runtime::Spec;

use super::files::Files;
use super::join::{Joined, join_others};
use super::mode::NetworkMode;
use super::shm::Shm;
use crate::containers::Containers;
use crate::error::Result;
use crate::peers::{Networks, Peers, Tasks};
use crate::record::Record;
use crate::spec;

/// Makes specifications. Cheap to clone.
#[derive(Clone)]
pub struct Specs {
    containers: Containers,
    tasks: Tasks,
    networks: Networks,
    files: Files,
    shm: Shm,
    facts: Facts,
    /// The program that `--init` starts before the user's.
    init: PathBuf,
}

impl Specs {
    /// The specifications of these containers on a machine with these facts.
    pub fn new(
        containers: &Containers,
        peers: &Peers,
        files: &Files,
        shm: &Shm,
        facts: &Facts,
        init: PathBuf,
    ) -> Specs {
        Specs {
            containers: containers.clone(),
            tasks: peers.tasks.clone(),
            networks: peers.networks.clone(),
            files: files.clone(),
            shm: shm.clone(),
            facts: facts.clone(),
            init,
        }
    }

    /// The specification of a container that has not been started: it fails if the container could never be.
    pub(crate) fn preliminary(&self, record: &Record) -> Result<Spec> {
        let around = spec::Surroundings {
            host: &self.facts,
            netns: Namespace::Path(self.networks.netns_path(&record.id)),
            shared: spec::Shared::default(),
            files: None,
            init: &self.init,
            shm: None,
            variables: Vec::new(),
        };
        spec::build(record, &around)
    }

    /// The specification of a container that is about to start. The namespaces that it joins have to be kept until
    /// its process is created. Mounts its `/dev/shm` if other containers may join it.
    pub(crate) async fn of_start(&self, record: &Record) -> Result<(Spec, Joined)> {
        let joined = join_others(&self.containers, &self.tasks, record).await?;
        let around = spec::Surroundings {
            host: &self.facts,
            netns: joined.path("net").map_or_else(|| self.netns_of(record), Namespace::Path),
            shared: spec::Shared { pid: joined.path("pid"), ipc: joined.path("ipc") },
            files: Some(self.files.of(record)?),
            init: &self.init,
            shm: self.shm.of(record).await?,
            variables: self.containers.linked(record)?.iter().flat_map(super::links::variables).collect(),
        };
        Ok((spec::build(record, &around)?, joined))
    }

    /// The network namespace of a container that does not join another container's.
    fn netns_of(&self, record: &Record) -> Namespace {
        match NetworkMode::of(&record.host.network_mode) {
            NetworkMode::Host => Namespace::Host,
            _ => Namespace::Path(self.networks.netns_path(&record.id)),
        }
    }
}
