//! Copies and usage of trees in memory.

use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};

use super::*;
use crate::{EntryKind, Root};

fn scratch(name: &str) -> PathBuf {
    let base = Path::new("/dev/shm").join(format!("gantry-fs-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&base);
    std::fs::create_dir_all(base.join("from")).unwrap();
    std::fs::create_dir_all(base.join("to")).unwrap();
    base
}

#[test]
fn root_a_copy_keeps_everything() {
    let base = scratch("copy");
    let root = Root::open_path(&base.join("from")).unwrap();
    root.create_dir_all(Path::new("dir/sub"), 0o755).unwrap();
    root.write(Path::new("dir/file"), b"contents", 0o644).unwrap();
    root.set_owner(Path::new("dir/file"), 1234, 4321).unwrap();
    root.set_mode(Path::new("dir/file"), 0o4751).unwrap();
    root.set_xattr(Path::new("dir/file"), "user.note".as_ref(), b"kept").unwrap();
    root.hardlink(Path::new("dir/file"), Path::new("dir/sub/second")).unwrap();
    root.symlink("../nowhere".as_ref(), Path::new("dir/link")).unwrap();
    root.mknod(Path::new("fifo"), EntryKind::Fifo, 0o600, 0).unwrap();
    root.mknod(Path::new("gone"), EntryKind::CharDevice, 0, 0).unwrap();
    let sparse =
        root.open(Path::new("sparse"), OFlags::CREATE | OFlags::WRONLY, Mode::from_raw_mode(0o600)).unwrap();
    rustix::io::pwrite(&sparse, b"end", 10 << 20).unwrap();
    root.set_mode(Path::new("dir"), 0o1770).unwrap();

    let to = Root::open_path(&base.join("to")).unwrap();
    let report = copy_tree(root.as_fd(), to.as_fd()).unwrap();
    assert_eq!(report.entries, 8);
    let file = std::fs::symlink_metadata(base.join("to/dir/file")).unwrap();
    assert_eq!((file.uid(), file.gid(), file.mode() & 0o7777), (1234, 4321, 0o4751));
    assert_eq!(file.mtime_nsec(), std::fs::metadata(base.join("from/dir/file")).unwrap().mtime_nsec());
    assert_eq!(file.ino(), std::fs::metadata(base.join("to/dir/sub/second")).unwrap().ino());
    assert_eq!(to.get_xattr(Path::new("dir/file"), "user.note".as_ref()).unwrap().unwrap(), b"kept");
    assert_eq!(std::fs::read_link(base.join("to/dir/link")).unwrap(), Path::new("../nowhere"));
    assert!(std::fs::symlink_metadata(base.join("to/fifo")).unwrap().file_type().is_fifo());
    assert!(std::fs::symlink_metadata(base.join("to/gone")).unwrap().file_type().is_char_device());
    let sparse = std::fs::metadata(base.join("to/sparse")).unwrap();
    assert_eq!(sparse.len(), (10 << 20) + 3);
    assert!(sparse.blocks() * 512 < 1 << 20);
    assert_eq!(std::fs::metadata(base.join("to/dir")).unwrap().permissions().mode() & 0o7777, 0o1770);
    remove_tree(&base).unwrap();
    assert!(!base.exists());
}

#[test]
fn usage_counts_an_inode_once_and_blocks_not_lengths() {
    let base = scratch("usage");
    std::fs::write(base.join("from/a"), vec![1u8; 8192]).unwrap();
    std::fs::hard_link(base.join("from/a"), base.join("from/b")).unwrap();
    let file = std::fs::File::create(base.join("from/hole")).unwrap();
    file.set_len(1 << 30).unwrap();
    let usage = disk_usage(&base.join("from")).unwrap();
    assert_eq!(usage.inodes, 3);
    assert_eq!(usage.size, 8192);
    remove_tree(&base).unwrap();
}

/// Sets the usual limit of open files of a new process.
fn few_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(1024), maximum }).unwrap();
}

/// Makes nested directories.
fn dig(top: &Path, depth: usize) {
    let mut dir = crate::Dir::open(top).unwrap();
    for _ in 0..depth {
        dir.make_dir("d".as_ref(), 0o755).unwrap();
        dir = dir.open_dir("d".as_ref()).unwrap().unwrap();
    }
}

#[test]
fn wide_deep_and_linked_trees_need_few_descriptors() {
    few_descriptors();
    let base = scratch("wide");
    for n in 0..1500 {
        std::fs::create_dir(base.join(format!("from/{n}"))).unwrap();
        std::fs::write(base.join(format!("from/{n}/file")), b"").unwrap();
        std::fs::hard_link(base.join(format!("from/{n}/file")), base.join(format!("from/{n}/link"))).unwrap();
    }
    assert_eq!(disk_usage(&base.join("from")).unwrap().inodes, 1 + 2 * 1500);
    let (from, to) = (Root::open_path(&base.join("from")), Root::open_path(&base.join("to")));
    copy_tree(from.unwrap().as_fd(), to.unwrap().as_fd()).unwrap();
    assert_eq!(disk_usage(&base.join("to")).unwrap().inodes, 1 + 2 * 1500);
    assert_eq!(std::fs::metadata(base.join("to/1499/link")).unwrap().nlink(), 2);
    dig(&base.join("from"), 3000);
    remove_tree(&base).unwrap();
    assert!(!base.exists());
}

#[test]
fn spreading_is_asked_for_wherever_it_is_possible() {
    let base = scratch("spread");
    spread_below(&base).unwrap();
    assert!(spread_below(&base.join("missing")).unwrap_err().is_not_found());
    remove_tree(&base).unwrap();
}
