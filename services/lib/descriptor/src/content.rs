use crate::{CONTROL, Confinement, Descriptor, Export, Files, Network, Plugin, Privileges, Records};

/// Blobs by digest.
pub static CONTENT: Descriptor = Descriptor {
    name: "content",
    about: "blobs by digest",
    after: &[&CONTROL],
    packages: &["containerd.services.content.v1"],
    plugins: &[
        Plugin::grpc("content"),
        Plugin::service("content-service"),
        Plugin::new("io.containerd.content.v1", "content").exporting(Export::Root("content")),
        // A blob of one namespace is shared with the others, as by containerd's default.
        Plugin::new("io.containerd.metadata.v1", "bolt").exporting(Export::Value("policy", "shared")),
    ],
    resources: &["content", "ingests"],
    records: Records::Kept(&["blobs/sha256", "blobs/sha384", "blobs/sha512"]),
    door: None,
    privileges: Privileges::Only(&[]),
    network: Network::None,
    confinement: Confinement::Files(Files::These(&[])),
};
