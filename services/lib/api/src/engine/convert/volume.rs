//! Conversions of volumes.

use gantry_proto::gantry::engine::v1 as pb;

use super::{nanoseconds, timestamp};
use crate::engine::{Volume, VolumeSpec};

alike!(
    Volume,
    pb::Volume {
        name,
        driver,
        mountpoint,
        created_at: by(timestamp, nanoseconds),
        labels,
        options,
        scope,
        size,
        ref_count,
        anonymous,
        status,
    }
);

alike!(VolumeSpec, pb::CreateVolumeRequest { name, driver, driver_opts, labels });
