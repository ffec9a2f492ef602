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
        // Which snapshotters and differs there are, and what they can do, it tells when it runs.
    ],
    resources: &["snapshots/"],
    records: Records::Kept(&["overlayfs/snapshots", "native/snapshots", "gantry/snapshots"]),
    door: None,
    // Mounts need SYS_ADMIN; layers are written with every owner, mode, device and attribute they say.
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
