//! Checks that an image or a volume does not make a mount land in a wrong place. The helper refuses such a spec
//! before it mounts anything, as runc does, and checks the mount table again afterwards.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use gantry_rooted::{EntryKind, Root};
use serde_json::Value;

use super::Failure;
use super::libcontainer::chain;
use super::spec::text;

/// `statfs(2)` of a procfs.
const PROC_MAGIC: u64 = 0x9fa0;
/// How many symbolic links a path may have, as in the kernel.
const MOST_LINKS: usize = 40;
/// The files below /proc that lxcfs and others emulate; runc allows mounts on the same ones.
const ALLOWED: [&str; 10] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
];

/// Checks the container's root and the mounts of the spec.
pub fn check(spec: &Value, root: &Path) -> Result<(), Failure> {
    let root = Root::open_path(root).map_err(|error| chain(&error))?;
    // The runtime makes devices and symbolic links in /dev by name, whatever is mounted there.
    ordinary(&root, "dev", "/dev")?;
    for mount in mounts(spec) {
        let Some(destination) = text(mount, "/destination") else { continue };
        let kind = text(mount, "/type").unwrap_or_default();
        if let ("proc" | "sysfs", Some(name)) = (kind, destination.strip_prefix('/')) {
            ordinary(&root, name, kind)?;
        }
        let place = resolve(&root, destination);
        let refused = |why: &str| {
            let source = text(mount, "/source").unwrap_or_default();
            Err(format!(
                "unable to start container process: error mounting {source:?} to rootfs at {destination:?}: {} \
                 cannot be mounted because it is {why}",
                place.display()
            ))
        };
        if place == Path::new("/proc") {
            if kind != "proc" && !is_proc(mount) {
                return refused("not of type proc");
            }
        } else if place.starts_with("/proc") && !ALLOWED.iter().any(|allowed| place == Path::new(allowed)) {
            return refused("inside /proc");
        }
    }
    Ok(())
}

/// Whether a mount's target is inside another mount: then the root alone does not decide where it lands.
pub fn is_nested(spec: &Value) -> bool {
    let all: Vec<(&Path, bool)> = mounts(spec)
        .filter_map(|mount| Some((Path::new(text(mount, "/destination")?), is_bind(mount))))
        .collect();
    all.iter().any(|(outer, bound)| {
        *bound && all.iter().any(|(inner, _)| inner != outer && inner.starts_with(outer))
    })
}

/// Checks the mount table of a container whose program does not run yet. Another container may have changed symbolic
/// links of a volume after [`check`].
pub fn verify(spec: &Value, table: &[u8]) -> Result<(), Failure> {
    if mounts(spec).any(|mount| text(mount, "/destination") == Some("/proc") && is_bind(mount)) {
        return Ok(());
    }
    let list = |pointer| spec.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    let open: Vec<&str> = list("/linux/maskedPaths").filter_map(Value::as_str).chain(ALLOWED).collect();
    let read_only: Vec<&str> = list("/linux/readonlyPaths").filter_map(Value::as_str).collect();
    for line in table.split(|byte| *byte == b'\n') {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let Some(place) = fields.get(4) else { continue };
        let is_of = |paths: &[&str]| paths.iter().any(|path| path.as_bytes() == *place);
        // A read-only path is procfs bound onto itself. Anything else in its place has come from elsewhere.
        let kind = fields.iter().position(|field| *field == b"-").and_then(|dash| fields.get(dash + 1));
        let sealed = is_of(&read_only) && kind.is_some_and(|kind| *kind == b"proc");
        if place.starts_with(b"/proc/") && !sealed && !is_of(&open) {
            let place = String::from_utf8_lossy(place);
            return Err(format!("{place} cannot be mounted because it is inside /proc"));
        }
    }
    Ok(())
}

/// Whether a mount is a bind of a directory or a file of the host.
pub fn is_bind(mount: &Value) -> bool {
    let options = mount.get("options").and_then(Value::as_array);
    text(mount, "/type") == Some("bind")
        || options.is_some_and(|all| all.iter().any(|one| one == "bind" || one == "rbind"))
}

/// The mounts of a spec.
pub fn mounts(spec: &Value) -> impl Iterator<Item = &Value> {
    spec.get("mounts").and_then(Value::as_array).into_iter().flatten()
}

fn is_proc(mount: &Value) -> bool {
    is_bind(mount)
        && text(mount, "/source")
            .and_then(|source| rustix::fs::statfs(source).ok())
            .is_some_and(|stat| stat.f_type as u64 == PROC_MAGIC)
}

/// Refuses anything that exists and is not a directory, in particular a symbolic link.
fn ordinary(root: &Root, name: &str, what: &str) -> Result<(), Failure> {
    let Ok(found) = root.stat(Path::new(name)) else { return Ok(()) };
    match EntryKind::from_mode(found.st_mode) {
        Some(EntryKind::Directory) => Ok(()),
        _ => Err(format!(
            "unable to start container process: filesystem {what:?} must be mounted on ordinary directory"
        )),
    }
}

