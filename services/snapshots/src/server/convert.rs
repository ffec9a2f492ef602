//! Between the wire's types and ours.

use std::collections::HashMap;

use gantry_api::ingest::Owner;
use gantry_mount::Mount;
use gantry_proto::containerd::services::snapshots::v1 as pb;
use gantry_proto::containerd::types;
use gantry_rpc::context;
use gantry_types::Descriptor;
use tonic::{Request, Status};

use crate::record::{Record, Scope};

/// Who asks: namespace and lease.
pub fn owner<T>(request: &Request<T>) -> Result<Owner, Status> {
    Ok(Owner { namespace: context::namespace(request)?, lease: context::lease(request)? })
}

pub fn scope(owner: &Owner, snapshotter: &str) -> Scope {
    Scope { namespace: owner.namespace.clone(), snapshotter: snapshotter.to_owned() }
}

pub fn mounts(mounts: Vec<Mount>) -> Vec<types::Mount> {
    mounts
        .into_iter()
        .map(|mount| types::Mount {
            r#type: mount.fs_type,
            source: mount.source,
            target: mount.target,
            options: mount.options,
        })
        .collect()
}

pub fn to_mounts(mounts: Vec<types::Mount>) -> Vec<Mount> {
    mounts
        .into_iter()
        .map(|mount| Mount {
            fs_type: mount.r#type,
            source: mount.source,
            target: mount.target,
            options: mount.options,
        })
        .collect()
}

pub fn info(name: String, record: Record) -> pb::Info {
    pb::Info {
        name,
        kind: record.kind,
        parent: record.parent,
        created_at: record.created,
        updated_at: record.updated,
        labels: record.labels.into_iter().collect(),
    }
}

pub fn descriptor(descriptor: Option<types::Descriptor>) -> Result<Descriptor, Status> {
    let descriptor = descriptor.ok_or_else(|| Status::invalid_argument("descriptor is missing"))?;
    let digest = descriptor
        .digest
        .parse()
        .map_err(|error: gantry_types::Error| Status::invalid_argument(error.to_string()))?;
    let size = u64::try_from(descriptor.size)
        .map_err(|_| Status::invalid_argument("descriptor has a negative size"))?;
    Ok(Descriptor::new(descriptor.media_type, digest, size))
}

pub fn to_descriptor(descriptor: Descriptor) -> types::Descriptor {
    types::Descriptor {
        media_type: descriptor.media_type,
        digest: descriptor.digest.to_string(),
        size: i64::try_from(descriptor.size).unwrap_or(i64::MAX),
        annotations: descriptor.annotations.into_iter().collect::<HashMap<_, _>>(),
    }
}
