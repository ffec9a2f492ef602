use crate::{
    Capability, Confinement, Descriptor, Family, IMAGES, Mounts, NETWORK, Network, Privileges, Records, TASKS,
};

/// Containers as Docker's users know them.
pub static ENGINE: Descriptor = Descriptor {
    name: "engine",
    about: "containers as Docker users know them",
    after: &[&TASKS, &NETWORK, &IMAGES],
    packages: &[],
    plugins: &[],
    resources: &[],
    records: Records::Kept(&["volumes", "containers"]),
    door: None,
    // The engine sets owners and modes in volumes and copies, mounts roots detached, and opens the roots of running
    // processes.
    privileges: Privileges::Only(&[
        Capability::CAP_CHOWN,
        Capability::CAP_DAC_OVERRIDE,
        Capability::CAP_DAC_READ_SEARCH,
        Capability::CAP_FOWNER,
        Capability::CAP_FSETID,
        Capability::CAP_MKNOD,
        Capability::CAP_SETFCAP,
        Capability::CAP_SYS_ADMIN,
        Capability::CAP_SYS_PTRACE,
    ]),
    network: Network::Connects,
    // Its mounts, and files of the host, are bound into containers.
    confinement: Confinement::Calls(&[Family::Mounts], Mounts::Host),
};
