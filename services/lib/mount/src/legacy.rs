//! mount(2), where the kernel's newer calls do not work: overlay before Linux 6.5, which does not know `lowerdir+`;
//! values that are too long for `fsconfig(2)`; binds with attributes before 5.12.
//!
//! mount(2) takes all options as one string of at most a page. So directories are named by their descriptors,
//! `/proc/self/fd/N`: 17 bytes a layer, however long their paths are. A detached mount can only be made by
//! `fsconfig(2)`, whose strings end after 255 bytes: about fifteen layers.

use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::LazyLock;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, MountFlags};

use crate::mount::LONGEST_STRING;
use crate::{Attributes, Error, Mount, Options, Recursive, Result, options};

/// The first kernel whose overlay takes each layer separately.
const LAYERS_ONE_BY_ONE: (u32, u32) = (6, 5);

/// Whether the running kernel's overlay needs all layers in one string.
pub(crate) fn is_kernels() -> bool {
    static KNOWN: LazyLock<bool> = LazyLock::new(|| {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        version(&release).is_some_and(|version| version < LAYERS_ONE_BY_ONE)
    });
    *KNOWN
}

/// The major and minor number of a release such as `6.1.0-38-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|other: char| !other.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Configures overlay's directories on a context. The caller keeps the descriptors until the file system is made.
///
/// # Errors
///
/// ENAMETOOLONG when the layers do not fit into a string.
pub(crate) fn configure(context: BorrowedFd<'_>, key: &str, value: &str) -> Result<Vec<OwnedFd>> {
    let mut directories = Vec::new();
    let layers =
        if key == "lowerdir" { options::split_layers(value) } else { vec![options::unescape(value)] };
    let names: Result<Vec<String>> = layers.iter().map(|layer| name(layer, &mut directories)).collect();
    let text = names?.join(":");
    let fail = |errno| Error::os("mount", format!("overlay of {} layers at once", layers.len()), errno);
    if text.len() >= LONGEST_STRING {
        return Err(fail(Errno::NAMETOOLONG));
    }
    rustix::mount::fsconfig_set_string(context, key, text).map_err(fail)?;
    Ok(directories)
}

/// Whether mount(2) may work where the new mount API has failed.
pub(crate) fn is_wanted(error: &Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL | libc::EOPNOTSUPP))
}

/// Mounts with mount(2) after the new API has failed. If both fail, returns the error of the new API, which says
/// more, unless the kernel lacks the new API.
pub(crate) fn try_after(first: Error, mount: &Mount, options: &Options, place: &Path) -> Result<()> {
    let done =
        if mount.is_bind(options) { bind(mount, options, place) } else { self::mount(mount, options, place) };
    done.map_err(|second| if first.raw_os_error() == Some(libc::ENOSYS) { second } else { first })
}

fn bind(mount: &Mount, options: &Options, place: &Path) -> Result<()> {
    if !options.recursive_attributes.is_empty() {
        return Err(Error::path("bind at", place, Errno::NOSYS));
    }
    match options.bind {
        Some(Recursive::Yes) => rustix::mount::mount_bind_recursive(mount.source.as_str(), place),
        _ => rustix::mount::mount_bind(mount.source.as_str(), place),
    }
    .map_err(|e| Error::path("bind at", place, e))?;
    if options.attributes.set.is_empty() { Ok(()) } else { change(place, &options.attributes) }
}

/// Sets exactly these attributes on the mount at a path.
pub(crate) fn change(place: &Path, attributes: &Attributes) -> Result<()> {
    let flags = MountFlags::BIND | flags_of(attributes);
    rustix::mount::mount_remount(place, flags, c"").map_err(|e| Error::path("remount", place, e))
}

fn flags_of(attributes: &Attributes) -> MountFlags {
    let mut flags = MountFlags::empty();
    for (flag, attribute) in [
        (MountFlags::RDONLY, MountAttrFlags::MOUNT_ATTR_RDONLY),
        (MountFlags::NOSUID, MountAttrFlags::MOUNT_ATTR_NOSUID),
        (MountFlags::NODEV, MountAttrFlags::MOUNT_ATTR_NODEV),
        (MountFlags::NOEXEC, MountAttrFlags::MOUNT_ATTR_NOEXEC),
        (MountFlags::NOATIME, MountAttrFlags::MOUNT_ATTR_NOATIME),
        (MountFlags::NODIRATIME, MountAttrFlags::MOUNT_ATTR_NODIRATIME),
        (MountFlags::STRICTATIME, MountAttrFlags::MOUNT_ATTR_STRICTATIME),
    ] {
        flags.set(flag, attributes.set.contains(attribute));
    }
    flags
}

/// Mounts with mount(2).
pub(crate) fn mount(mount: &Mount, options: &Options, place: &Path) -> Result<()> {
    let mut directories: Vec<OwnedFd> = Vec::new();
    let mut words: Vec<String> = Vec::new();
    for (key, value) in &options.data {
        words.push(match value {
            None => key.clone(),
            Some(value) if key == "lowerdir" => {
                let layers: Result<Vec<String>> =
                    options::split_layers(value).iter().map(|layer| name(layer, &mut directories)).collect();
                format!("{key}={}", layers?.join(":"))
            }
            Some(value) if key == "upperdir" || key == "workdir" => {
                format!("{key}={}", name(&options::unescape(value), &mut directories)?)
            }
            Some(value) => format!("{key}={value}"),
        });
    }
    let data = CString::new(words.join(","))
        .map_err(|_| Error::Malformed { what: "mount options", text: words.join(",") })?;
    let mut flags = flags_of(&options.attributes);
    for (flag, word) in [
        (MountFlags::SYNCHRONOUS, "sync"),
        (MountFlags::DIRSYNC, "dirsync"),
        (MountFlags::LAZYTIME, "lazytime"),
        (MountFlags::PERMIT_MANDATORY_FILE_LOCKING, "mand"),
    ] {
        flags.set(flag, options.super_words.contains(&word));
    }
    rustix::mount::mount(mount.source.as_str(), place, mount.fs_type.as_str(), flags, Some(data.as_c_str()))
        .map_err(|e| Error::path("mount", place, e))
}

/// A short path of a directory, valid while its descriptor is open.
fn name(path: &str, directories: &mut Vec<OwnedFd>) -> Result<String> {
    let directory = rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| Error::os("open layer", path, e))?;
    let name = format!("/proc/self/fd/{}", directory.as_raw_fd());
    directories.push(directory);
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_number() {
        assert_eq!(version("6.1.0-38-cloud-amd64\n"), Some((6, 1)));
        assert_eq!(version("6.18.44-fc"), Some((6, 18)));
        assert_eq!(version("7.0-rc1"), Some((7, 0)));
        assert_eq!(version("odd"), None);
    }
}
