//! Devices: the nodes in a container, and the rules of its cgroup.

use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use oci_spec::runtime::{
    LinuxDevice, LinuxDeviceBuilder, LinuxDeviceCgroup, LinuxDeviceCgroupBuilder, LinuxDeviceType,
};

use crate::{Error, Result};

/// Character devices that every container may use: zero, null, urandom, random, tty, console.
const ALLOWED: [(i64, i64); 6] = [(1, 5), (1, 3), (1, 9), (1, 8), (5, 0), (5, 1)];
/// FUSE, which an explicit rule denies.
const FUSE: (i64, i64) = (10, 229);
/// Entries of `/dev` that even a privileged container has of its own.
const OWN: [&str; 6] = ["pts", "shm", "fd", "mqueue", "console", ".udev"];

/// A device of the host, or a directory of devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Its path on the host.
    pub path_on_host: String,
    /// Its path in the container; empty: the same.
    pub path_in_container: String,
    /// The allowed access, of `rwm`; empty: all.
    pub access: String,
}

impl Device {
    fn target(&self) -> &Path {
        Path::new(if self.path_in_container.is_empty() {
            &self.path_on_host
        } else {
            &self.path_in_container
        })
    }
}

/// The nodes beside the runtime's own.
pub fn nodes(devices: &[Device], privileged: bool) -> Result<Vec<LinuxDevice>> {
    let mut nodes = Vec::new();
    if privileged {
        walk(Path::new("/dev"), Path::new("/dev"), true, &mut nodes);
    }
    for device in devices {
        let source = Path::new(&device.path_on_host);
        let target = device.target();
        if privileged && source == target {
            continue;
        }
        let before = nodes.len();
        walk(source, target, false, &mut nodes);
        if nodes.len() == before {
            let reason = match std::fs::metadata(source) {
                Ok(_) => "not a device node".to_owned(),
                Err(error) if error.kind() == ErrorKind::NotFound => "no such file or directory".to_owned(),
                Err(error) => error.to_string(),
            };
            return Err(Error::NoDevice { path: device.path_on_host.clone(), reason });
        }
    }
    Ok(nodes)
}

/// Adds the device at a path, or every device below a directory.
fn walk(source: &Path, target: &Path, skip_own: bool, nodes: &mut Vec<LinuxDevice>) {
    let Ok(metadata) = std::fs::metadata(source) else { return };
    if metadata.is_dir() {
        let Ok(entries) = std::fs::read_dir(source) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let own = skip_own && OWN.iter().any(|own| name == *own);
            let link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            if !own && !link {
                walk(&entry.path(), &target.join(&name), false, nodes);
            }
        }
        return;
    }
    let kind = metadata.file_type();
    let kind = if kind.is_char_device() {
        LinuxDeviceType::C
    } else if kind.is_block_device() {
        LinuxDeviceType::B
    } else {
        return;
    };
    let (major, minor) = numbers(metadata.rdev());
    let node = LinuxDeviceBuilder::default()
        .path(target)
        .typ(kind)
        .major(major)
        .minor(minor)
        .file_mode(metadata.mode() & 0o7777)
        .uid(metadata.uid())
        .gid(metadata.gid())
        .build()
        .expect("every field of the device is set");
    nodes.push(node);
}

/// The device rules in order: those of the devices before the `further` ones.
pub fn rules(devices: &[Device], further: &[String], privileged: bool) -> Result<Vec<LinuxDeviceCgroup>> {
    if privileged {
        return Ok(vec![rule(true, LinuxDeviceType::A, None, None, "rwm")]);
    }
    let mut rules = vec![rule(false, LinuxDeviceType::A, None, None, "rwm")];
    rules.extend(
        ALLOWED
            .iter()
            .map(|(major, minor)| rule(true, LinuxDeviceType::C, Some(*major), Some(*minor), "rwm")),
    );
    rules.push(rule(false, LinuxDeviceType::C, Some(FUSE.0), Some(FUSE.1), "rwm"));
    for device in devices {
        let access = if device.access.is_empty() { "rwm" } else { &device.access };
        check_access(access)?;
        let mut found = Vec::new();
        walk(Path::new(&device.path_on_host), Path::new("/"), false, &mut found);
        rules.extend(
            found.iter().map(|node| rule(true, node.typ(), Some(node.major()), Some(node.minor()), access)),
        );
    }
    for text in further {
        rules.push(parse_rule(text)?);
    }
    Ok(rules)
}

