//! The systemd units: they follow from the services' descriptors, and allow each service what it needs, on the oldest
//! supported systemd (252).

mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use gantry_descriptor::{Capability, Confinement, Mounts, Privileges, SERVICES};

/// Settings that give a service a mount namespace of its own, from which no mount propagates (systemd.exec(5),
/// `PrivateMounts=`).
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

/// Settings that remove devices: even their nodes cannot be made.
const NO_DEVICES: &[&str] = &["PrivateDevices", "ProtectClock", "DeviceAllow", "DevicePolicy"];

/// When set, the test writes the units instead of comparing them.
const WRITE: &str = "GANTRY_WRITE_UNITS";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/systemd")
}

#[test]
fn units_follow_from_the_descriptors() {
    let expected = text::all();
    if std::env::var_os(WRITE).is_some() {
        for (name, text) in &expected {
            std::fs::write(folder().join(name), text).expect("writable");
        }
    }
    let entries = std::fs::read_dir(folder()).expect("there").map(|entry| entry.expect("read").path());
    // Files that do not depend on the services.
    let entries = entries.filter(|path| !path.ends_with("gantry.tmpfiles.conf"));
    let name = |path: &Path| path.file_name().expect("a file").to_str().expect("text").to_owned();
    let found = entries.map(|path| (name(&path), std::fs::read_to_string(&path).expect("readable")));
    for (name, text) in found.collect::<BTreeMap<_, _>>().iter().chain(&expected) {
        assert_eq!(Some(text), expected.get(name), "{name}: `make units` writes it");
    }
    let missing: Vec<_> = expected.keys().filter(|name| !folder().join(name).exists()).collect();
    assert_eq!(missing, [""; 0], "`make units` writes them");
}

/// The settings of a service's unit, in order.
fn unit(service: &str) -> Vec<(String, String)> {
    let text = &text::all()[&format!("gantry-{service}.service")];
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once('=')).map(|(key, value)| (key.into(), value.into())).collect()
}

fn values<'a>(unit: &'a [(String, String)], key: &str) -> Vec<&'a str> {
    unit.iter().filter(|(name, _)| name == key).map(|(_, value)| value.as_str()).collect()
}

/// The system calls and groups that a unit's filter allows; groups are not resolved.
fn let_pass(unit: &[(String, String)]) -> BTreeSet<&str> {
    let mut passing = BTreeSet::new();
    for line in values(unit, "SystemCallFilter") {
        match line.strip_prefix('~') {
            // Of the groups that are refused here, @privileged contains capset(2).
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
fn services_can_confine_themselves() {
    for service in SERVICES.iter().filter(|service| !matches!(service.confinement, Confinement::None)) {
        let (unit, service) = (unit(service.name), service.name);
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
    for service in SERVICES {
        let mounts_for_others =
            matches!(service.confinement, Confinement::None | Confinement::Calls(_, Mounts::Host));
        let makes_devices = match service.privileges {
            Privileges::All => true,
            Privileges::Only(kept) => kept.contains(&Capability::CAP_MKNOD),
        };
        let mounts = if mounts_for_others { OWN_MOUNTS } else { &[] };
        let devices = if makes_devices { NO_DEVICES } else { &[] };
        let (banned, service) = ([mounts, devices].concat(), service.name);
        for (key, _) in unit(service) {
            assert!(!banned.contains(&key.as_str()), "{service}: {key}");
        }
    }
}
