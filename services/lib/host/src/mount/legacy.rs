//! Overlay on kernels before 6.5, which do not know `lowerdir+`: mount(2) with one string of options.
//!
//! The string may not be longer than a page, so directories go by the names that their descriptors have in
//! `/proc/self/fd`: 17 bytes a layer, whatever their real names are.

use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::mount::MountFlags;

use super::{Mount, Options, options};
use crate::{Error, Result};

/// Whether the new mount API refused what mount(2) may still take.
pub(super) fn is_wanted(error: &Error) -> bool {
    match error {
        Error::Os { .. } => error.raw_os_error() == Some(libc::ENOSYS),
        Error::FileSystem { reason, .. } => reason.contains("Unknown parameter 'lowerdir+'"),
        Error::Malformed { .. } | Error::UnsupportedOption(_) | Error::Unnamed(_) => false,
    }
}

/// Mounts with mount(2).
pub(super) fn mount(mount: &Mount, options: &Options, place: &Path) -> Result<()> {
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
    let mut flags = MountFlags::empty();
    flags.set(MountFlags::RDONLY, options.read_only);
    for (flag, word) in [
        (MountFlags::NOSUID, rustix::mount::MountAttrFlags::MOUNT_ATTR_NOSUID),
        (MountFlags::NODEV, rustix::mount::MountAttrFlags::MOUNT_ATTR_NODEV),
        (MountFlags::NOEXEC, rustix::mount::MountAttrFlags::MOUNT_ATTR_NOEXEC),
        (MountFlags::NOATIME, rustix::mount::MountAttrFlags::MOUNT_ATTR_NOATIME),
    ] {
        flags.set(flag, options.attributes.set.contains(word));
    }
    rustix::mount::mount(mount.source.as_str(), place, mount.fs_type.as_str(), flags, Some(data.as_c_str()))
        .map_err(|e| Error::path("mount", place, e))
}

/// A short name for a directory, good while its descriptor is kept.
fn name(path: &str, directories: &mut Vec<OwnedFd>) -> Result<String> {
    let directory = rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| Error::os("open layer", path, e))?;
    let name = format!("/proc/self/fd/{}", directory.as_raw_fd());
    directories.push(directory);
    Ok(name)
}
