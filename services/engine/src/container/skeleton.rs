//! Prepares a root before anything runs in it: Docker's marker files, mount points, and the working directory.
//!
//! An image may have any file at these places. A file where a directory is needed is replaced, and so is a symlink
//! where a file is needed, so that the runtime never follows a symlink of the image when it mounts there.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;

use gantry_mount::Mount;
use gantry_rooted::{Dir, EntryKind, Root, kind_of};

use crate::error::{Error, Result};
use crate::record::{MountRecord, Record};
use crate::root::{kernel, open_detached};

/// Prepares a root that is not mounted yet. Returns the mount points that were missing and have been made.
pub fn prepare(mounts: &[Mount], record: &Record) -> Result<BTreeSet<String>> {
    let root = match open_detached(mounts) {
        // An old kernel cannot mount this many layers detached. The start then makes what is missing, as far as it
        // can.
        Err(Error::Kernel { source }) if source.is_too_long() => return Ok(BTreeSet::new()),
        root => root?,
    };
    let top = root.dir(Path::new("/")).map_err(kernel)?;
    lay(&top).map_err(kernel)?;
    if !record.config.working_dir.is_empty() {
        make_working_dir(&root, &record.config.working_dir)?;
    }
    let mut made = BTreeSet::new();
    for mount in record.mounts.iter().filter(|mount| is_outermost(mount, record)) {
        // A mount point that cannot be made is reported by the start, which needs it.
        if let Ok(true) = make_place(&root, mount) {
            made.insert(mount.point.destination.clone());
        }
    }
    Ok(made)
}

/// Makes the files and directories that Docker makes in every container.
fn lay(top: &Dir) -> gantry_host::Result<()> {
    file(top, ".dockerenv")?;
    let dev = directory(top, "dev")?;
    directory(&dev, "pts")?;
    directory(&dev, "shm")?;
    file(&dev, "console")?;
    directory(top, "proc")?;
    directory(top, "sys")?;
    let etc = directory(top, "etc")?;
    for name in ["hosts", "hostname", "resolv.conf"] {
        file(&etc, name)?;
    }
    link(&etc, "mtab", "/proc/mounts")
}

fn directory(parent: &Dir, name: &str) -> gantry_host::Result<Dir> {
    let name = OsStr::new(name);
    match parent.open_dir(name) {
        Ok(Some(found)) => return Ok(found),
        Ok(None) => parent.remove_file(name)?,
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error),
    }
    parent.make_dir(name, 0o755)?;
    parent.open_dir(name).map(|made| made.expect("it was made just now, and the root is nobody else's"))
}

fn file(parent: &Dir, name: &str) -> gantry_host::Result<()> {
    let name = OsStr::new(name);
    match parent.stat(name)?.map(|stat| stat.kind) {
        Some(EntryKind::File | EntryKind::Directory) => return Ok(()),
        Some(_) => parent.remove_file(name)?,
        None => {}
    }
    parent.create_file(name, 0o755).map(drop)
}

fn link(parent: &Dir, name: &str, target: &str) -> gantry_host::Result<()> {
    let (name, target) = (OsStr::new(name), OsStr::new(target));
    match parent.stat(name)?.map(|stat| stat.kind) {
        Some(EntryKind::Directory) => return Ok(()),
        Some(EntryKind::Symlink) if parent.read_link(name)? == target => return Ok(()),
        Some(_) => parent.remove_file(name)?,
        None => {}
    }
    parent.symlink(target, name)
}

fn make_working_dir(root: &Root, path: &str) -> Result<()> {
    match root.create_dir_all(Path::new(path), 0o755) {
        Ok(_) => Ok(()),
        Err(error) if error.io().is_some_and(|error| error.kind() == std::io::ErrorKind::NotADirectory) => {
            Err(Error::Invalid(format!("Cannot mkdir: {path} is not a directory")))
        }
        Err(error) => Err(kernel(error)),
    }
}

/// Whether a mount's place is in the root itself and not inside another mount.
fn is_outermost(mount: &MountRecord, record: &Record) -> bool {
    let place = Path::new(&mount.point.destination);
    let others = record.mounts.iter().map(|other| other.point.destination.as_str());
    !others
        .chain(["/dev", "/proc", "/sys"])
        .any(|other| place != Path::new(other) && place.starts_with(other))
}

