use crate::{
    CONTENT, Capability, Confinement, Descriptor, Export, Family, Mounts, Network, Plugin, Privileges,
    Records,
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
        Plugin::new("io.containerd.differ.v1", "walking"),
        Plugin::new("io.containerd.snapshotter.v1", "native")
            .exporting(Export::Root("snapshots/native"))
            .on_platform(),
        // Its mounts say with which ids; the shim shows the layers so, without a copy.
        Plugin::new("io.containerd.snapshotter.v1", "overlayfs")
            .exporting(Export::Root("snapshots/overlayfs"))
            .able(&["remap-ids", "only-remap-ids"])
            .on_platform(),
    ],
    resources: &["snapshots/"],
    records: Records::Kept(&["overlayfs/snapshots", "native/snapshots"]),
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
