//! Overlay on kernels before 6.5, which do not know `lowerdir+`: mount(2) with one string of options.
//!
//! The string may not be longer than a page, so directories go by the names that their descriptors have in
//! `/proc/self/fd`: 17 bytes a layer, whatever their real names are. A detached mount is made by `fsconfig(2)` there too,
//! whose strings end after 255 bytes: fifteen layers or so.

use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::LazyLock;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MountFlags;

use crate::mount::LONGEST_STRING;
use crate::{Error, Mount, Options, Result, options};

/// The first kernel whose overlay takes its layers one by one.
const LAYERS_ONE_BY_ONE: (u32, u32) = (6, 5);

/// Whether the running kernel's overlay wants all layers in one string.
pub(crate) fn is_kernels() -> bool {
    static KNOWN: LazyLock<bool> = LazyLock::new(|| {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        version(&release).is_some_and(|version| version < LAYERS_ONE_BY_ONE)
    });
    *KNOWN
}

/// Major and minor number of a release, as in `6.1.0-38-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|other: char| !other.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Hands overlay's directories over to a context. The descriptors have to be kept until the file system is made.
///
/// # Errors
///
/// ENAMETOOLONG when there are more layers than a string has room for.
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

/// Whether the new mount API refused what mount(2) may still take.
pub(crate) fn is_wanted(error: &Error) -> bool {
    match error {
        Error::Os { .. } => error.raw_os_error() == Some(libc::ENOSYS),
        Error::FileSystem { reason, .. } => reason.contains("Unknown parameter 'lowerdir+'"),
        Error::Malformed { .. } | Error::UnsupportedOption(_) | Error::Unnamed(_) => false,
    }
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
