//! The systemd units: what each service may do there is what it needs, on the oldest systemd that is supported (252).

use std::collections::BTreeSet;

/// Settings that give a service a mount namespace, out of which no mount leads (systemd.exec(5), `PrivateMounts=`).
const OWN_MOUNTS: &[&str] = &[
    "PrivateMounts",
    "PrivateTmp",
    "PrivateDevices",
    "ProtectSystem",
    "ProtectHome",
    "ProtectProc",
    "ProcSubset",
    "ProtectKernelTunables",
    "ProtectKernelModules",
    "ProtectKernelLogs",
    "ProtectControlGroups",
    "ReadWritePaths",
    "ReadOnlyPaths",
    "InaccessiblePaths",
    "BindPaths",
    "TemporaryFileSystem",
    "MountFlags",
];

/// Settings that take devices away: their nodes cannot even be made.
const NO_DEVICES: &[&str] = &["PrivateDevices", "ProtectClock", "DeviceAllow", "DevicePolicy"];

const FILES: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_MKNOD",
    "CAP_SETFCAP",
    "CAP_SYS_ADMIN",
];

/// The settings of a service's unit, in order.
fn unit(service: &str) -> Vec<(String, String)> {
    let path = format!("{}/../deploy/systemd/gantry-{service}.service", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once('=')).map(|(key, value)| (key.into(), value.into())).collect()
}

fn values<'a>(unit: &'a [(String, String)], key: &str) -> Vec<&'a str> {
    unit.iter().filter(|(name, _)| name == key).map(|(_, value)| value.as_str()).collect()
}

/// The names that a unit's filter of system calls lets pass; groups are not resolved.
fn let_pass(unit: &[(String, String)]) -> BTreeSet<&str> {
    let mut passing = BTreeSet::new();
    for line in values(unit, "SystemCallFilter") {
        match line.strip_prefix('~') {
            // Of the groups that are taken out here, @privileged has capset(2).
            Some(refused) if refused.contains("@privileged") => {
                passing.remove("capset");
            }
            Some(_) => {}
            None => passing.extend(line.split(' ')),
        }
    }
    passing
}

#[test]
fn capabilities_are_those_that_services_keep() {
    for (service, kept) in [
        ("content", &[][..]),
        ("control", &[]),
        ("images", &[]),
        ("gateway", &[]),
        ("snapshots", FILES),
        ("engine", &[FILES, &["CAP_SYS_PTRACE"]].concat()),
        ("network", &["CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE", "CAP_SYS_ADMIN"]),
    ] {
        let unit = unit(service);
        let mut bounding: Vec<_> =
            values(&unit, "CapabilityBoundingSet").concat().split_whitespace().map(str::to_owned).collect();
        bounding.sort();
        assert_eq!(bounding, kept, "{service}");
        let own = format!("gantry-{service}");
        let user = if kept.is_empty() { vec![own.as_str()] } else { Vec::new() };
        assert_eq!(values(&unit, "User"), user, "{service}");
    }
    assert_eq!(values(&unit("tasks"), "CapabilityBoundingSet"), [""; 0], "it starts shims");
}

#[test]
fn services_can_confine_themselves() {
    for service in ["content", "control", "images", "gateway", "snapshots", "engine", "network"] {
        let unit = unit(service);
        let passing = let_pass(&unit);
        assert!(passing.contains("@system-service") && passing.contains("seccomp"), "{service}: {passing:?}");
        assert!(!passing.contains("@sandbox"), "{service}: systemd 252 does not know this group");
        if values(&unit, "User").is_empty() {
            continue;
        }
        for call in ["capset", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"] {
            assert!(passing.contains(call), "{service}: {call}");
        }
    }
}

#[test]
fn mounts_and_devices_are_the_host_s_where_they_must_be() {
    for (service, banned) in [
        ("tasks", OWN_MOUNTS),
        ("network", OWN_MOUNTS),
        ("engine", OWN_MOUNTS),
        ("tasks", NO_DEVICES),
        ("engine", NO_DEVICES),
        ("snapshots", NO_DEVICES),
    ] {
        for (key, _) in unit(service) {
            assert!(!banned.contains(&key.as_str()), "{service}: {key}");
        }
    }
}

#[test]
fn services_are_started_again_unless_their_settings_are_wrong() {
    for service in ["content", "control", "snapshots", "images", "tasks", "network", "engine", "gateway"] {
        let unit = unit(service);
        assert_eq!(values(&unit, "Restart"), ["always"], "{service}");
        assert_eq!(values(&unit, "RestartPreventExitStatus"), ["78"], "{service}");
    }
}
