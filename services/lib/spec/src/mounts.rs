//! Mounts: the system's own, the files over `/etc`, and the user's, shallow ones before deep ones.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{Mount as OciMount, MountBuilder};

use crate::process::INIT;
use crate::{Container, Namespace, Shm};

/// The default size of `/dev/shm` in bytes.
pub const DEFAULT_SHM: i64 = 64 * 1024 * 1024;
/// The option that tells the shim to mount only a part of the source. Containers may change the source, so only the
/// shim can look the part up safely.
const SUBPATH_OPTION: &str = "x-gantry.subpath=";
/// Mounts that stay writable when the root is read-only.
const ALWAYS_WRITABLE: [&str; 5] = ["/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"];

/// The files that the engine writes for a container, which are mounted over those of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeFiles {
    /// `/etc/hosts`
    pub hosts: PathBuf,
    /// `/etc/hostname`
    pub hostname: PathBuf,
    /// `/etc/resolv.conf`
    pub resolv_conf: PathBuf,
}

/// A mount over the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The path in the container.
    pub destination: String,
    /// The source.
    pub source: Source,
}

/// The source of a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A tmpfs, with options in mount(8)'s form.
    Tmpfs(Vec<String>),
    /// A directory or file of the host.
    Bind(Bind),
}

/// A directory or file of the host that is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// The path on the host.
    pub source: PathBuf,
    /// The part of the source to mount, which is looked up without leaving the source. Empty: all of it.
    pub part: PathBuf,
    /// Includes the mounts below.
    pub recursive: bool,
    /// Whether it is writable.
    pub access: Access,
    /// The propagation in mount(8)'s words; empty: private.
    pub propagation: String,
}

/// Whether a bind is writable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Writable, if the source is.
    ReadWrite,
    /// Read-only; mounts below it may be writable.
    ReadOnly,
    /// Read-only with all mounts below it.
    ReadOnlyRecursive,
}

/// Every mount, in order.
pub(crate) fn all(container: &Container) -> Vec<OciMount> {
    let mut mounts = system(container);
    let user: Vec<OciMount> = container.mounts.iter().map(user_mount).collect();
    let dev = Path::new("/dev");
    let own_dev = user.iter().any(|own| own.destination() == dev);
    mounts.retain(|mount| {
        let place = mount.destination();
        // A user's mount on /dev replaces everything in it.
        let covered = user.iter().any(|own| own.destination() == place);
        !(covered || own_dev && place.starts_with(dev))
    });
    let writable = if container.read_only_root { "ro" } else { "rw" };
    let mut over: Vec<OciMount> = Vec::new();
    if let Some(files) = &container.files {
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
    if let Some(init) = &container.init {
        over.push(mount("bind", init, INIT, &["bind", "ro"]));
    }
    over.extend(user);
    // A shallow mount after a deep one would hide it.
    over.sort_by_key(|mount| mount.destination().components().count());
    mounts.extend(over);
    mounts
}

fn system(container: &Container) -> Vec<OciMount> {
    let privileged = container.confinement.privileged;
    let sys = if privileged { "rw" } else { "ro" };
    let cgroup = if container.confinement.security.writable_cgroups { "rw" } else { "ro" };
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
    // It shows the container's IPC namespace, whichever that is.
    mounts.push(mount("mqueue", Path::new("mqueue"), "/dev/mqueue", &["nosuid", "noexec", "nodev"]));
    match &container.shm {
        Shm::Bound(shared) => {
            mounts.push(mount("bind", shared, "/dev/shm", &["rbind", "nosuid", "noexec", "nodev"]));
        }
        Shm::Own(size) => {
            let size = format!("size={size}");
            let options = ["nosuid", "noexec", "nodev", "mode=1777", &size];
            mounts.push(mount("tmpfs", Path::new("shm"), "/dev/shm", &options));
        }
        Shm::None => {}
    }
    if container.namespaces.pid == Namespace::Host {
        // The host's /proc belongs to the host's PID namespace: it is bound, not mounted anew.
        mounts[0] = mount("bind", Path::new("/proc"), "/proc", &["rbind", "nosuid", "noexec", "nodev"]);
    }
    if container.read_only_root && !privileged {
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

fn user_mount(own: &Mount) -> OciMount {
    match &own.source {
        Source::Tmpfs(options) => {
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            mount("tmpfs", Path::new("tmpfs"), &own.destination, &options)
        }
        Source::Bind(bind) => {
            let mut options = vec![if bind.recursive { "rbind" } else { "bind" }];
            options.extend_from_slice(match bind.access {
                Access::ReadWrite => &["rw"],
                Access::ReadOnly => &["ro"],
                Access::ReadOnlyRecursive => &["ro", "rro"],
            });
            options.push(if bind.propagation.is_empty() { "rprivate" } else { &bind.propagation });
            let part = format!("{SUBPATH_OPTION}{}", bind.part.display());
            if !bind.part.as_os_str().is_empty() {
                options.push(&part);
            }
            mount("bind", &bind.source, &own.destination, &options)
        }
    }
}

/// The propagation of the root that a mount below it needs.
pub(crate) fn rootfs_propagation(mounts: &[Mount]) -> Option<String> {
    let has = |words: [&str; 2]| {
        mounts.iter().any(|mount| match &mount.source {
            Source::Bind(bind) => words.contains(&bind.propagation.as_str()),
            Source::Tmpfs(_) => false,
        })
    };
    if has(["shared", "rshared"]) {
        Some("shared".to_owned())
    } else if has(["slave", "rslave"]) {
        Some("rslave".to_owned())
    } else {
        None
    }
}

fn mount(kind: &str, source: &Path, destination: &str, options: &[&str]) -> OciMount {
    MountBuilder::default()
        .destination(destination)
        .typ(kind)
        .source(source)
        .options(options.iter().map(|option| (*option).to_owned()).collect::<Vec<_>>())
        .build()
        .expect("every field of the mount is set")
}
