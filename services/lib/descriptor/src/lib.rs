//! The facts about each service that others need before it runs: a [`Descriptor`] for each, in a file of its name.
//!
//! Code that goes through all services, or needs a fact about another service, reads it here and keeps no list of its
//! own:
//!
//! | reader | what it reads |
//! | --- | --- |
//! | the process itself (`gantry-daemon`) | name, privileges, confinement |
//! | `gantry`: `up`, `down`, `status`, `fsck`, `backup`, `metrics` | names in order, records, data, door |
//! | `gantry-api`: clients, metrics | names |
//! | `control`: front socket, introspection, collection | packages, plugins, resources |
//! | `gantryd` | its help text; a test compares its services with these |
//! | the units in `deploy/systemd` | everything: a test compares them byte for byte |
//! | the fault and end-to-end tests | names, records, privileges |
//!
//! The services' own crates do not export their descriptors, because most readers must not link those crates:
//! `gantry` and `control` are clients of services that they do not contain. So this library depends on nothing but
//! the names of capabilities.
//!
//! To add a service: write its crate, its descriptor here with a line in [`SERVICES`], and its line in `gantryd`,
//! which alone links every service; then run `make units`.

mod content;
mod control;
mod engine;
mod gateway;
mod images;
mod network;
mod plugin;
mod snapshots;
mod tasks;

pub use caps::Capability;

pub use content::CONTENT;
pub use control::CONTROL;
pub use engine::ENGINE;
pub use gateway::GATEWAY;
pub use images::IMAGES;
pub use network::NETWORK;
pub use plugin::{Export, Plugin, RUNTIME};
pub use snapshots::SNAPSHOTS;
pub use tasks::TASKS;

/// The services of a host, in the order in which they need each other.
pub static SERVICES: [&Descriptor; 8] =
    [&CONTROL, &CONTENT, &SNAPSHOTS, &IMAGES, &TASKS, &NETWORK, &ENGINE, &GATEWAY];

/// The facts about a service.
#[derive(Debug)]
pub struct Descriptor {
    /// The name of the subcommand, the sockets, the state directory and the unit.
    pub name: &'static str,
    /// Its purpose in a few words, for the help text and the unit.
    pub about: &'static str,
    /// The services that it needs. It is started without waiting for them, and works as soon as they answer.
    pub after: &'static [&'static Descriptor],
    /// containerd's gRPC packages that the front socket forwards to it. Each package is forwarded to one service
    /// only.
    pub packages: &'static [&'static str],
    /// Its entries in containerd's list of plugins.
    pub plugins: &'static [Plugin],
    /// The resource types that it collects (`gantry.gc.v1.Collector`). One that ends with `/` stands for all types
    /// that begin with it.
    pub resources: &'static [&'static str],
    /// Whether it has a database, in `<state>/<service>/db`.
    pub records: Records,
    /// A socket that outlives the service: its supervisor listens on it, and passes the listening socket to the
    /// service.
    pub door: Option<&'static str>,
    /// The privileges that the process keeps.
    pub privileges: Privileges,
    /// The network that it needs.
    pub network: Network,
    /// The files and system calls that it may use once it has started.
    pub confinement: Confinement,
}

/// The durable data of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Records {
    /// None: the service translates.
    None,
    /// A database (`gantry.records.v1.Records`), and the directories, below the service's own, of what the records
    /// refer to. A backup with data has them too.
    Kept(&'static [&'static str]),
}

/// The privileges that a service keeps.
#[derive(Debug, Clone, Copy)]
pub enum Privileges {
    /// All of them: it starts processes that need them.
    All,
    /// These capabilities, and no way to gain others (`no_new_privs`). Under systemd, a service without any has a
    /// user of its own.
    Only(&'static [Capability]),
}

/// Which network a service needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// None but unix sockets.
    None,
    /// It connects to other hosts.
    Connects,
    /// It listens for other processes, on addresses in its settings.
    Listens,
    /// It configures the host's network.
    Governs,
}

/// The confinement of a service that has started.
#[derive(Debug, Clone, Copy)]
pub enum Confinement {
    /// None: the processes that it starts would inherit it, and outlive the service.
    None,
    /// All files, because a process under Landlock may not change mounts; the common system calls, and these
    /// families.
    Calls(&'static [Family], Mounts),
    /// The common system calls, and the service's own files and these.
    Files(Files),
}

/// System calls that only some services may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Mounting, attached or detached.
    Mounts,
    /// Making and joining namespaces.
    Namespaces,
    /// Starting programs.
    Programs,
}

/// Where the mounts of a service are visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mounts {
    /// In the service alone.
    Own,
    /// On the host, where others use them.
    Host,
}

/// The files that a service reads beside its own and those in its settings.
#[derive(Debug, Clone, Copy)]
pub enum Files {
    /// These.
    These(&'static [&'static str]),
    /// Those for resolving names and verifying certificates.
    ReachingHosts,
}

impl Descriptor {
    /// Whether the service collects resources of this type.
    pub fn collects(&self, kind: &str) -> bool {
        let is = |own: &&str| if own.ends_with('/') { kind.starts_with(*own) } else { kind == *own };
        self.resources.iter().any(is)
    }

    /// Whether it has a database.
    pub fn keeps_records(&self) -> bool {
        self.records != Records::None
    }

    /// The directories of what its records refer to.
    pub fn data(&self) -> &'static [&'static str] {
        match self.records {
            Records::None => &[],
            Records::Kept(data) => data,
        }
    }

    /// Whether it keeps no privilege.
    pub fn is_unprivileged(&self) -> bool {
        matches!(self.privileges, Privileges::Only([]))
    }
}

/// The service of a name.
pub fn find(name: &str) -> Option<&'static Descriptor> {
    SERVICES.into_iter().find(|service| service.name == name)
}

/// The names of all services, in order.
pub fn names() -> impl DoubleEndedIterator<Item = &'static str> {
    SERVICES.iter().map(|service| service.name)
}

/// The names of the services with a database, in order.
pub fn keepers() -> impl DoubleEndedIterator<Item = &'static str> {
    SERVICES.iter().filter(|service| service.keeps_records()).map(|service| service.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_comes_after_what_it_needs() {
        for (number, service) in SERVICES.iter().enumerate() {
            for needed in service.after {
                let before = SERVICES[..number].iter().any(|other| other.name == needed.name);
                assert!(before, "{} needs {}", service.name, needed.name);
            }
        }
    }

    /// Asserts that no two services have the same.
    fn is_one_s<T: Ord + std::fmt::Debug>(of: impl Fn(&'static Descriptor) -> Vec<T>) {
        let mut all: Vec<T> = SERVICES.into_iter().flat_map(of).collect();
        all.sort();
        assert_eq!(all.windows(2).find(|pair| pair[0] == pair[1]), None);
    }

    #[test]
    fn nothing_is_two_services() {
        is_one_s(|service| vec![service.name]);
        is_one_s(|service| service.packages.to_vec());
        is_one_s(|service| service.resources.to_vec());
        is_one_s(|service| service.door.into_iter().collect());
        is_one_s(|service| service.plugins.iter().map(|plugin| (plugin.kind, plugin.id)).collect());
    }

    #[test]
    fn who_mounts_is_not_under_landlock() {
        for service in SERVICES {
            let admin = matches!(service.privileges, Privileges::Only(kept) if kept.contains(&Capability::CAP_SYS_ADMIN));
            assert!(!admin || matches!(service.confinement, Confinement::Calls(..)), "{}", service.name);
        }
    }
}