/// Parses a rule such as `c 42:* rmw`.
pub fn parse_rule(text: &str) -> Result<LinuxDeviceCgroup> {
    let invalid = || Error::DeviceRule(text.to_owned());
    let mut words = text.split_whitespace();
    let (kind, numbers, access) = match (words.next(), words.next(), words.next(), words.next()) {
        (Some(kind), Some(numbers), Some(access), None) => (kind, numbers, access),
        _ => return Err(invalid()),
    };
    let kind = match kind {
        "a" => LinuxDeviceType::A,
        "b" => LinuxDeviceType::B,
        "c" => LinuxDeviceType::C,
        _ => return Err(invalid()),
    };
    let number = |text: &str| match text {
        "*" => Ok(None),
        digits => digits.parse::<i64>().map(Some).map_err(|_| invalid()),
    };
    let (major, minor) = numbers.split_once(':').ok_or_else(invalid)?;
    check_access(access)?;
    Ok(rule(true, kind, number(major)?, number(minor)?, access))
}

fn check_access(access: &str) -> Result<()> {
    let valid =
        !access.is_empty() && access.len() <= 3 && access.bytes().all(|letter| b"rwm".contains(&letter));
    if valid { Ok(()) } else { Err(Error::DeviceAccess(access.to_owned())) }
}

fn rule(
    allow: bool,
    kind: LinuxDeviceType,
    major: Option<i64>,
    minor: Option<i64>,
    access: &str,
) -> LinuxDeviceCgroup {
    let mut builder = LinuxDeviceCgroupBuilder::default().allow(allow).typ(kind).access(access);
    if let Some(major) = major {
        builder = builder.major(major);
    }
    if let Some(minor) = minor {
        builder = builder.minor(minor);
    }
    builder.build().expect("every field of the rule is set")
}

/// Splits a device number into major and minor, the reverse of makedev(3).
pub fn numbers(device: u64) -> (i64, i64) {
    let major = ((device >> 8) & 0xfff) | ((device >> 32) & 0xffff_f000);
    let minor = (device & 0xff) | ((device >> 12) & 0xffff_ff00);
    (i64::try_from(major).unwrap_or(0), i64::try_from(minor).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_denied_first() {
        let rules = rules(&[], &[], false).expect("valid");
        assert!(!rules[0].allow());
        assert_eq!(rules[0].typ(), Some(LinuxDeviceType::A));
        assert_eq!(rules.len(), 8);
    }

    #[test]
    fn rules_are_read() {
        let rule = parse_rule("c 42:* rmw").expect("valid");
        assert_eq!((rule.major(), rule.minor()), (Some(42), None));
        assert!(parse_rule("c 42 rmw").is_err());
        assert!(parse_rule("x 1:2 r").is_err());
        assert!(parse_rule("c 1:2 rx").is_err());
    }

    #[test]
    fn what_is_no_device_is_told_from_what_is_not_there() {
        let refused = |path: &str| {
            let device = Device { path_on_host: path.to_owned(), ..Device::default() };
            nodes(&[device], false).expect_err("no device").to_string()
        };
        let words = "error gathering device information while adding custom device";
        assert_eq!(refused("/dev/nosuch"), format!("{words} \"/dev/nosuch\": no such file or directory"));
        assert_eq!(refused("/proc/version"), format!("{words} \"/proc/version\": not a device node"));
    }

    #[test]
    fn a_host_device_is_found() {
        let device = Device {
            path_on_host: "/dev/null".to_owned(),
            path_in_container: "/dev/nought".to_owned(),
            access: String::new(),
        };
        let nodes = nodes(&[device], false).expect("found");
        assert_eq!((nodes[0].major(), nodes[0].minor()), (1, 3));
        assert_eq!(nodes[0].path(), Path::new("/dev/nought"));
    }
}
