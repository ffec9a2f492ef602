//! What is known of each service before it runs: a [`Descriptor`] for each, in a file of its name.
//!
//! Whoever goes through all services, or needs a fact about one that is not its own, reads it here and keeps no list:
//!
//! | reader | what it reads |
//! | --- | --- |
//! | the process itself (`gantry-daemon`) | name, privileges, confinement |
//! | `gantry`: `up`, `down`, `status`, `fsck`, `backup`, `metrics` | names in order, records, data, door |
//! | `gantry-api`: clients, metrics | names |
//! | `control`: front socket, introspection, collection | packages, plugins, resources |
//! | `gantryd` | what the help says; a test there compares its services with these |
//! | the units in `deploy/systemd` | all of it: a test says what they must be, byte for byte |
//! | the fault and end-to-end tests | names, records, privileges |
//!
//! Descriptors are not exported by the services' own crates, because most of these readers must not link them: `gantry` and
//! `control` are clients of services that they do not contain. So this library depends on nothing but the names of
//! capabilities, and anybody may read it.
//!
//! To add a service: write its crate, its descriptor here with a line in [`SERVICES`], and its line in `gantryd`, which alone
//! links every service; then `make units`.

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

/// The services of one machine, in the order in which they need each other.
pub static SERVICES: [&Descriptor; 8] =
    [&CONTROL, &CONTENT, &SNAPSHOTS, &IMAGES, &TASKS, &NETWORK, &ENGINE, &GATEWAY];

/// What Gantry's other parts know of a service.
#[derive(Debug)]
pub struct Descriptor {
    /// The subcommand, the sockets' name, the state directory's name, the unit's.
    pub name: &'static str,
    /// What it is for, in a few words: for the help text and the unit.
    pub about: &'static str,
    /// What must be up before it is of use. It is started without waiting for them, and works as soon as they answer.
    pub after: &'static [&'static Descriptor],
    /// The gRPC packages of containerd's that the front socket leads to it; each leads to one service only.
    pub packages: &'static [&'static str],
    /// What it is in the words of containerd's plugins.
    pub plugins: &'static [Plugin],
    /// The types of things that it collects (`gantry.gc.v1.Collector`); one that ends with `/` is that of all that begin so.
    pub resources: &'static [&'static str],
    /// Whether it keeps records, in `<state>/<service>/db`.
    pub records: Records,
    /// A socket that outlives it: who starts it listens there, and hands the listening socket on.
    pub door: Option<&'static str>,
    /// What the process keeps of root's powers.
    pub privileges: Privileges,
    /// Which network it needs.
    pub network: Network,
    /// What else it may reach once it has started.
    pub confinement: Confinement,
}

/// What a service keeps on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Records {
    /// Nothing: it translates.
    None,
    /// A database (`gantry.records.v1.Records`), and what its records refer to: directories below its own, to be backed up
    /// with the data.
    Kept(&'static [&'static str]),
}

/// What a service keeps of root's powers.
#[derive(Debug, Clone, Copy)]
pub enum Privileges {
    /// Everything: it starts processes that need it.
    All,
    /// These capabilities, and no way to gain others (`no_new_privs`). Without any it has a user of its own under systemd.
    Only(&'static [Capability]),
}

/// Which network a service needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// None but unix sockets.
    None,
    /// It connects to other hosts.
    Connects,
    /// It listens for other processes, at addresses that its settings name.
    Listens,
    /// It configures the host's.
    Governs,
}

/// What a service may still reach once it has started.
#[derive(Debug, Clone, Copy)]
pub enum Confinement {
    /// Everything: what it starts would inherit it, and outlives it.
    None,
    /// All files: a process under Landlock may not change mounts. Of the system calls what everybody needs, and these.
    Calls(&'static [Family], Mounts),
    /// Of the system calls what everybody needs; its own files, and these.
    Files(Files),
}

/// System calls that only some services need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Mounts, attached or not.
    Mounts,
    /// Namespaces, made and joined.
    Namespaces,
    /// Programs, started.
    Programs,
}

/// Where what a service mounts is to be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mounts {
    /// By itself alone.
    Own,
    /// On the host: others use it.
    Host,
}

/// The files that a service reads beside its own, and those that its settings name.
#[derive(Debug, Clone, Copy)]
pub enum Files {
    /// These.
    These(&'static [&'static str]),
    /// What it takes to resolve names and to verify certificates.
    ReachingHosts,
}

impl Descriptor {
    /// Whether things of a type are the service's to collect.
    pub fn collects(&self, kind: &str) -> bool {
        let is = |own: &&str| if own.ends_with('/') { kind.starts_with(*own) } else { kind == *own };
        self.resources.iter().any(is)
    }

    /// Whether it keeps records.
    pub fn keeps_records(&self) -> bool {
        self.records != Records::None
    }

    /// What its records refer to: directories below its own.
    pub fn data(&self) -> &'static [&'static str] {
        match self.records {
            Records::None => &[],
            Records::Kept(data) => data,
        }
    }

    /// Whether it needs nothing of root's powers.
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

/// The names of those that keep records, in order.
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

    /// Looks for what two services have.
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
