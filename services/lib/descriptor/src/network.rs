use crate::{CONTROL, Capability, Confinement, Descriptor, Family, Mounts, Network, Privileges, Records};

/// Networks, addresses, published ports, names.
pub static NETWORK: Descriptor = Descriptor {
    name: "network",
    about: "networks, addresses, published ports, names",
    after: &[&CONTROL],
    packages: &[],
    plugins: &[],
    resources: &[],
    records: Records::Kept(&[]),
    door: None,
    // Namespaces and pins need SYS_ADMIN, links and rules NET_ADMIN, binding to low ports NET_BIND_SERVICE.
    privileges: Privileges::Only(&[
        Capability::CAP_NET_ADMIN,
        Capability::CAP_NET_BIND_SERVICE,
        Capability::CAP_SYS_ADMIN,
    ]),
    network: Network::Governs,
    // Mounts pin the network namespaces, and the shims must see them.
    confinement: Confinement::Calls(&[Family::Mounts, Family::Namespaces], Mounts::Host),
};
