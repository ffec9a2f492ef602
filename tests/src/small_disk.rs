//! A small file system that can be filled.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::Outcome;

/// An ext4 in a file, mounted; dropping it unmounts it.
pub struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Makes a file system of this many MiB.
    pub fn new(mebibytes: u32) -> Self {
        let disk = Self { folder: TempDir::with_prefix_in("gantry-disk-", "/dev/shm").expect("a folder") };
        std::fs::create_dir(disk.path()).expect("a folder");
        let image = disk.folder.path().join("image");
        let run = |program: &str, arguments: &[&str]| {
            let mut command = Command::new(program);
            command.args(arguments).arg(&image);
            command
        };
        Outcome::of(run("truncate", &["-s", &format!("{mebibytes}M")]), b"").ok();
        Outcome::of(run("mkfs.ext4", &["-q", "-F", "-m", "0", "-E", "lazy_itable_init=0"]), b"").ok();
        let mut mount = run("mount", &["-o", "loop"]);
        mount.arg(disk.path());
        Outcome::of(mount, b"").ok();
        disk
    }

    /// Its mount point.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("mnt")
    }

    /// How many bytes are used.
    pub fn used(&self) -> u64 {
        let found = rustix::fs::statvfs(self.path()).expect("it is mounted");
        (found.f_blocks - found.f_bfree) * found.f_frsize
    }

    /// Fills the file system. Returns the path of the file that does so.
    pub fn fill(&self) -> PathBuf {
        let path = self.path().join("filling");
        let mut file = File::create(&path).expect("a file");
        for size in [1 << 20, 4 << 10, 1] {
            let piece = vec![0; size];
            while file.write_all(&piece).is_ok() {}
            // Later, bytes that are only in memory would find no space.
            let _ = file.sync_all();
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = unmount(&self.path(), &[]);
        if !unmounted {
            unmount(&self.path(), &["-l"]);
        }
        assert!(unmounted || std::thread::panicking(), "{} is still in use", self.path().display());
    }
}

fn unmount(path: &Path, flags: &[&str]) -> bool {
    Command::new("umount").args(flags).arg(path).status().is_ok_and(|status| status.success())
}