/// Where a path leads inside `root`; a part that does not exist is taken as it is written.
fn resolve(root: &Root, path: &str) -> PathBuf {
    let mut reached = PathBuf::from("/");
    let mut ahead: Vec<OsString> = Vec::new();
    let push = |ahead: &mut Vec<OsString>, path: &OsStr| {
        let parts = path.as_bytes().split(|byte| *byte == b'/').filter(|part| !part.is_empty());
        let parts: Vec<OsString> = parts.map(|part| OsStr::from_bytes(part).to_owned()).collect();
        ahead.extend(parts.into_iter().rev());
    };
    push(&mut ahead, OsStr::new(path));
    let mut links = 0;
    while let Some(part) = ahead.pop() {
        if part == ".." {
            reached.pop();
        }
        if part == ".." || part == "." {
            continue;
        }
        let next = reached.join(part);
        match root.read_link(&next) {
            Ok(target) if links < MOST_LINKS => {
                links += 1;
                if target.has_root() {
                    reached = PathBuf::from("/");
                }
                push(&mut ahead, target.as_os_str());
            }
            _ => reached = next,
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use serde_json::json;

    use super::*;

    fn checked(root: &Path, mounts: Value) -> Result<(), Failure> {
        check(&json!({ "mounts": mounts }), root)
    }

    fn root(name: &str) -> PathBuf {
        let root = std::env::temp_dir().join(format!("gantry-guard-{name}-{}", std::process::id()));
        fs::create_dir_all(root.join("proc")).expect("a temporary root");
        root
    }

    #[test]
    fn the_kernels_file_systems_go_on_ordinary_directories() {
        let root = root("ordinary");
        let proc = || json!([{"destination": "/proc", "type": "proc", "source": "proc"}]);
        let sys = || json!([{"destination": "/sys", "type": "sysfs", "source": "sysfs"}]);
        assert_eq!(checked(&root, proc()), Ok(()));
        symlink("/etc", root.join("sys")).expect("linked");
        assert!(checked(&root, sys()).is_err() && checked(&root, proc()).is_ok());
        for dev in ["/etc", "/nowhere", "proc"] {
            symlink(dev, root.join("dev")).expect("linked");
            let refused = checked(&root, json!([])).expect_err(dev);
            assert!(refused.contains("must be mounted on ordinary directory"), "{refused}");
            fs::remove_file(root.join("dev")).expect("removed");
        }
        fs::write(root.join("dev"), "").expect("written");
        assert!(checked(&root, json!([])).is_err());
        fs::remove_dir_all(&root).expect("removed");
    }

    #[test]
    fn nothing_is_mounted_over_proc_or_in_it() {
        let root = root("proc");
        symlink("/proc", root.join("link")).expect("linked");
        symlink("../../proc/sys", root.join("deep")).expect("linked");
        let bind = |destination: &str, source: &str| {
            checked(&root, json!([{"destination": destination, "type": "bind", "source": source}]))
        };
        for refused in
            ["/proc", "/proc/sys", "/proc/self", "/link", "/link/sys/kernel", "/deep", "/x/../proc/1"]
        {
            assert!(bind(refused, "/tmp").is_err(), "{refused}");
        }
        assert!(
            checked(&root, json!([{"destination": "/proc/x", "type": "tmpfs", "source": "tmpfs"}])).is_err()
        );
        for (allowed, source) in
            [("/proc", "/proc"), ("/proc/cpuinfo", "/tmp"), ("/sys", "/tmp"), ("/process", "/")]
        {
            assert_eq!(bind(allowed, source), Ok(()), "{allowed}");
        }
        fs::remove_dir_all(&root).expect("removed");
    }

    #[test]
    fn what_was_mounted_in_proc_is_found_out() {
        let spec =
            json!({"linux": {"maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/sys"]}, "mounts": []});
        let line = |place: &str, kind: &str| {
            format!("36 35 0:5 / /proc rw - proc proc rw\n37 36 0:6 / {place} rw shared:3 - {kind} x rw\n")
        };
        for fine in ["/proc/kcore", "/proc/cpuinfo", "/data", "/process"] {
            assert_eq!(verify(&spec, line(fine, "tmpfs").as_bytes()), Ok(()), "{fine}");
        }
        assert_eq!(verify(&spec, line("/proc/sys", "proc").as_bytes()), Ok(()));
        for place in ["/proc/sys", "/proc/sys/kernel"] {
            assert!(verify(&spec, line(place, "ext4").as_bytes()).is_err(), "{place}");
        }
    }

    #[test]
    fn mounts_in_mounts_are_known() {
        let nested = |outer: &str, inner: &str| {
            is_nested(&json!({"mounts": [
                {"destination": outer, "type": "bind", "source": "/"},
                {"destination": inner, "type": "tmpfs", "source": "tmpfs"},
            ]}))
        };
        assert!(nested("/data", "/data/x"));
        assert!(!nested("/data", "/database") && !nested("/data/x", "/data"));
    }
}
