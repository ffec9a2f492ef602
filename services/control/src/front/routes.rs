//! Which service answers which path.

/// The services that stand behind the front socket.
pub const SERVICES: [&str; 5] = ["content", "snapshots", "images", "tasks", "control"];

/// The service for a path like `/containerd.services.content.v1.Content/Read`.
pub fn service_of(path: &str) -> Option<&'static str> {
    let (service, _) = path.strip_prefix('/')?.split_once('/')?;
    if let Some(rest) = service.strip_prefix("containerd.services.") {
        let (area, _) = rest.split_once('.')?;
        return Some(match area {
            "content" => "content",
            "snapshots" | "diff" | "mounts" => "snapshots",
            "images" | "transfer" | "streaming" => "images",
            "containers" | "tasks" | "sandbox" => "tasks",
            "namespaces" | "leases" | "events" | "introspection" | "version" => "control",
            _ => return None,
        });
    }
    // Health and reflection are those of this process, which describe all.
    (service.starts_with("grpc.health.") || service.starts_with("grpc.reflection.")).then_some("control")
}

#[cfg(test)]
mod tests {
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
            ("/containerd.services.content", None),
            ("", None),
        ] {
            assert_eq!(service_of(path), service, "{path}");
        }
        for service in SERVICES {
            assert!(!service.is_empty());
        }
    }
}
