use crate::{CONTENT, Confinement, Descriptor, Files, Network, Plugin, Privileges, Records, SNAPSHOTS};

/// Image names, pulls and pushes.
pub static IMAGES: Descriptor = Descriptor {
    name: "images",
    about: "image names, pulls and pushes",
    after: &[&CONTENT, &SNAPSHOTS],
    packages: &[
        "containerd.services.images.v1",
        "containerd.services.transfer.v1",
        "containerd.services.streaming.v1",
    ],
    plugins: &[
        Plugin::grpc("images"),
        Plugin::grpc("streaming"),
        Plugin::grpc("transfer"),
        Plugin::service("images-service"),
        Plugin::new("io.containerd.streaming.v1", "manager"),
        Plugin::new("io.containerd.transfer.v1", "local"),
    ],
    resources: &["images"],
    records: Records::Kept(&[]),
    door: None,
    privileges: Privileges::Only(&[]),
    network: Network::Connects,
    confinement: Confinement::Files(Files::ReachingHosts),
};
