//! Paths that try to leave the root.

use super::*;

fn scratch(name: &str) -> (PathBuf, Root) {
    let base = Path::new("/dev/shm").join(format!("gantry-root-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&base);
    std::fs::create_dir_all(base.join("in")).unwrap();
    let root = Root::open_path(&base.join("in")).unwrap();
    (base, root)
}

#[test]
fn dots_and_absolute_links_stay_inside() {
    let (base, root) = scratch("dots");
    std::fs::write(base.join("secret"), b"outside").unwrap();
    std::os::unix::fs::symlink(base.join("secret"), base.join("in/abs")).unwrap();
    std::os::unix::fs::symlink("../secret", base.join("in/rel")).unwrap();
    for name in ["abs", "rel", "../secret", "/../../secret"] {
        assert!(root.read(Path::new(name)).unwrap_err().is_not_found(), "{name}");
    }
    root.write(Path::new("../../made"), b"x", 0o600).unwrap();
    assert!(base.join("in/made").exists() && !base.join("made").exists());
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn directories_are_made_through_links_within_the_root() {
    let (base, root) = scratch("dirs");
    root.create_dir_all(Path::new("run"), 0o755).unwrap();
    root.create_dir_all(Path::new("var"), 0o755).unwrap();
    root.symlink(OsStr::new("/run"), Path::new("var/run")).unwrap();
    root.create_dir_all(Path::new("/var/run/lock/deep"), 0o755).unwrap();
    assert!(base.join("in/run/lock/deep").is_dir());
    assert_eq!(root.resolve(Path::new("var/run/lock")).unwrap(), Path::new("/run/lock"));
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn removing_a_tree_does_not_follow_links() {
    let (base, root) = scratch("remove");
    std::fs::create_dir_all(base.join("keep")).unwrap();
    std::fs::write(base.join("keep/file"), b"").unwrap();
    root.create_dir_all(Path::new("tree/a/b"), 0o755).unwrap();
    root.write(Path::new("tree/a/b/c"), b"", 0o600).unwrap();
    std::os::unix::fs::symlink(base.join("keep"), base.join("in/tree/out")).unwrap();
    root.remove_all(Path::new("tree")).unwrap();
    root.remove_all(Path::new("tree")).unwrap();
    assert!(base.join("keep/file").exists() && !base.join("in/tree").exists());
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn root_of_a_file_that_may_not_be_removed_the_true_reason_is_told() {
    let (base, root) = scratch("immutable");
    root.write(Path::new("file"), b"", 0o600).unwrap();
    let file = std::fs::File::open(base.join("in/file")).unwrap();
    // Not every kernel supports this on tmpfs.
    if rustix::fs::ioctl_setflags(&file, rustix::fs::IFlags::IMMUTABLE).is_ok() {
        let error = root.remove_all(Path::new("file")).unwrap_err();
        rustix::fs::ioctl_setflags(&file, rustix::fs::IFlags::empty()).unwrap();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    }
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn root_only_files_of_some_length_are_read() {
    let (base, root) = scratch("read");
    root.mknod(Path::new("zero"), EntryKind::CharDevice, 0o600, rustix::fs::makedev(1, 5)).unwrap();
    root.symlink(OsStr::new("/zero"), Path::new("passwd")).unwrap();
    assert_eq!(root.read(Path::new("passwd")).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    root.write(Path::new("big"), b"", 0o600).unwrap();
    std::fs::File::options().write(true).open(base.join("in/big")).unwrap().set_len(1 << 30).unwrap();
    assert_eq!(root.read(Path::new("big")).unwrap_err().raw_os_error(), Some(libc::EFBIG));
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn a_path_without_a_last_part_is_refused() {
    let (base, root) = scratch("unnamed");
    for name in ["", "/", "..", "a/..", "."] {
        assert!(matches!(root.create_dir(Path::new(name), 0o755), Err(Error::Unnamed(_))), "{name:?}");
    }
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn root_links_are_read_linked_and_not_followed() {
    let (base, root) = scratch("links");
    root.write(Path::new("file"), b"1", 0o600).unwrap();
    root.hardlink(Path::new("file"), Path::new("second")).unwrap();
    root.symlink(OsStr::new("file"), Path::new("soft")).unwrap();
    assert_eq!(root.stat(Path::new("second")).unwrap().st_nlink, 2);
    assert_eq!(root.read_link(Path::new("soft")).unwrap(), Path::new("file"));
    assert!(root.set_mode(Path::new("soft"), 0o777).is_err());
    root.set_mode(Path::new("file"), 0o640).unwrap();
    assert_eq!(root.stat(Path::new("file")).unwrap().st_mode & 0o7777, 0o640);
    root.set_xattr(Path::new("file"), OsStr::new("trusted.x"), b"v").unwrap();
    assert_eq!(root.get_xattr(Path::new("file"), OsStr::new("trusted.x")).unwrap().unwrap(), b"v");
    assert_eq!(root.get_xattr(Path::new("file"), OsStr::new("trusted.y")).unwrap(), None);
    std::fs::remove_dir_all(base).unwrap();
}
