//! The container records of the tasks service, from which it starts containers and which keep their snapshots from
//! collection.

use std::collections::HashMap;

use gantry_api::tasks::records::{Client, Container, Inspect as _, Manage as _, Part, Update};
use gantry_rpc::{Code, Coded as _};
use gantry_types::filter::FilterSet;
use gantry_types::{ContainerId, Namespace};
use oci_spec::runtime::Spec;

use super::{gone, json, said};
use crate::error::{Error, Result};

const RUNTIME: &str = "io.containerd.gantry.v2";
const SPEC_TYPE: &str = "types.containerd.io/opencontainers/runtime-spec/1/Spec";

/// A client of the container records. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Records {
    client: Client,
    namespace: Namespace,
}

impl Records {
    /// A client of a root directory's tasks service.
    pub fn new(peers: &gantry_api::Peers) -> Records {
        Records { client: Client::new(peers), namespace: Namespace::moby() }
    }

    /// Writes the container record from which the tasks service starts the container. Replaces the specification of an
    /// existing one.
    pub async fn create(
        &self,
        id: &str,
        image: &str,
        labels: HashMap<String, String>,
        snapshotter: &str,
        spec: &Spec,
    ) -> Result<()> {
        let container = Container {
            labels: labels.into(),
            image: image.to_owned(),
            snapshotter: snapshotter.to_owned(),
            snapshot_key: id.to_owned(),
            ..Container::new(&id.parse()?, RUNTIME, json(SPEC_TYPE, spec)?)
        };
        match self.client.create_record(&self.namespace, container).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.code() == Code::AlreadyExists => self.update_spec(id, spec).await,
            Err(failure) => Err(Error::peer(format!("record container {id}"), said(failure))),
        }
    }

    /// Replaces the specification in a container record.
    pub async fn update_spec(&self, id: &str, spec: &Spec) -> Result<()> {
        let spec = Update::Part(Part { spec: Some(json(SPEC_TYPE, spec)?), ..Part::default() });
        let answer = self.client.update_record(&self.namespace, &id.parse()?, spec).await;
        answer
            .map(drop)
            .map_err(|failure| Error::peer(format!("record specification of container {id}"), said(failure)))
    }

    /// Deletes a container record; succeeds if there is none.
    pub async fn delete(&self, id: &str) -> Result<()> {
        let id: ContainerId = id.parse()?;
        let answer = self.client.delete_record(&self.namespace, &id).await.map_err(said);
        gone(answer).map_err(|status| Error::peer(format!("delete record of container {id}"), status))
    }

    /// The ids of all container records in Docker's namespace.
    pub async fn ids(&self) -> Result<Vec<String>> {
        let answer = self.client.records(&self.namespace, &FilterSet::default()).await;
        answer
            .map(|records| records.into_iter().map(|record| record.container.id.to_string()).collect())
            .map_err(|failure| Error::peer("list container records", said(failure)))
    }
}
