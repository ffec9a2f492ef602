//! Finds the field of a method's request that names the object of the call, by the names of the fields in the protos.

use std::collections::HashMap;

use prost::Message;
use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FileDescriptorSet};

/// Names of fields that name an object; the first one that a message has counts.
const NAMES: [&str; 20] = [
    "container",
    "container_id",
    "key",
    "name",
    "id",
    "ref",
    "digest",
    "reference",
    "target",
    "netns",
    "network",
    "sandbox",
    "sandbox_id",
    "image",
    "username",
    "actor_id",
    "snapshotter",
    "namespace",
    "topic",
    "registry",
];
/// Fields with a message that contains the object, or the first message of a stream.
const WITHIN: [&str; 11] = [
    "container",
    "image",
    "lease",
    "sandbox",
    "snapshot",
    "namespace",
    "open",
    "info",
    "resource",
    "network",
    "event",
];

/// The tags of the fields on the way to a name.
pub(super) type Tags = Vec<u32>;

/// The tags for the request of each method, by its path. Methods whose requests name no object are left out.
pub(super) fn all() -> HashMap<String, Tags> {
    let files = FileDescriptorSet::decode(gantry_proto::FILE_DESCRIPTOR_SET).expect("the build has made it");
    let mut messages = HashMap::new();
    for file in &files.file {
        for message in &file.message_type {
            collect(&format!(".{}", file.package()), message, &mut messages);
        }
    }
    let mut ways = HashMap::new();
    for file in &files.file {
        for service in &file.service {
            for method in &service.method {
                if let Some(tags) = way(&messages, method.input_type(), 2) {
                    ways.insert(format!("/{}.{}/{}", file.package(), service.name(), method.name()), tags);
                }
            }
        }
    }
    ways
}

/// Collects messages by their full names, nested ones included.
fn collect<'a>(prefix: &str, message: &'a DescriptorProto, all: &mut HashMap<String, &'a DescriptorProto>) {
    let name = format!("{prefix}.{}", message.name());
    for nested in &message.nested_type {
        collect(&name, nested, all);
    }
    all.insert(name, message);
}

/// The way to the name in a message, through a limited number of messages.
fn way(messages: &HashMap<String, &DescriptorProto>, message: &str, depth: usize) -> Option<Tags> {
    let fields = &messages.get(message)?.field;
    let named = |name: &str, kind| fields.iter().find(|field| field.name() == name && field.r#type() == kind);
    let tag = |number: i32| u32::try_from(number).expect("tags are positive");
    if let Some(field) = NAMES.iter().find_map(|name| named(name, Type::String)) {
        return Some(vec![tag(field.number())]);
    }
    let mut within = WITHIN.iter().filter_map(|name| named(name, Type::Message)).filter(|_| depth > 1);
    within.find_map(|field| {
        let rest = way(messages, field.type_name(), depth - 1)?;
        Some([vec![tag(field.number())], rest].concat())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_that_change_something_say_what() {
        let ways = all();
        for (path, tags) in [
            ("/gantry.engine.v1.Containers/Remove", &[1][..]),
            ("/containerd.services.containers.v1.Containers/Create", &[1, 1]),
            ("/containerd.services.tasks.v1.Tasks/Kill", &[1]),
            ("/containerd.services.snapshots.v1.Snapshots/Prepare", &[2]),
            ("/containerd.services.content.v1.Content/Write", &[2]),
            ("/containerd.services.leases.v1.Leases/AddResource", &[1]),
        ] {
            assert_eq!(ways.get(path).map(Vec::as_slice), Some(tags), "{path}");
        }
    }
}
