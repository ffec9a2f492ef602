use crate::{CONTROL, Confinement, Descriptor, Network, Plugin, Privileges, RUNTIME, Records};

/// Container records and running shims.
pub static TASKS: Descriptor = Descriptor {
    name: "tasks",
    about: "running containers",
    after: &[&CONTROL],
    packages: &[
        "containerd.services.containers.v1",
        "containerd.services.tasks.v1",
        "containerd.services.sandbox.v1",
    ],
    plugins: &[
        Plugin::grpc("containers"),
        Plugin::grpc("sandbox-controllers"),
        Plugin::grpc("sandboxes"),
        Plugin::grpc("tasks"),
        Plugin::service("containers-service"),
        Plugin::service("tasks-service"),
        // The labels of the restart monitor: clients look for this plugin before they set them.
        Plugin::new("io.containerd.monitor.container.v1", "restart").able(&[
            "no",
            "always",
            "on-failure",
            "unless-stopped",
        ]),
        RUNTIME,
        Plugin::new("io.containerd.sandbox.controller.v1", "shim"),
        Plugin::new("io.containerd.sandbox.store.v1", "local"),
    ],
    resources: &["containers", "sandboxes"],
    records: Records::Kept(&[]),
    door: None,
    // It starts shims, which need every privilege; a confinement would apply to them and their containers too.
    privileges: Privileges::All,
    network: Network::None,
    confinement: Confinement::None,
};
