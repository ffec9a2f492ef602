//! Conversions of the engine's figures.

use gantry_proto::gantry::engine::v1 as pb;

use crate::engine::{ImageUse, Info};

alike!(
    Info,
    pb::InfoResponse {
        id,
        containers,
        running,
        paused,
        stopped,
        root,
        snapshotter,
        cgroup_version,
        seccomp,
        apparmor,
        runtimes,
        default_runtime,
        warnings,
        image_uses: each,
        cgroup_driver,
        volume_drivers,
        log_drivers,
    }
);

alike!(ImageUse, pb::info_response::ImageUse { container_id, reference, image_id, running });
