//! Which service answers which path.

use gantry_descriptor::{CONTROL, Descriptor, SERVICES};

/// The services that stand behind the front socket.
pub fn services() -> impl Iterator<Item = &'static Descriptor> {
    SERVICES.into_iter().filter(|service| !service.packages.is_empty())
}

/// The service for a path like `/containerd.services.content.v1.Content/Read`.
pub fn service_of(path: &str) -> Option<&'static str> {
    let (service, _) = path.strip_prefix('/')?.split_once('/')?;
    // Health and reflection are those of this process, which describe all.
    if service.starts_with("grpc.health.") || service.starts_with("grpc.reflection.") {
        return Some(CONTROL.name);
    }
    let (package, _) = service.rsplit_once('.')?;
    services().find(|service| service.packages.contains(&package)).map(|service| service.name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message;

    use super::*;

    #[test]
    fn paths_find_their_service() {
        for (path, service) in [
            ("/containerd.services.content.v1.Content/Read", Some("content")),
            ("/containerd.services.diff.v1.Diff/Apply", Some("snapshots")),
            ("/containerd.services.streaming.v1.Streaming/Stream", Some("images")),
            ("/containerd.services.containers.v1.Containers/List", Some("tasks")),
            ("/containerd.services.sandbox.v1.Controller/Start", Some("tasks")),
            ("/containerd.services.version.v1.Version/Version", Some("control")),
            ("/grpc.health.v1.Health/Check", Some("control")),
            ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Some("control")),
            ("/runtime.v1.RuntimeService/Version", None),
            ("/containerd.services.mounts.v1.Mounts/Activate", None),
            ("/containerd.services.content", None),
            ("", None),
        ] {
            assert_eq!(service_of(path), service, "{path}");
        }
    }

    #[test]
    fn all_of_containerd_s_services_are_somewhere() {
        let files = prost_types::FileDescriptorSet::decode(gantry_proto::FILE_DESCRIPTOR_SET).unwrap().file;
        let serving = files.iter().filter(|file| !file.service.is_empty());
        let packages: BTreeSet<_> = serving.map(|file| file.package()).collect();
        let ours = packages.into_iter().filter(|package| package.starts_with("containerd.services."));
        let led: BTreeSet<_> = services().flat_map(|service| service.packages).copied().collect();
        // Not built.
        let missing = ["containerd.services.mounts.v1"];
        assert_eq!(ours.collect::<BTreeSet<_>>(), led.into_iter().chain(missing).collect());
    }
}
