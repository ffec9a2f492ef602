//! The deadlines of every method.
//!
//! A method that only reads has [`READ`], one that changes something has [`CHANGE`]. Streams, and the methods listed
//! below, last as long as both sides want; they end when the service does not show that it is alive
//! ([`Bound::Alive`]). When a caller gives up a change, the result is the same as after the caller's death: the
//! service carries the change to its end, or undoes it, at the latest by recovery.

use std::time::Duration;

use gantry_proto::Effect;
use gantry_rpc::Bound;

/// Enough for a living service on a busy host.
const READ: Duration = Duration::from_secs(10);
/// Enough for a durable change there, and for the work of a shim or the kernel.
const CHANGE: Duration = Duration::from_secs(60);

/// Calls with one response that may rightly take longer, and why.
const LASTING: &[(&str, Bound, &str)] = &[
    ("/containerd.services.diff.v1.Diff/Apply", Bound::Alive, "unpacks a layer"),
    ("/containerd.services.diff.v1.Diff/Diff", Bound::Alive, "reads two trees and packs what differs"),
    ("/containerd.services.images.v1.Images/Delete", Bound::Alive, "collects garbage, if asked to"),
    ("/containerd.services.introspection.v1.Introspection/PluginInfo", RUNTIME, "asks a runtime's program"),
    ("/containerd.services.leases.v1.Leases/Delete", Bound::Alive, "collects garbage, if asked to"),
    ("/containerd.services.sandbox.v1.Controller/Create", RUNTIME, "starts a shim"),
    ("/containerd.services.sandbox.v1.Controller/Shutdown", RUNTIME, "waits for a shim's end"),
    ("/containerd.services.sandbox.v1.Controller/Start", RUNTIME, "runs a runtime's program"),
    (
        "/containerd.services.sandbox.v1.Controller/Stop",
        Bound::Alive,
        "takes the time that its caller gives processes",
    ),
    ("/containerd.services.sandbox.v1.Controller/Wait", Bound::Alive, "is about waiting"),
    ("/containerd.services.snapshots.v1.Snapshots/Cleanup", Bound::Alive, "removes trees"),
    ("/containerd.services.snapshots.v1.Snapshots/Commit", Bound::Alive, "measures a tree"),
    ("/containerd.services.snapshots.v1.Snapshots/Prepare", Bound::Alive, "copies a tree, without overlayfs"),
    (
        "/containerd.services.snapshots.v1.Snapshots/Remove",
        Bound::Alive,
        "removes a tree, if asked to at once",
    ),
    ("/containerd.services.snapshots.v1.Snapshots/Usage", Bound::Alive, "measures a tree"),
    ("/containerd.services.snapshots.v1.Snapshots/View", Bound::Alive, "copies a tree, without overlayfs"),
    ("/containerd.services.tasks.v1.Tasks/Checkpoint", RUNTIME, "runs a runtime's program"),
    ("/containerd.services.tasks.v1.Tasks/Create", RUNTIME, "starts a shim, which runs a runtime's program"),
    ("/containerd.services.tasks.v1.Tasks/Start", RUNTIME, "runs a runtime's program"),
    ("/containerd.services.tasks.v1.Tasks/Wait", Bound::Alive, "is about waiting"),
    ("/containerd.services.transfer.v1.Transfer/Transfer", Bound::Alive, "goes at a registry's pace"),
    ("/gantry.engine.v1.Containers/Changes", Bound::Alive, "reads a tree"),
    ("/gantry.engine.v1.Containers/Commit", Bound::Alive, "packs a layer"),
    (
        "/gantry.engine.v1.Containers/Create",
        Bound::Alive,
        "unpacks layers, and copies what volumes begin with",
    ),
    ("/gantry.engine.v1.Containers/Get", Bound::Alive, "measures a tree, if asked to"),
    ("/gantry.engine.v1.Containers/Kill", Bound::Alive, "waits for a container's turn"),
    ("/gantry.engine.v1.Containers/List", Bound::Alive, "measures trees, if asked to"),
    ("/gantry.engine.v1.Containers/Prune", Bound::Alive, "removes any number"),
    ("/gantry.engine.v1.Containers/Remove", Bound::Alive, "waits for a process's end and its last lines"),
    ("/gantry.engine.v1.Containers/Restart", Bound::Alive, "takes the time that its caller gives processes"),
    (
        "/gantry.engine.v1.Containers/Start",
        Bound::Alive,
        "waits for volumes' servers and for who wants to be attached",
    ),
    ("/gantry.engine.v1.Containers/Stop", Bound::Alive, "takes the time that its caller gives processes"),
    ("/gantry.engine.v1.Volumes/List", Bound::Alive, "measures volumes, if asked to"),
    ("/gantry.engine.v1.Volumes/Prune", Bound::Alive, "removes any number"),
    ("/gantry.engine.v1.Volumes/Remove", Bound::Alive, "removes a tree"),
    ("/gantry.gc.v1.Collector/Sweep", Bound::Alive, "removes any number"),
    ("/gantry.gc.v1.Fsck/Check", Bound::Alive, "reads all that there is"),
    ("/gantry.gc.v1.Gc/Collect", Bound::Alive, "collects garbage"),
    ("/gantry.gc.v1.Gc/Hold", Bound::Alive, "waits for the end of a sweep"),
    ("/gantry.images.v1.ImageStore/Commit", Bound::Alive, "packs a layer"),
    ("/gantry.images.v1.ImageStore/Distribution", Bound::Alive, "goes at a registry's pace"),
    ("/gantry.images.v1.ImageStore/EnsureUnpacked", Bound::Alive, "unpacks layers"),
    ("/gantry.images.v1.ImageStore/Login", Bound::Alive, "goes at a registry's pace"),
    ("/gantry.images.v1.ImageStore/Prune", Bound::Alive, "removes any number"),
    ("/gantry.images.v1.ImageStore/Remove", Bound::Alive, "collects garbage"),
    ("/gantry.records.v1.Records/Copy", Bound::Alive, "copies a database"),
];
/// Enough for the largest layer.
const OTHERS: Bound = Bound::Within(Duration::from_secs(600));
/// A shim has sixty seconds for a call to a runtime, after its own start.
const RUNTIME: Bound = Bound::Within(Duration::from_secs(150));

