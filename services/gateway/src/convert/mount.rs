//! Mounts that a client names.

use gantry_api::{alike, engine};

use crate::wire::host_config::{BindOptions, DriverConfig, ImageOptions, Mount, TmpfsOptions, VolumeOptions};

/// From a client.
pub fn to_engine(mount: Mount) -> engine::Mount {
    engine::Mount {
        r#type: mount.kind,
        source: mount.source,
        target: mount.target,
        read_only: mount.read_only,
        consistency: mount.consistency,
        bind_options: mount.bind_options.map(Into::into),
        volume_options: mount.volume_options.map(|options| {
            let driver = options.driver_config.unwrap_or_default();
            engine::VolumeOptions {
                no_copy: options.no_copy,
                labels: options.labels.into_iter().collect(),
                subpath: options.subpath,
                driver: driver.name,
                driver_options: driver.options.into_iter().collect(),
            }
        }),
        tmpfs_options: mount.tmpfs_options.map(Into::into),
        image_subpath: mount.image_options.unwrap_or_default().subpath,
    }
}

/// To a client.
pub fn from_engine(mount: engine::Mount) -> Mount {
    Mount {
        kind: mount.r#type,
        source: mount.source,
        target: mount.target,
        read_only: mount.read_only,
        consistency: mount.consistency,
        bind_options: mount.bind_options.map(Into::into),
        volume_options: mount.volume_options.map(|options| VolumeOptions {
            no_copy: options.no_copy,
            labels: options.labels.into_iter().collect(),
            subpath: options.subpath,
            driver_config: (!options.driver.is_empty() || !options.driver_options.is_empty()).then(|| {
                DriverConfig { name: options.driver, options: options.driver_options.into_iter().collect() }
            }),
        }),
        image_options: (!mount.image_subpath.is_empty())
            .then_some(ImageOptions { subpath: mount.image_subpath }),
        tmpfs_options: mount.tmpfs_options.map(Into::into),
    }
}

alike!(
    BindOptions,
    engine::BindOptions {
        propagation,
        non_recursive,
        create_mountpoint,
        read_only_non_recursive,
        read_only_force_recursive,
    }
);

alike!(TmpfsOptions, engine::TmpfsOptions { size_bytes, mode, options });
