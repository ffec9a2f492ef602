//! The shim's own mount namespace, and the container's root inside it.
//!
//! Invariant: nothing that is mounted here is seen in the host's mount table, and
//! all of it is gone when the shim is. The bundle directory is bind-mounted on
//! itself; so that this does not spread, the one mount that holds the bundle is
//! made a slave in this namespace first. Every other mount keeps its propagation,
//! so that `rshared` volumes work.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use gantry_proto::containerd::types::Mount;
use nix::mount::MsFlags;
use nix::sched::CloneFlags;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_fd, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree, unmount,
};

use self::idmap::IdMap;
use crate::error::{Error, Result};

mod idmap;

/// The longest string `fsconfig(2)` takes; `strndup_user(…, 256)` in fs/fsopen.c.
const FSCONFIG_STRING: usize = 255;

/// Puts the calling (single-threaded) process into a mount namespace of its own.
pub fn enter() -> Result<()> {
    nix::sched::unshare(CloneFlags::CLONE_NEWNS)
        .map_err(|errno| Error::Mount { what: "namespace".into(), reason: errno.to_string() })
}

/// Makes `bundle` a private mount, so that what is mounted below stays here.
pub fn isolate(bundle: &Path) -> Result<()> {
    let failed = |reason: String| Error::Mount { what: bundle.display().to_string(), reason };
    let holder = mount_point(bundle).map_err(|errno| failed(errno.to_string()))?;
    change(&holder, MsFlags::MS_SLAVE)
        // The root of a chroot need not be a mount point.
        .or_else(|_| change(Path::new("/"), MsFlags::MS_SLAVE | MsFlags::MS_REC))
        .map_err(|errno| failed(format!("make {} a slave: {errno}", holder.display())))?;
    bind(bundle, bundle, MsFlags::MS_REC).map_err(|errno| failed(errno.to_string()))?;
    change(bundle, MsFlags::MS_PRIVATE).map_err(|errno| failed(errno.to_string()))
}

/// The running binary as a mount of its own, to be put somewhere by [`pin_binary`].
/// Taken before [`enter`]: after it, the binary belongs to another namespace.
pub fn take_binary() -> Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    open_tree(CWD, "/proc/self/exe", flags).map_err(Error::errno("take", "/proc/self/exe"))
}

/// Mounts the running binary read-only at `at`: started from there, a container
/// that gets hold of `/proc/<pid>/exe` cannot open it for writing.
pub fn pin_binary(binary: &OwnedFd, at: &Path) -> Result<()> {
    let failed = |reason: String| Error::Mount { what: at.display().to_string(), reason };
    std::fs::File::create(at).map_err(Error::io("create", at))?;
    move_mount(binary, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(|errno| failed(errno.to_string()))?;
    let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | MsFlags::MS_NOSUID;
    nix::mount::mount(None::<&str>, at, None::<&str>, flags, None::<&str>)
        .map_err(|errno| failed(errno.to_string()))
}

/// Mounts the container's root at `root`, one mount after the other.
pub fn mount_root(mounts: &[Mount], root: &Path) -> Result<()> {
    if mounts.is_empty() {
        return Ok(());
    }
    std::fs::create_dir_all(root).map_err(Error::io("create", root))?;
    for (done, mount) in mounts.iter().enumerate() {
        let target = match mount.target.trim_start_matches('/') {
            "" => Ok((root.to_path_buf(), None)),
            below => inside(root, below),
        };
        let mounted = target.and_then(|(target, _held)| mount_one(mount, &target));
        if let Err(reason) = mounted {
            if done > 0 {
                unmount_root(root);
            }
            return Err(Error::Mount {
                what: format!("{} {} on {}/{}", mount.r#type, mount.source, root.display(), mount.target),
                reason,
            });
        }
    }
    Ok(())
}

/// A name for what is at a place of the image that is mounted at `root`, never outside of it, while the descriptor is
/// kept.
fn inside(root: &Path, below: &str) -> Result<(PathBuf, Option<OwnedFd>), String> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let found = rustix::fs::open(root, flags | OFlags::DIRECTORY, Mode::empty())
        .and_then(|root| crate::runtime::user::open_inside(&root, below, flags))
        .map_err(|errno| errno.to_string())?;
    Ok((PathBuf::from(format!("/proc/self/fd/{}", found.as_raw_fd())), Some(found)))
}

/// Takes everything off `root`; nothing to do is no error.
pub fn unmount_root(root: &Path) {
    while unmount(root, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW).is_ok() {}
}

/// A mount's options, sorted by who understands them.
#[derive(Default, Debug, PartialEq)]
struct Options<'a> {
    flags: u64,
    recursive: bool,
    /// Ids that the files are to be shown with.
    uids: Option<&'a str>,
    gids: Option<&'a str>,
    data: Vec<(&'a str, Option<&'a str>)>,
}

