//! The container records of the tasks service, from which it starts containers and which keep their snapshots from
//! collection.

use std::collections::HashMap;
use std::time::Duration;

use gantry_proto::containerd::services::containers::v1 as records;
use gantry_rpc::context::with_namespace;
use gantry_types::Namespace;
use oci_spec::runtime::Spec;
use tonic::{Response, Status};

use super::{gone, json};
use crate::error::{Error, Result};

/// Deadline of calls that change or list records, which are few and small.
const DEADLINE: Duration = Duration::from_secs(180);
const SPEC_TYPE: &str = "types.containerd.io/opencontainers/runtime-spec/1/Spec";

/// A client of the container records. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Records {
    peers: gantry_api::Peers,
    namespace: Namespace,
}

impl Records {
    /// A client of a root directory's tasks service.
    pub fn new(peers: &gantry_api::Peers) -> Records {
        Records { peers: peers.clone(), namespace: Namespace::moby() }
    }

    /// Writes the container record from which the tasks service starts the container. Replaces an existing one.
    pub async fn create(
        &self,
        id: &str,
        image: &str,
        labels: HashMap<String, String>,
        snapshotter: &str,
        spec: &Spec,
    ) -> Result<()> {
        let container = records::Container {
            id: id.to_owned(),
            labels,
            image: image.to_owned(),
            runtime: Some(records::container::Runtime {
                name: "io.containerd.gantry.v2".to_owned(),
                options: None,
            }),
            spec: Some(json(SPEC_TYPE, spec)?),
            snapshotter: snapshotter.to_owned(),
            snapshot_key: id.to_owned(),
            ..Default::default()
        };
        let request = records::CreateContainerRequest { container: Some(container) };
        let answer =
            call(DEADLINE, self.peers.container_records().create(with_namespace(request, &self.namespace)))
                .await;
        match answer {
            Ok(_) => Ok(()),
            Err(status) if status.code() == tonic::Code::AlreadyExists => self.update_spec(id, spec).await,
            Err(status) => Err(Error::peer(format!("record container {id}"), status)),
        }
    }

    /// Replaces the specification in a container record.
    pub async fn update_spec(&self, id: &str, spec: &Spec) -> Result<()> {
        let container = records::Container {
            id: id.to_owned(),
            spec: Some(json(SPEC_TYPE, spec)?),
            ..Default::default()
        };
        let request = records::UpdateContainerRequest {
            container: Some(container),
            update_mask: Some(prost_types::FieldMask { paths: vec!["spec".to_owned()] }),
        };
        let answer =
            call(DEADLINE, self.peers.container_records().update(with_namespace(request, &self.namespace)))
                .await;
        answer
            .map(drop)
            .map_err(|status| Error::peer(format!("record specification of container {id}"), status))
    }

    /// Deletes a container record; succeeds if there is none.
    pub async fn delete(&self, id: &str) -> Result<()> {
        let request = records::DeleteContainerRequest { id: id.to_owned() };
        let answer =
            call(DEADLINE, self.peers.container_records().delete(with_namespace(request, &self.namespace)))
                .await;
        gone(answer).map_err(|status| Error::peer(format!("delete record of container {id}"), status))
    }

    /// The ids of all container records in Docker's namespace.
    pub async fn ids(&self) -> Result<Vec<String>> {
        let request = records::ListContainersRequest::default();
        let answer =
            call(DEADLINE, self.peers.container_records().list(with_namespace(request, &self.namespace)))
                .await;
        answer
            .map(|answer| answer.containers.into_iter().map(|container| container.id).collect())
            .map_err(|status| Error::peer("list container records", status))
    }
}

async fn call<T>(
    deadline: Duration,
    work: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Status> {
    match tokio::time::timeout(deadline, work).await {
        Ok(answer) => answer.map(Response::into_inner),
        Err(_) => Err(Status::deadline_exceeded(format!("no answer within {} s", deadline.as_secs()))),
    }
}
