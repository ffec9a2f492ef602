//! Files and TCP, by landlock(7) (Linux 5.13; TCP since 6.7, signals and abstract sockets since 6.12).

use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, NetPort, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

use super::Watched;

/// The newest version of the rules; older kernels enforce the part that they know.
const NEWEST: ABI = ABI::V6;

/// The TCP that a service may use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Tcp {
    /// None.
    #[default]
    None,
    /// Connections to any address.
    Connect,
    /// Listening on these ports.
    Listen(Vec<u16>),
}

/// The files that a service may open. A path that does not exist at its start stays inaccessible.
#[derive(Debug, Clone, Default)]
pub struct Files {
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
    tcp: Tcp,
    connect: bool,
}

impl Files {
    /// Allows reading files, and directories with everything below.
    pub fn read<P: Into<PathBuf>>(mut self, paths: impl IntoIterator<Item = P>) -> Self {
        self.read.extend(paths.into_iter().map(Into::into));
        self
    }

    /// Allows changing files, and directories with everything below. No file there can be executed.
    pub fn write<P: Into<PathBuf>>(mut self, paths: impl IntoIterator<Item = P>) -> Self {
        self.write.extend(paths.into_iter().map(Into::into));
        self
    }

    /// Adds further files to read, and TCP.
    pub(super) fn beside(self, named: Files) -> Self {
        self.read(named.read).tcp(named.tcp)
    }

    /// Sets the TCP that it may use; the default is none.
    pub fn tcp(self, tcp: Tcp) -> Self {
        Self { tcp, ..self }
    }

    pub(super) fn connecting(self) -> Self {
        Self { connect: true, ..self }
    }

    /// Enforces the rules. Returns what the kernel does not support.
    pub(super) fn apply(&self) -> Result<Option<String>, RulesetError> {
        let all = AccessFs::from_all(NEWEST);
        let mut rules = Ruleset::default().set_compatibility(CompatLevel::BestEffort).handle_access(all)?;
        let connects = self.connect || self.tcp == Tcp::Connect;
        rules = rules.handle_access(AccessNet::BindTcp)?;
        if !connects {
            rules = rules.handle_access(AccessNet::ConnectTcp)?;
        }
        let mut rules = rules
            .scope(Scope::from_all(NEWEST))?
            .create()?
            .add_rules(path_beneath_rules(&self.read, AccessFs::ReadFile | AccessFs::ReadDir))?
            .add_rules(path_beneath_rules(&self.write, all & !AccessFs::Execute))?;
        if let Tcp::Listen(ports) = &self.tcp {
            for port in ports {
                rules = rules.add_rule(NetPort::new(*port, AccessNet::BindTcp))?;
            }
        }
        Ok(match rules.restrict_self()?.ruleset {
            RulesetStatus::FullyEnforced => None,
            RulesetStatus::PartiallyEnforced => {
                Some("this kernel's Landlock knows only some of the rules about files and TCP".to_owned())
            }
            RulesetStatus::NotEnforced => {
                Some("this kernel has no Landlock: files and TCP are not confined".to_owned())
            }
        })
    }

    /// The paths of the read rules. Only the service itself replaces files in the directories that it may change.
    pub(super) fn watched(&self) -> Vec<Watched> {
        self.read.iter().map(|path| Watched::of(path)).collect()
    }
}
