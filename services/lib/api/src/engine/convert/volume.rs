//! Volumes.

use gantry_proto::gantry::engine::v1 as pb;

use super::{nanoseconds, timestamp};
use crate::engine::{Volume, VolumeSpec};

impl From<Volume> for pb::Volume {
    fn from(volume: Volume) -> Self {
        pb::Volume {
            name: volume.name,
            driver: volume.driver,
            mountpoint: volume.mountpoint,
            created_at: timestamp(volume.created_at),
            labels: volume.labels,
            options: volume.options,
            scope: volume.scope,
            size: volume.size,
            ref_count: volume.ref_count,
            anonymous: volume.anonymous,
            status: volume.status,
        }
    }
}

impl From<pb::Volume> for Volume {
    fn from(volume: pb::Volume) -> Self {
        Volume {
            name: volume.name,
            driver: volume.driver,
            mountpoint: volume.mountpoint,
            created_at: nanoseconds(volume.created_at),
            labels: volume.labels,
            options: volume.options,
            scope: volume.scope,
            size: volume.size,
            ref_count: volume.ref_count,
            anonymous: volume.anonymous,
            status: volume.status,
        }
    }
}

impl From<VolumeSpec> for pb::CreateVolumeRequest {
    fn from(spec: VolumeSpec) -> Self {
        pb::CreateVolumeRequest {
            name: spec.name,
            driver: spec.driver,
            driver_opts: spec.driver_opts,
            labels: spec.labels,
        }
    }
}

impl From<pb::CreateVolumeRequest> for VolumeSpec {
    fn from(spec: pb::CreateVolumeRequest) -> Self {
        VolumeSpec {
            name: spec.name,
            driver: spec.driver,
            driver_opts: spec.driver_opts,
            labels: spec.labels,
        }
    }
}