/// The deadline of the method at a path.
pub fn of(path: &str) -> Bound {
    let method = gantry_proto::method(path);
    let lasting = LASTING.iter().find(|(named, ..)| *named == path).map(|(_, bound, _)| *bound);
    lasting.unwrap_or(match method {
        Some(method) if !method.streams => Bound::Within(match method.effect {
            Effect::None => READ,
            Effect::Repeatable | Effect::Once => CHANGE,
        }),
        // Streams, and methods that no proto here has.
        Some(_) | None => Bound::Alive,
    })
}

/// The deadline of the method at a path when another program serves it, such as a proxy plugin. Not every gRPC server
/// answers a ping every ten seconds, so calls that last have a limit here.
pub fn of_others(path: &str) -> Bound {
    match of(path) {
        Bound::Alive => OTHERS,
        bound @ (Bound::Within(_) | Bound::Open) => bound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_a_method_with_one_answer() {
        for (path, ..) in LASTING {
            let method = gantry_proto::method(path).unwrap_or_else(|| panic!("{path} is no method"));
            assert!(!method.streams, "{path} is a stream");
        }
        assert!(LASTING.is_sorted_by_key(|(path, ..)| path));
    }

    #[test]
    fn every_call_has_terms() {
        for (path, bound) in [
            ("/gantry.engine.v1.System/Info", Bound::Within(READ)),
            ("/gantry.engine.v1.Containers/Rename", Bound::Within(CHANGE)),
            ("/gantry.network.v1.NetworkNamespaces/Attach", Bound::Within(CHANGE)),
            ("/containerd.services.tasks.v1.Tasks/Create", RUNTIME),
            ("/containerd.services.tasks.v1.Tasks/Wait", Bound::Alive),
            ("/containerd.services.events.v1.Events/Subscribe", Bound::Alive),
            ("/grpc.health.v1.Health/Check", Bound::Alive),
        ] {
            assert_eq!(of(path), bound, "{path}");
        }
    }
}
