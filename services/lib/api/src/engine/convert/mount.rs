//! Conversions of mounts.

use gantry_proto::gantry::engine::v1 as pb;

use super::{values, words};
use crate::engine::{BindOptions, Mount, MountPoint, TmpfsOptions, VolumeOptions};

alike!(
    Mount,
    pb::Mount {
        r#type,
        source,
        target,
        read_only,
        consistency,
        bind_options: maybe,
        volume_options: maybe,
        tmpfs_options: maybe,
        image_subpath,
    }
);

alike!(
    BindOptions,
    pb::BindOptions {
        propagation,
        non_recursive,
        create_mountpoint,
        read_only_non_recursive,
        read_only_force_recursive,
    }
);

alike!(VolumeOptions, pb::VolumeOptions { no_copy, labels, subpath, driver, driver_options });

alike!(TmpfsOptions, pb::TmpfsOptions { size_bytes, mode, options: each(words, values) });

alike!(MountPoint, pb::MountPoint { r#type, name, source, destination, driver, mode, rw, propagation });
