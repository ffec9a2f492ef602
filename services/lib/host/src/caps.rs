//! Capabilities: what a service keeps of root's powers.
//!
//! Capability sets belong to threads, not to processes: call these before any thread is started (the ones made later
//! inherit them).

use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::{Error, Result};

/// A capability, in the kernel's order.
pub use rustix::thread::CapabilitySet as Set;

const NAMES: [(&str, CapabilitySet); 41] = [
    ("CAP_CHOWN", CapabilitySet::CHOWN),
    ("CAP_DAC_OVERRIDE", CapabilitySet::DAC_OVERRIDE),
    ("CAP_DAC_READ_SEARCH", CapabilitySet::DAC_READ_SEARCH),
    ("CAP_FOWNER", CapabilitySet::FOWNER),
    ("CAP_FSETID", CapabilitySet::FSETID),
    ("CAP_KILL", CapabilitySet::KILL),
    ("CAP_SETGID", CapabilitySet::SETGID),
    ("CAP_SETUID", CapabilitySet::SETUID),
    ("CAP_SETPCAP", CapabilitySet::SETPCAP),
    ("CAP_LINUX_IMMUTABLE", CapabilitySet::LINUX_IMMUTABLE),
    ("CAP_NET_BIND_SERVICE", CapabilitySet::NET_BIND_SERVICE),
    ("CAP_NET_BROADCAST", CapabilitySet::NET_BROADCAST),
    ("CAP_NET_ADMIN", CapabilitySet::NET_ADMIN),
    ("CAP_NET_RAW", CapabilitySet::NET_RAW),
    ("CAP_IPC_LOCK", CapabilitySet::IPC_LOCK),
    ("CAP_IPC_OWNER", CapabilitySet::IPC_OWNER),
    ("CAP_SYS_MODULE", CapabilitySet::SYS_MODULE),
    ("CAP_SYS_RAWIO", CapabilitySet::SYS_RAWIO),
    ("CAP_SYS_CHROOT", CapabilitySet::SYS_CHROOT),
    ("CAP_SYS_PTRACE", CapabilitySet::SYS_PTRACE),
    ("CAP_SYS_PACCT", CapabilitySet::SYS_PACCT),
    ("CAP_SYS_ADMIN", CapabilitySet::SYS_ADMIN),
    ("CAP_SYS_BOOT", CapabilitySet::SYS_BOOT),
    ("CAP_SYS_NICE", CapabilitySet::SYS_NICE),
    ("CAP_SYS_RESOURCE", CapabilitySet::SYS_RESOURCE),
    ("CAP_SYS_TIME", CapabilitySet::SYS_TIME),
    ("CAP_SYS_TTY_CONFIG", CapabilitySet::SYS_TTY_CONFIG),
    ("CAP_MKNOD", CapabilitySet::MKNOD),
    ("CAP_LEASE", CapabilitySet::LEASE),
    ("CAP_AUDIT_WRITE", CapabilitySet::AUDIT_WRITE),
    ("CAP_AUDIT_CONTROL", CapabilitySet::AUDIT_CONTROL),
    ("CAP_SETFCAP", CapabilitySet::SETFCAP),
    ("CAP_MAC_OVERRIDE", CapabilitySet::MAC_OVERRIDE),
    ("CAP_MAC_ADMIN", CapabilitySet::MAC_ADMIN),
    ("CAP_SYSLOG", CapabilitySet::SYSLOG),
    ("CAP_WAKE_ALARM", CapabilitySet::WAKE_ALARM),
    ("CAP_BLOCK_SUSPEND", CapabilitySet::BLOCK_SUSPEND),
    ("CAP_AUDIT_READ", CapabilitySet::AUDIT_READ),
    ("CAP_PERFMON", CapabilitySet::PERFMON),
    ("CAP_BPF", CapabilitySet::BPF),
    ("CAP_CHECKPOINT_RESTORE", CapabilitySet::CHECKPOINT_RESTORE),
];

/// Every capability's name, in the kernel's order.
pub fn names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|(name, _)| *name)
}

/// The capability of a name, with or without `CAP_`, in any case.
pub fn parse(name: &str) -> Result<CapabilitySet> {
    let upper = name.to_ascii_uppercase();
    let short = upper.strip_prefix("CAP_").unwrap_or(&upper);
    NAMES
        .iter()
        .find(|(full, _)| &full[4..] == short)
        .map(|(_, set)| *set)
        .ok_or_else(|| Error::Malformed { what: "capability", text: name.to_owned() })
}