impl<'a> Options<'a> {
    fn parse(options: &'a [String]) -> Self {
        let mut parsed = Self::default();
        for option in options {
            let flag = match option.as_str() {
                "ro" => MsFlags::MS_RDONLY,
                "nosuid" => MsFlags::MS_NOSUID,
                "nodev" => MsFlags::MS_NODEV,
                "noexec" => MsFlags::MS_NOEXEC,
                "noatime" => MsFlags::MS_NOATIME,
                "nodiratime" => MsFlags::MS_NODIRATIME,
                "relatime" => MsFlags::MS_RELATIME,
                "strictatime" => MsFlags::MS_STRICTATIME,
                "rw" | "suid" | "dev" | "exec" | "atime" | "bind" | "defaults" => MsFlags::empty(),
                "rbind" => {
                    parsed.recursive = true;
                    MsFlags::empty()
                }
                other => {
                    match other.split_once('=') {
                        Some(("uidmap", ranges)) => parsed.uids = Some(ranges),
                        Some(("gidmap", ranges)) => parsed.gids = Some(ranges),
                        Some((key, value)) => parsed.data.push((key, Some(value))),
                        None => parsed.data.push((other, None)),
                    }
                    MsFlags::empty()
                }
            };
            parsed.flags |= flag.bits();
        }
        parsed
    }

    /// The same with another value of an option of the file system.
    fn with<'b>(&'b self, key: &str, value: &'b str) -> Options<'b> {
        let data = self.data.iter().map(|(name, old)| (*name, if *name == key { Some(value) } else { *old }));
        Options { data: data.collect(), ..*self }
    }

    fn flags(&self) -> MsFlags {
        MsFlags::from_bits_truncate(self.flags)
    }

    fn attributes(&self) -> MountAttrFlags {
        let flags = self.flags();
        let mut attributes = MountAttrFlags::empty();
        for (flag, attribute) in [
            (MsFlags::MS_RDONLY, MountAttrFlags::MOUNT_ATTR_RDONLY),
            (MsFlags::MS_NOSUID, MountAttrFlags::MOUNT_ATTR_NOSUID),
            (MsFlags::MS_NODEV, MountAttrFlags::MOUNT_ATTR_NODEV),
            (MsFlags::MS_NOEXEC, MountAttrFlags::MOUNT_ATTR_NOEXEC),
            (MsFlags::MS_NOATIME, MountAttrFlags::MOUNT_ATTR_NOATIME),
            (MsFlags::MS_NODIRATIME, MountAttrFlags::MOUNT_ATTR_NODIRATIME),
            (MsFlags::MS_STRICTATIME, MountAttrFlags::MOUNT_ATTR_STRICTATIME),
        ] {
            if flags.contains(flag) {
                attributes |= attribute;
            }
        }
        attributes
    }
}

fn mount_one(mount: &Mount, target: &Path) -> Result<(), String> {
    let options = Options::parse(&mount.options);
    let is_bind =
        mount.r#type == "bind" || mount.options.iter().any(|option| option == "bind" || option == "rbind");
    match (IdMap::of(&options)?, mount.r#type.as_str()) {
        (None, _) if is_bind => mount_bind(mount, &options, target).map_err(|errno| errno.to_string()),
        (None, _) => mount_file_system(mount, &options, target),
        (Some(map), _) if is_bind => map.bind(&mount.source, &options, target),
        (Some(map), "overlay") => {
            map.overlay(&options, target, |options, place| mount_file_system(mount, options, place))
        }
        (Some(_), other) => Err(format!("{other} is not shown with mapped ids: overlay and bind are")),
    }
}

fn mount_file_system(mount: &Mount, options: &Options<'_>, target: &Path) -> Result<(), String> {
    // What the kernel does not know it tells the operator of, each time.
    if mount.r#type == "overlay" && !appends_layers(&rustix::system::uname().release().to_string_lossy()) {
        return mount_classic(mount, options, target);
    }
    match mount_new(mount, options, target) {
        Ok(()) => Ok(()),
        // Kernels before 5.2 do not know `fsopen`.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => mount_classic(mount, options, target),
        Err(errno) => Err(errno.to_string()),
    }
}

fn mount_bind(mount: &Mount, options: &Options<'_>, target: &Path) -> nix::Result<()> {
    let recursive = if options.recursive { MsFlags::MS_REC } else { MsFlags::empty() };
    bind(Path::new(&mount.source), target, recursive)?;
    if options.flags().is_empty() {
        return Ok(());
    }
    let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | options.flags();
    nix::mount::mount(None::<&str>, target, None::<&str>, flags, None::<&str>)
}

/// Whether a kernel of this release knows `lowerdir+`: Linux 6.5.
fn appends_layers(release: &str) -> bool {
    let mut numbers =
        release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0_u32));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (6, 5)
}

