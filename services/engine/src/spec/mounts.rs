//! Mounts: the system's own, Gantry's files over `/etc`, and the user's, the shallow before the deep.

use std::path::{Path, PathBuf};

use gantry_proto::gantry::engine::v1 as pb;
use oci_spec::runtime::{Mount, MountBuilder};

use super::process::{INIT, uses_init};
use super::{Security, Surroundings, is_host};
use crate::record::{MountRecord, Record};

/// `/dev/shm` unless the user says how large.
pub const DEFAULT_SHM: i64 = 64 * 1024 * 1024;
/// Tells the shim that a part of the source is meant, which containers may change: only who mounts it can find it.
const SUBPATH_OPTION: &str = "x-gantry.subpath=";
/// Mounts that stay writable when the root is read-only.
const ALWAYS_WRITABLE: [&str; 5] = ["/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"];

/// The files that the engine writes and mounts over those of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeFiles {
    /// `/etc/hosts`
    pub hosts: PathBuf,
    /// `/etc/hostname`
    pub hostname: PathBuf,
    /// `/etc/resolv.conf`
    pub resolv_conf: PathBuf,
}

/// Every mount over the root, in order.
pub fn all(record: &Record, around: &Surroundings<'_>, security: &Security) -> Vec<Mount> {
    let mut mounts = system(record, around, security);
    let user: Vec<Mount> = user_mounts(record);
    let dev = Path::new("/dev");
    let own_dev = user.iter().any(|own| own.destination() == dev);
    mounts.retain(|mount| {
        let place = mount.destination();
        // Who brings a /dev brings everything in it.
        let covered = user.iter().any(|own| own.destination() == place);
        !(covered || own_dev && place.starts_with(dev))
    });
    let writable = if record.host.readonly_rootfs { "ro" } else { "rw" };
    let mut over: Vec<Mount> = Vec::new();
    if let Some(files) = &around.files {
        for (source, destination) in [
            (&files.resolv_conf, "/etc/resolv.conf"),
            (&files.hostname, "/etc/hostname"),
            (&files.hosts, "/etc/hosts"),
        ] {
            if !user.iter().any(|own| own.destination() == Path::new(destination)) {
                over.push(mount("bind", source, destination, &["rbind", "rprivate", writable]));
            }
        }
    }
    if uses_init(&record.host) {
        over.push(mount("bind", around.init, INIT, &["bind", "ro"]));
    }
    over.extend(user);
    // A deep destination must not be hidden by a shallower one mounted after it.
    over.sort_by_key(|mount| mount.destination().components().count());
    mounts.extend(over);
    mounts
}

fn system(record: &Record, around: &Surroundings<'_>, security: &Security) -> Vec<Mount> {
    let host = &record.host;
    let sys = if host.privileged { "rw" } else { "ro" };
    let cgroup = if security.writable_cgroups { "rw" } else { "ro" };
    let mut mounts = vec![
        mount("proc", Path::new("proc"), "/proc", &["nosuid", "noexec", "nodev"]),
        mount("tmpfs", Path::new("tmpfs"), "/dev", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount(
            "devpts",
            Path::new("devpts"),
            "/dev/pts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        mount("sysfs", Path::new("sysfs"), "/sys", &["nosuid", "noexec", "nodev", sys]),
        mount("cgroup", Path::new("cgroup"), "/sys/fs/cgroup", &[cgroup, "nosuid", "noexec", "nodev"]),
    ];
    // Of the container's IPC namespace, whosever that is.
    mounts.push(mount("mqueue", Path::new("mqueue"), "/dev/mqueue", &["nosuid", "noexec", "nodev"]));
    if let Some(shared) = &around.shm {
        mounts.push(mount("bind", shared, "/dev/shm", &["rbind", "nosuid", "noexec", "nodev"]));
    } else if host.ipc_mode != "none" {
        let size = format!("size={}", shm_size(host));
        let options = ["nosuid", "noexec", "nodev", "mode=1777", &size];
        mounts.push(mount("tmpfs", Path::new("shm"), "/dev/shm", &options));
    }
    if is_host(&host.pid_mode) {
        // The host's /proc belongs to the host's pid namespace: it is bound, not mounted anew.
        mounts[0] = mount("bind", Path::new("/proc"), "/proc", &["rbind", "nosuid", "noexec", "nodev"]);
    }
    if host.readonly_rootfs && !host.privileged {
        for mount in &mut mounts {
            if !ALWAYS_WRITABLE.iter().any(|path| mount.destination() == Path::new(path)) {
                let mut options = mount.options().clone().unwrap_or_default();
                if !options.iter().any(|option| option == "ro") {
                    options.push("ro".to_owned());
                }
                mount.set_options(Some(options));
            }
        }
    }
    mounts
}

/// How large `/dev/shm` is, bytes.
pub fn shm_size(host: &pb::HostConfig) -> i64 {
    if host.shm_size > 0 { host.shm_size } else { DEFAULT_SHM }
}

fn user_mounts(record: &Record) -> Vec<Mount> {
    record.mounts.iter().map(|mount| user_mount(mount, record.recursive_read_only)).collect()
}

fn user_mount(own: &MountRecord, recursive_read_only: bool) -> Mount {
    let point = &own.point;
    if own.is_tmpfs() {
        let options: Vec<&str> = own.options.iter().map(String::as_str).collect();
        return mount("tmpfs", Path::new("tmpfs"), &point.destination, &options);
    }
    let mut options = vec![if own.non_recursive { "bind" } else { "rbind" }];
    if point.rw {
        options.push("rw");
    } else {
        options.push("ro");
        let recursive =
            own.read_only_force_recursive || (recursive_read_only && !own.read_only_non_recursive);
        if recursive && !own.non_recursive && point.r#type == "bind" {
            options.push("rro");
        }
    }
    let propagation = if point.propagation.is_empty() { "rprivate" } else { &point.propagation };
    options.push(propagation);
    let part = format!("{SUBPATH_OPTION}{}", own.subpath);
    if !own.subpath.is_empty() {
        options.push(&part);
    }
    mount("bind", &own.source(), &point.destination, &options)
}

/// How the root itself must spread mounts for the sake of a mount below it.
pub fn rootfs_propagation(record: &Record) -> Option<String> {
    let has = |words: [&str; 2]| {
        record.mounts.iter().any(|mount| words.contains(&mount.point.propagation.as_str()))
    };
    if has(["shared", "rshared"]) {
        Some("shared".to_owned())
    } else if has(["slave", "rslave"]) {
        Some("rslave".to_owned())
    } else {
        None
    }
}

fn mount(kind: &str, source: &Path, destination: &str, options: &[&str]) -> Mount {
    MountBuilder::default()
        .destination(destination)
        .typ(kind)
        .source(source)
        .options(options.iter().map(|option| (*option).to_owned()).collect::<Vec<_>>())
        .build()
        .expect("every field of the mount is set")
}