/// The names of a set's capabilities.
pub fn list(set: CapabilitySet) -> Vec<&'static str> {
    NAMES.iter().filter(|(_, one)| set.contains(*one)).map(|(name, _)| *name).collect()
}

/// What the calling thread may do now.
pub fn effective() -> Result<CapabilitySet> {
    Ok(rustix::thread::capabilities(None)
        .map_err(|e| Error::os("read capabilities of", "self", e))?
        .effective)
}

/// What the calling thread can still get.
pub fn permitted() -> Result<CapabilitySet> {
    Ok(rustix::thread::capabilities(None)
        .map_err(|e| Error::os("read capabilities of", "self", e))?
        .permitted)
}

/// Gives up every capability but `keep`, for good: bounding set, ambient, inheritable, permitted, effective.
///
/// What the thread does not have to begin with is left out without an error (containers often lack some).
pub fn drop_to(keep: CapabilitySet) -> Result<()> {
    drop_bounding(keep)?;
    rustix::thread::clear_ambient_capability_set()
        .map_err(|e| Error::os("clear ambient capabilities of", "self", e))?;
    let kept = permitted()? & keep;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    rustix::thread::set_capabilities(None, sets).map_err(|e| Error::os("set capabilities of", "self", e))
}

/// Takes everything but `keep` out of the bounding set: no program executed from here can gain it.
pub fn drop_bounding(keep: CapabilitySet) -> Result<()> {
    for (name, capability) in NAMES {
        if keep.contains(capability) {
            continue;
        }
        match rustix::thread::capability_is_in_bounding_set(capability) {
            // An older kernel does not know it.
            Ok(false) | Err(rustix::io::Errno::INVAL) => continue,
            Ok(true) => {}
            Err(e) => return Err(Error::os("read bounding set for", name, e)),
        }
        rustix::thread::remove_capability_from_bounding_set(capability)
            .map_err(|e| Error::os("drop from bounding set", name, e))?;
    }
    Ok(())
}

/// Sees to it that no program executed from here on gains rights by its file.
pub fn set_no_new_privs() -> Result<()> {
    rustix::thread::set_no_new_privs(true).map_err(|e| Error::os("set no_new_privs of", "self", e))
}

/// Becomes another user with no supplementary groups; capabilities in `keep` survive the change.
///
/// The order is the only one that works: groups, then user with `keep_caps`, then the sets.
pub fn become_user(uid: u32, gid: u32, keep: CapabilitySet) -> Result<()> {
    drop_bounding(keep)?;
    rustix::thread::set_keep_capabilities(true).map_err(|e| Error::os("keep capabilities of", "self", e))?;
    nix::unistd::setgroups(&[]).map_err(|e| Error::os("setgroups", "[]", e))?;
    let group = nix::unistd::Gid::from_raw(gid);
    nix::unistd::setresgid(group, group, group).map_err(|e| Error::os("setresgid", gid.to_string(), e))?;
    let user = nix::unistd::Uid::from_raw(uid);
    nix::unistd::setresuid(user, user, user).map_err(|e| Error::os("setresuid", uid.to_string(), e))?;
    let kept = permitted()? & keep;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    rustix::thread::set_capabilities(None, sets).map_err(|e| Error::os("set capabilities of", "self", e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_every_spelling() {
        for name in ["CAP_SYS_ADMIN", "sys_admin", "Sys_Admin"] {
            assert_eq!(parse(name).unwrap(), CapabilitySet::SYS_ADMIN);
        }
        assert!(parse("CAP_NONSENSE").is_err());
        assert_eq!(names().count(), 41);
    }

    #[test]
    fn a_thread_can_drop_all_but_one() {
        // Capability sets are a thread's own: the test's others keep theirs.
        std::thread::spawn(|| {
            drop_to(CapabilitySet::CHOWN).unwrap();
            assert_eq!(effective().unwrap(), CapabilitySet::CHOWN & permitted().unwrap());
            assert!(!rustix::thread::capability_is_in_bounding_set(CapabilitySet::SYS_ADMIN).unwrap());
            assert!(drop_to(CapabilitySet::SYS_ADMIN).is_err() || effective().unwrap().is_empty());
        })
        .join()
        .unwrap();
    }
}
