//! The confinement of a container's processes.

use std::collections::BTreeSet;

use gantry_host::apparmor::{DEFAULT_PROFILE, UNCONFINED};
use oci_spec::runtime::{LinuxSeccomp, PosixRlimit, PosixRlimitBuilder, PosixRlimitType};

use crate::{Error, Facts, Result, Seccomp, Security, capabilities, seccomp};

/// The confinement of every process of a container.
#[derive(Clone, Debug, Default)]
pub struct Confinement {
    /// All capabilities, devices and system calls of the host.
    pub privileged: bool,
    /// Capabilities to add, as the user wrote them.
    pub add: Vec<String>,
    /// Capabilities to drop, as the user wrote them.
    pub drop: Vec<String>,
    /// The seccomp filter and the AppArmor profile.
    pub security: Security,
    /// The resource limits of each process.
    pub rlimits: Vec<Rlimit>,
}

/// A limit of setrlimit(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rlimit {
    /// Docker's short name: `nofile`.
    pub name: String,
    /// Negative: no limit.
    pub soft: i64,
    /// Negative: no limit.
    pub hard: i64,
}

impl Confinement {
    /// The capabilities of the processes.
    pub(crate) fn capabilities(&self) -> Result<BTreeSet<String>> {
        capabilities::resolve(&self.add, &self.drop, self.privileged)
    }

    /// The AppArmor profile of the processes; `None` without confinement by AppArmor.
    pub fn apparmor_profile(&self, facts: &Facts) -> Option<String> {
        match self.security.apparmor.as_str() {
            _ if !facts.apparmor => None,
            "" if self.privileged => Some(UNCONFINED.to_owned()),
            "" => Some(DEFAULT_PROFILE.to_owned()),
            named => Some(named.to_owned()),
        }
    }

    /// The seccomp filter, which depends on the `capabilities`.
    pub(crate) fn seccomp(
        &self,
        capabilities: &BTreeSet<String>,
        facts: &Facts,
    ) -> Result<Option<LinuxSeccomp>> {
        Ok(match (&self.security.seccomp, self.privileged) {
            (Seccomp::Unconfined, _) => None,
            _ if !facts.seccomp => None,
            (Seccomp::Default, true) => None,
            (Seccomp::Builtin | Seccomp::Default, _) => Some(seccomp::default_profile(capabilities)),
            (Seccomp::Inline(json), _) => Some(seccomp::parse(json, capabilities)?),
        })
    }

    pub(crate) fn rlimits(&self) -> Result<Vec<PosixRlimit>> {
        let made = |own: &Rlimit| {
            let builder = PosixRlimitBuilder::default().typ(rlimit_name(&own.name)?);
            Ok(builder.soft(limit(own.soft)).hard(limit(own.hard)).build()?)
        };
        self.rlimits.iter().map(made).collect()
    }
}

/// -1 means no limit.
fn limit(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

/// The rlimit of Docker's short name.
pub fn rlimit_name(name: &str) -> Result<PosixRlimitType> {
    Ok(match name {
        "core" => PosixRlimitType::RlimitCore,
        "cpu" => PosixRlimitType::RlimitCpu,
        "data" => PosixRlimitType::RlimitData,
        "fsize" => PosixRlimitType::RlimitFsize,
        "locks" => PosixRlimitType::RlimitLocks,
        "memlock" => PosixRlimitType::RlimitMemlock,
        "msgqueue" => PosixRlimitType::RlimitMsgqueue,
        "nice" => PosixRlimitType::RlimitNice,
        "nofile" => PosixRlimitType::RlimitNofile,
        "nproc" => PosixRlimitType::RlimitNproc,
        "rss" => PosixRlimitType::RlimitRss,
        "rtprio" => PosixRlimitType::RlimitRtprio,
        "rttime" => PosixRlimitType::RlimitRttime,
        "sigpending" => PosixRlimitType::RlimitSigpending,
        "stack" => PosixRlimitType::RlimitStack,
        other => return Err(Error::Ulimit(other.to_owned())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Exec, Process, exec_process};

    #[test]
    fn a_profile_is_the_default_unless_something_is_said() {
        let supported = Facts { apparmor: true, ..Facts::plain() };
        for (apparmor, privileged, profile) in [
            ("", false, "docker-default"),
            ("", true, "unconfined"),
            ("unconfined", false, "unconfined"),
            ("mine", false, "mine"),
            ("mine", true, "mine"),
        ] {
            let security = Security { apparmor: apparmor.to_owned(), ..Security::default() };
            let confinement = Confinement { security, privileged, ..Confinement::default() };
            let got = confinement.apparmor_profile(&supported);
            assert_eq!(got.as_deref(), Some(profile), "{apparmor} {privileged}");
            assert_eq!(confinement.apparmor_profile(&Facts::plain()), None, "where there is none");
            let exec = Exec { process: Process::default(), privileged: false };
            let process = exec_process(&exec, &confinement, &supported).expect("valid");
            assert_eq!(process.apparmor_profile().as_deref(), Some(profile), "an exec's");
        }
    }
}
