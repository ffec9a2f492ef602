//! Conversion between the wire and the types of this module.

use gantry_proto::containerd::services::leases::v1 as pb;

use super::{BadResource, Lease, Resource};
use crate::wire;

pub(super) fn lease(lease: Lease) -> pb::Lease {
    pb::Lease { id: lease.id, created_at: Some(lease.created_at.into()), labels: lease.labels.into() }
}

pub(super) fn parse_lease(lease: pb::Lease) -> Lease {
    Lease { id: lease.id, created_at: wire::moment(lease.created_at.as_ref()), labels: lease.labels.into() }
}

pub(super) fn resource(resource: &Resource) -> pb::Resource {
    pb::Resource { r#type: resource.kind().to_string(), id: resource.key().to_owned() }
}

pub(super) fn parse_resource(resource: &pb::Resource) -> Result<Resource, BadResource> {
    Resource::parse(&resource.r#type, &resource.id)
}