/// Mounts by `fsopen(2)`, Linux 5.2: its options have no common limit of one page.
fn mount_new(mount: &Mount, options: &Options<'_>, target: &Path) -> rustix::io::Result<()> {
    let context = fsopen(mount.r#type.as_str(), FsOpenFlags::FSOPEN_CLOEXEC)?;
    if !mount.source.is_empty() {
        fsconfig_set_string(&context, "source", mount.source.as_str())?;
    }
    for (key, value) in &options.data {
        match value {
            None => fsconfig_set_flag(&context, *key)?,
            Some(lower) if mount.r#type == "overlay" && *key == "lowerdir" => {
                for layer in split_layers(lower) {
                    set_path(&context, "lowerdir+", &layer)?;
                }
            }
            Some(value) if value.starts_with('/') => set_path(&context, key, value)?,
            Some(value) => fsconfig_set_string(&context, *key, *value)?,
        }
    }
    fsconfig_create(&context)?;
    let detached = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, options.attributes())?;
    move_mount(&detached, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

/// Sets an option that is a path: by descriptor (Linux 6.13) when it is too long as a string.
fn set_path(context: &OwnedFd, key: &str, path: &str) -> rustix::io::Result<()> {
    if path.len() <= FSCONFIG_STRING {
        return fsconfig_set_string(context, key, path);
    }
    let opened = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    fsconfig_set_fd(context, key, &opened)
}

fn mount_classic(mount: &Mount, options: &Options<'_>, target: &Path) -> Result<(), String> {
    let data: Vec<String> = options
        .data
        .iter()
        .map(|(key, value)| match value {
            Some(value) => format!("{key}={value}"),
            None => (*key).to_string(),
        })
        .collect();
    nix::mount::mount(
        Some(mount.source.as_str()),
        target,
        Some(mount.r#type.as_str()),
        options.flags(),
        Some(data.join(",").as_str()),
    )
    .map_err(|errno| errno.to_string())
}

/// Splits overlay's `lowerdir` at its colons; a backslash keeps the next character.
fn split_layers(lower: &str) -> Vec<String> {
    let mut layers = vec![String::new()];
    let mut characters = lower.chars();
    while let Some(character) = characters.next() {
        match character {
            ':' => layers.push(String::new()),
            '\\' => layers.last_mut().expect("never empty").extend(characters.next()),
            other => layers.last_mut().expect("never empty").push(other),
        }
    }
    layers.retain(|layer| !layer.is_empty());
    layers
}

fn bind(source: &Path, target: &Path, more: MsFlags) -> nix::Result<()> {
    let flags = MsFlags::MS_BIND | more;
    nix::mount::mount(Some(source), target, None::<&str>, flags, None::<&str>)
}

fn change(target: &Path, propagation: MsFlags) -> nix::Result<()> {
    nix::mount::mount(None::<&str>, target, None::<&str>, propagation, None::<&str>)
}

/// The mount point that `path` lies in: as far up as the mount id stays the same.
fn mount_point(path: &Path) -> rustix::io::Result<PathBuf> {
    // STATX_MNT_ID, Linux 5.8.
    let id = |path: &Path| {
        rustix::fs::statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID).map(|stat| stat.stx_mnt_id)
    };
    let mut holder =
        std::fs::canonicalize(path).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::NOENT))?;
    let wanted = id(&holder)?;
    while let Some(parent) = holder.parent() {
        if id(parent)? != wanted {
            break;
        }
        holder = parent.to_path_buf();
    }
    Ok(holder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_split_at_unescaped_colons() {
        assert_eq!(split_layers("/a:/b\\:c:/d"), ["/a", "/b:c", "/d"]);
        assert_eq!(split_layers("/a"), ["/a"]);
    }

    #[test]
    fn releases_are_compared_by_number() {
        assert!(["6.5.0", "6.12.3-amd64", "10.1"].into_iter().all(appends_layers));
        assert!(!["6.1.0-57-cloud-amd64", "5.15", "", "x"].into_iter().any(appends_layers));
    }

    #[test]
    fn options_are_sorted_by_who_understands_them() {
        let given: Vec<String> =
            ["ro", "lowerdir=/a:/b", "index=off", "userxattr", "rbind"].map(String::from).to_vec();
        let options = Options::parse(&given);
        assert_eq!(options.flags(), MsFlags::MS_RDONLY);
        assert!(options.recursive);
        assert_eq!(options.data, [("lowerdir", Some("/a:/b")), ("index", Some("off")), ("userxattr", None)]);
    }

    #[test]
    fn proc_is_its_own_mount_point() {
        assert_eq!(mount_point(Path::new("/proc/self/fd")).ok(), Some(PathBuf::from("/proc")));
    }
}