fn make_place(root: &Root, mount: &MountRecord) -> Result<bool> {
    let place = Path::new(&mount.point.destination);
    if root.stat_followed(place).is_ok() {
        return Ok(false);
    }
    let is_directory = match mount.point.r#type.as_str() {
        "bind" => kind_of(&mount.open()?).map_err(kernel)? == EntryKind::Directory,
        // The kind of a part of a volume is only known when the volume is mounted.
        _ if !mount.subpath.is_empty() => return Ok(false),
        _ => true,
    };
    if is_directory {
        root.create_dir_all(place, 0o755).map_err(kernel)?;
    } else {
        let (parent, name) =
            (place.parent().unwrap_or(Path::new("/")), place.file_name().unwrap_or_default());
        let parent = Dir::from(root.create_dir_all(parent, 0o755).map_err(kernel)?);
        parent.create_file(name, 0o755).map_err(kernel)?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn laid(dir: &Path) {
        let root = Root::open_path(dir).expect("opened");
        lay(&root.dir(Path::new("/")).expect("opened")).expect("laid");
    }

    #[test]
    fn an_empty_root_gets_dockers_marks_once() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir(dir.path().join("etc")).expect("made");
        std::fs::write(dir.path().join("etc/hosts"), "the image's").expect("written");
        for _ in 0..2 {
            laid(dir.path());
        }
        let at = |path: &str| dir.path().join(path);
        assert!(at(".dockerenv").is_file() && at("dev/console").is_file() && at("etc/hostname").is_file());
        assert!(
            at("dev/pts").is_dir() && at("dev/shm").is_dir() && at("proc").is_dir() && at("sys").is_dir()
        );
        assert_eq!(std::fs::read_link(at("etc/mtab")).expect("a link"), Path::new("/proc/mounts"));
        assert_eq!(std::fs::read_to_string(at("etc/hosts")).expect("read"), "the image's");
    }

    #[test]
    fn symlinks_of_an_image_are_replaced_not_followed() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let outside = tempfile::tempdir().expect("a temporary directory");
        for name in ["dev", "proc", "sys", ".dockerenv"] {
            symlink(outside.path(), dir.path().join(name)).expect("linked");
        }
        std::fs::create_dir(dir.path().join("etc")).expect("made");
        for name in ["hosts", "resolv.conf", "mtab"] {
            symlink("/no/such", dir.path().join("etc").join(name)).expect("linked");
        }
        laid(dir.path());
        assert_eq!(std::fs::read_dir(outside.path()).expect("listed").count(), 0);
        for name in ["dev", "proc", "sys"] {
            assert!(dir.path().join(name).symlink_metadata().expect("there").is_dir(), "{name}");
        }
        assert!(dir.path().join("etc/resolv.conf").symlink_metadata().expect("there").is_file());
    }

    #[test]
    fn a_working_directory_stays_in_the_root() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let outside = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(dir.path().join("file"), "").expect("written");
        symlink(outside.path(), dir.path().join("out")).expect("linked");
        let root = Root::open_path(dir.path()).expect("opened");
        make_working_dir(&root, "/a/b").expect("made");
        assert!(dir.path().join("a/b").is_dir());
        let error = make_working_dir(&root, "/file").expect_err("refused");
        assert_eq!(error.to_string(), "Cannot mkdir: /file is not a directory");
        let _ = make_working_dir(&root, "/out/c");
        assert_eq!(std::fs::read_dir(outside.path()).expect("listed").count(), 0);
    }

    #[test]
    fn only_places_in_the_root_itself_are_made() {
        let mut record = Record::default();
        for destination in ["/data", "/data/vol", "/database", "/dev/x", "/proc/x"] {
            let mut mount = MountRecord::default();
            mount.point.destination = destination.to_owned();
            record.mounts.push(mount);
        }
        let outermost = record.mounts.iter().filter(|mount| is_outermost(mount, &record));
        let outermost: Vec<&str> = outermost.map(|mount| mount.point.destination.as_str()).collect();
        assert_eq!(outermost, ["/data", "/database"]);
    }
}
