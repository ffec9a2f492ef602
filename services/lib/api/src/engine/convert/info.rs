//! What the engine says of itself.

use gantry_proto::gantry::engine::v1 as pb;

use crate::engine::{ImageUse, Info};

impl From<Info> for pb::InfoResponse {
    fn from(info: Info) -> Self {
        pb::InfoResponse {
            id: info.id,
            containers: info.containers,
            running: info.running,
            paused: info.paused,
            stopped: info.stopped,
            root: info.root,
            snapshotter: info.snapshotter,
            cgroup_version: info.cgroup_version,
            seccomp: info.seccomp,
            apparmor: info.apparmor,
            runtimes: info.runtimes,
            default_runtime: info.default_runtime,
            warnings: info.warnings,
            image_uses: info.image_uses.into_iter().map(Into::into).collect(),
            cgroup_driver: info.cgroup_driver,
            volume_drivers: info.volume_drivers,
        }
    }
}

impl From<pb::InfoResponse> for Info {
    fn from(info: pb::InfoResponse) -> Self {
        Info {
            id: info.id,
            containers: info.containers,
            running: info.running,
            paused: info.paused,
            stopped: info.stopped,
            root: info.root,
            snapshotter: info.snapshotter,
            cgroup_version: info.cgroup_version,
            seccomp: info.seccomp,
            apparmor: info.apparmor,
            runtimes: info.runtimes,
            default_runtime: info.default_runtime,
            warnings: info.warnings,
            image_uses: info.image_uses.into_iter().map(Into::into).collect(),
            cgroup_driver: info.cgroup_driver,
            volume_drivers: info.volume_drivers,
        }
    }
}

impl From<ImageUse> for pb::info_response::ImageUse {
    fn from(image: ImageUse) -> Self {
        pb::info_response::ImageUse {
            container_id: image.container_id,
            reference: image.reference,
            image_id: image.image_id,
            running: image.running,
        }
    }
}

impl From<pb::info_response::ImageUse> for ImageUse {
    fn from(image: pb::info_response::ImageUse) -> Self {
        ImageUse {
            container_id: image.container_id,
            reference: image.reference,
            image_id: image.image_id,
            running: image.running,
        }
    }
}
