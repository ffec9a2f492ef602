use crate::{Confinement, Descriptor, ENGINE, Files, Network, Privileges, Records};

/// The Docker API.
pub static GATEWAY: Descriptor = Descriptor {
    name: "gateway",
    about: "the Docker API",
    after: &[&ENGINE],
    packages: &[],
    plugins: &[],
    resources: &[],
    records: Records::None,
    door: Some("docker.sock"),
    privileges: Privileges::Only(&[]),
    network: Network::Listens,
    confinement: Confinement::Files(Files::These(&["/etc/os-release", "/usr/lib/os-release"])),
};
