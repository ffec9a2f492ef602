//! The container records from which tasks starts, and which keep containers' roots.

use std::collections::HashMap;

use gantry_proto::containerd::services::containers::v1 as records;
use oci_spec::runtime::Spec;

use super::{DEADLINE, Peers, SPEC_TYPE, call, gone, json};
use crate::error::{Error, Result};

impl Peers {
    /// Writes the container record that tasks starts from and that keeps the snapshot; replaces one that is there.
    pub async fn create_record(
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
        let answer = call(DEADLINE, self.peers.container_records().create(self.request(request))).await;
        match answer {
            Ok(_) => Ok(()),
            Err(status) if status.code() == tonic::Code::AlreadyExists => self.update_spec(id, spec).await,
            Err(status) => Err(Error::peer(format!("record container {id}"), status)),
        }
    }

    /// Replaces the specification in the container record.
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
        let answer = call(DEADLINE, self.peers.container_records().update(self.request(request))).await;
        answer
            .map(drop)
            .map_err(|status| Error::peer(format!("record specification of container {id}"), status))
    }

    /// Deletes the container record; none is fine.
    pub async fn delete_record(&self, id: &str) -> Result<()> {
        let request = records::DeleteContainerRequest { id: id.to_owned() };
        let answer = call(DEADLINE, self.peers.container_records().delete(self.request(request))).await;
        gone(answer).map_err(|status| Error::peer(format!("delete record of container {id}"), status))
    }

    /// The ids of all container records of Docker's namespace.
    pub async fn record_ids(&self) -> Result<Vec<String>> {
        let request = records::ListContainersRequest::default();
        let answer = call(DEADLINE, self.peers.container_records().list(self.request(request))).await;
        answer
            .map(|answer| answer.containers.into_iter().map(|container| container.id).collect())
            .map_err(|status| Error::peer("list container records", status))
    }
}
