//! Capability sets: Docker's default of fourteen, changed by `--cap-add` and `--cap-drop`, and all of them for
//! `--privileged`.

use std::collections::BTreeSet;

use oci_spec::runtime::{Capabilities, Capability, LinuxCapabilities, LinuxCapabilitiesBuilder};

use crate::{Error, Result};

/// The capabilities of a container by default.
const DEFAULT: [&str; 14] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Every capability by its number, in the order of `capabilities(7)`.
const ALL: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// Validates a name as the user wrote it, and returns it with its prefix: `net_admin` → `CAP_NET_ADMIN`; `ALL` stays.
pub fn normalise(name: &str) -> Result<String> {
    let upper = name.trim().to_ascii_uppercase();
    if upper == "ALL" {
        return Ok(upper);
    }
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    if ALL.contains(&bare) {
        Ok(format!("CAP_{bare}"))
    } else {
        Err(Error::UnknownCapability(format!("CAP_{bare}")))
    }
}

/// The capabilities of a container. A name in `drop` overrides `ALL` in `add`, which stands for what this host can
/// grant. A name in `add` overrides `drop`.
pub fn resolve(add: &[String], drop: &[String], privileged: bool) -> Result<BTreeSet<String>> {
    if privileged {
        return Ok(available());
    }
    let add = add.iter().map(|name| normalise(name)).collect::<Result<Vec<_>>>()?;
    let drop = drop.iter().map(|name| normalise(name)).collect::<Result<Vec<_>>>()?;
    let adds_all = add.iter().any(|name| name == "ALL");
    let drops_all = drop.iter().any(|name| name == "ALL");
    let mut set: BTreeSet<String> = if adds_all {
        available()
    } else if drops_all {
        BTreeSet::new()
    } else {
        DEFAULT.iter().map(|name| format!("CAP_{name}")).collect()
    };
    for name in &drop {
        set.remove(name);
    }
    if !adds_all {
        // A named capability that the host lacks is an error at the container's start, and not ignored.
        set.extend(add);
    }
    Ok(set)
}

/// The capabilities of the kernel within this process's bounding set: no container can get more.
pub fn available() -> BTreeSet<String> {
    let bounding =
        std::fs::read_to_string("/proc/1/status").ok().and_then(|status| mask_of(&status, "CapBnd:"));
    let mask = bounding.unwrap_or(u64::MAX);
    ALL.iter()
        .enumerate()
        .filter(|(number, _)| mask & (1 << number) != 0)
        .map(|(_, name)| format!("CAP_{name}"))
        .collect()
}

fn mask_of(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with(field))?;
    u64::from_str_radix(line[field.len()..].trim(), 16).ok()
}

/// The OCI sets: bounding, permitted and effective are the same; inheritable and ambient are empty.
pub fn oci(names: &BTreeSet<String>) -> LinuxCapabilities {
    let set: Capabilities = names.iter().filter_map(|name| parse(name)).collect();
    LinuxCapabilitiesBuilder::default()
        .bounding(set.clone())
        .effective(set.clone())
        .permitted(set)
        .inheritable(Capabilities::new())
        .ambient(Capabilities::new())
        .build()
        .expect("every set is given")
}

fn parse(name: &str) -> Option<Capability> {
    name.strip_prefix("CAP_").unwrap_or(name).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn defaults_are_fourteen() {
        assert_eq!(resolve(&[], &[], false).map(|set| set.len()).ok(), Some(14));
    }

    #[test]
    fn dropping_all_keeps_what_is_added() {
        let set = resolve(&list(&["net_raw"]), &list(&["ALL"]), false).expect("valid names");
        assert_eq!(set.into_iter().collect::<Vec<_>>(), ["CAP_NET_RAW"]);
    }

    #[test]
    fn a_name_dropped_wins_over_all_added() {
        let set = resolve(&list(&["ALL"]), &list(&["CAP_CHOWN"]), false).expect("valid names");
        assert!(!set.contains("CAP_CHOWN"));
        assert!(set.contains("CAP_KILL"));
    }

    #[test]
    fn unknown_names_are_refused() {
        assert!(resolve(&list(&["CAP_MAGIC"]), &[], false).is_err());
    }

    #[test]
    fn every_name_is_known_to_the_runtime_specification() {
        assert!(ALL.iter().all(|name| parse(name).is_some()));
    }
}
