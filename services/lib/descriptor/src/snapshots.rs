use crate::{
    CONTENT, Capability, Confinement, Descriptor, Family, Mounts, Network, Plugin, Privileges, Records,
};

/// File-system states.
pub static SNAPSHOTS: Descriptor = Descriptor {
    name: "snapshots",
    about: "file-system states",
    after: &[&CONTENT],
    packages: &["containerd.services.snapshots.v1", "containerd.services.diff.v1"],
    plugins: &[
        Plugin::grpc("snapshots"),
        Plugin::grpc("diff"),
        Plugin::service("snapshots-service"),
        Plugin::service("diff-service"),
        // The service itself reports its snapshotters and differs, with their capabilities, when it runs.
    ],
    resources: &["snapshots/"],
    records: Records::Kept(&["overlayfs/snapshots", "native/snapshots", "gantry/snapshots"]),
    door: None,
    // Mounts need SYS_ADMIN. Layers are written with their owners, modes, devices and attributes.
    privileges: Privileges::Only(&[
        Capability::CAP_CHOWN,
        Capability::CAP_DAC_OVERRIDE,
        Capability::CAP_DAC_READ_SEARCH,
        Capability::CAP_FOWNER,
        Capability::CAP_FSETID,
        Capability::CAP_MKNOD,
        Capability::CAP_SETFCAP,
        Capability::CAP_SYS_ADMIN,
    ]),
    network: Network::None,
    confinement: Confinement::Calls(&[Family::Mounts], Mounts::Own),
};
