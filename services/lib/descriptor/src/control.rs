use crate::{Confinement, Descriptor, Files, Network, Plugin, Privileges, Records};

/// Namespaces, leases, events, garbage collection, introspection, and the front socket.
pub static CONTROL: Descriptor = Descriptor {
    name: "control",
    about: "namespaces, leases, events, collection, the front socket",
    after: &[],
    packages: &[
        "containerd.services.namespaces.v1",
        "containerd.services.leases.v1",
        "containerd.services.events.v1",
        "containerd.services.introspection.v1",
        "containerd.services.version.v1",
    ],
    plugins: &[
        Plugin::grpc("events"),
        Plugin::grpc("healthcheck"),
        Plugin::grpc("introspection"),
        Plugin::grpc("leases"),
        Plugin::grpc("namespaces"),
        Plugin::grpc("version"),
        Plugin::service("introspection-service"),
        Plugin::service("leases-service"),
        Plugin::service("namespaces-service"),
        Plugin::new("io.containerd.event.v1", "exchange"),
        Plugin::new("io.containerd.gc.v1", "scheduler"),
        Plugin::new("io.containerd.lease.v1", "manager"),
    ],
    resources: &[],
    records: Records::Kept(&[]),
    door: None,
    privileges: Privileges::Only(&[]),
    network: Network::None,
    confinement: Confinement::Files(Files::These(&[])),
};
