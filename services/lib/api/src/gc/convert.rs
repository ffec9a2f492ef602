//! Conversion between the wire and the types of this module.

use gantry_proto::gantry::gc::v1 as pb;

use super::{Node, Resource, Swept};
use crate::wire::Invalid;

pub(super) fn resource(resource: Resource) -> pb::Resource {
    pb::Resource { r#type: resource.kind, key: resource.key }
}

pub(super) fn parse_resource(resource: pb::Resource) -> Resource {
    Resource { kind: resource.r#type, key: resource.key }
}

pub(super) fn resources(resources: Vec<Resource>) -> Vec<pb::Resource> {
    resources.into_iter().map(resource).collect()
}

pub(super) fn parse_resources(resources: Vec<pb::Resource>) -> Vec<Resource> {
    resources.into_iter().map(parse_resource).collect()
}

pub(super) fn node(node: Node) -> pb::Node {
    pb::Node {
        resource: Some(resource(node.resource)),
        root: node.root,
        references: resources(node.references),
        kept_by: resources(node.kept_by),
        flat: node.flat,
    }
}

pub(super) fn parse_node(node: pb::Node) -> Result<Node, Invalid> {
    Ok(Node {
        resource: parse_resource(node.resource.ok_or(Invalid::Missing { field: "resource" })?),
        root: node.root,
        references: parse_resources(node.references),
        kept_by: parse_resources(node.kept_by),
        flat: node.flat,
    })
}

pub(super) fn swept(removed: Vec<pb::Resource>, freed: u64) -> Swept {
    Swept { removed: parse_resources(removed), freed }
}
