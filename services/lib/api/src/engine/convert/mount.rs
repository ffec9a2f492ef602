//! Mounts.

use gantry_proto::gantry::engine::v1 as pb;

use super::words;
use crate::engine::{BindOptions, Mount, MountPoint, TmpfsOptions, VolumeOptions};

impl From<Mount> for pb::Mount {
    fn from(mount: Mount) -> Self {
        pb::Mount {
            r#type: mount.r#type,
            source: mount.source,
            target: mount.target,
            read_only: mount.read_only,
            consistency: mount.consistency,
            bind_options: mount.bind_options.map(Into::into),
            volume_options: mount.volume_options.map(Into::into),
            tmpfs_options: mount.tmpfs_options.map(Into::into),
            image_subpath: mount.image_subpath,
        }
    }
}

impl From<pb::Mount> for Mount {
    fn from(mount: pb::Mount) -> Self {
        Mount {
            r#type: mount.r#type,
            source: mount.source,
            target: mount.target,
            read_only: mount.read_only,
            consistency: mount.consistency,
            bind_options: mount.bind_options.map(Into::into),
            volume_options: mount.volume_options.map(Into::into),
            tmpfs_options: mount.tmpfs_options.map(Into::into),
            image_subpath: mount.image_subpath,
        }
    }
}

impl From<BindOptions> for pb::BindOptions {
    fn from(options: BindOptions) -> Self {
        pb::BindOptions {
            propagation: options.propagation,
            non_recursive: options.non_recursive,
            create_mountpoint: options.create_mountpoint,
            read_only_non_recursive: options.read_only_non_recursive,
            read_only_force_recursive: options.read_only_force_recursive,
        }
    }
}

impl From<pb::BindOptions> for BindOptions {
    fn from(options: pb::BindOptions) -> Self {
        BindOptions {
            propagation: options.propagation,
            non_recursive: options.non_recursive,
            create_mountpoint: options.create_mountpoint,
            read_only_non_recursive: options.read_only_non_recursive,
            read_only_force_recursive: options.read_only_force_recursive,
        }
    }
}

impl From<VolumeOptions> for pb::VolumeOptions {
    fn from(options: VolumeOptions) -> Self {
        pb::VolumeOptions {
            no_copy: options.no_copy,
            labels: options.labels,
            subpath: options.subpath,
            driver: options.driver,
            driver_options: options.driver_options,
        }
    }
}

impl From<pb::VolumeOptions> for VolumeOptions {
    fn from(options: pb::VolumeOptions) -> Self {
        VolumeOptions {
            no_copy: options.no_copy,
            labels: options.labels,
            subpath: options.subpath,
            driver: options.driver,
            driver_options: options.driver_options,
        }
    }
}

impl From<TmpfsOptions> for pb::TmpfsOptions {
    fn from(options: TmpfsOptions) -> Self {
        pb::TmpfsOptions {
            size_bytes: options.size_bytes,
            mode: options.mode,
            options: options.options.into_iter().map(words).collect(),
        }
    }
}

impl From<pb::TmpfsOptions> for TmpfsOptions {
    fn from(options: pb::TmpfsOptions) -> Self {
        TmpfsOptions {
            size_bytes: options.size_bytes,
            mode: options.mode,
            options: options.options.into_iter().map(|words| words.values).collect(),
        }
    }
}

impl From<MountPoint> for pb::MountPoint {
    fn from(point: MountPoint) -> Self {
        pb::MountPoint {
            r#type: point.r#type,
            name: point.name,
            source: point.source,
            destination: point.destination,
            driver: point.driver,
            mode: point.mode,
            rw: point.rw,
            propagation: point.propagation,
        }
    }
}

impl From<pb::MountPoint> for MountPoint {
    fn from(point: pb::MountPoint) -> Self {
        MountPoint {
            r#type: point.r#type,
            name: point.name,
            source: point.source,
            destination: point.destination,
            driver: point.driver,
            mode: point.mode,
            rw: point.rw,
            propagation: point.propagation,
        }
    }
}
