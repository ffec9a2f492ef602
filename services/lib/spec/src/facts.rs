//! Facts about the host.

use std::path::Path;

/// Facts about the host.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The host has cgroup v2 only.
    pub cgroup_v2: bool,
    /// systemd manages the cgroups.
    pub systemd: bool,
    /// Swap can be limited.
    pub swap_limit: bool,
    /// Containers can be confined by AppArmor.
    pub apparmor: bool,
    /// The kernel has seccomp filters.
    pub seccomp: bool,
    /// The host's name.
    pub hostname: String,
}

impl Facts {
    /// Detects the facts.
    pub fn detect() -> Facts {
        let cgroup_v2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        Facts {
            cgroup_v2,
            systemd: cgroup_v2 && gantry_systemd::is_running(),
            swap_limit: cgroup_v2 || Path::new("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes").exists(),
            apparmor: gantry_host::apparmor::is_supported(),
            seccomp: Path::new("/proc/sys/kernel/seccomp/actions_avail").exists(),
            hostname: read("/proc/sys/kernel/hostname").trim().to_owned(),
        }
    }
}

#[cfg(test)]
impl Facts {
    /// A host with cgroup v1 and without AppArmor, for tests.
    pub(crate) fn plain() -> Facts {
        Facts {
            cgroup_v2: false,
            systemd: false,
            swap_limit: true,
            apparmor: false,
            seccomp: true,
            hostname: "machine".to_owned(),
        }
    }
}
