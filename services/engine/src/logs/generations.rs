//! The files of one log: `x.log` is being written, `x.log.1` is the one before it, and higher numbers are older.
//!
//! Rotation renames each file to the next number and begins a new one. A reader therefore identifies a file by its
//! inode, and finds the next file by the name that the inode has now.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Most generations that are looked for.
const MOST: usize = 1000;

/// A file's identity on its file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inode {
    device: u64,
    number: u64,
}

impl Inode {
    /// An identity from device and inode number.
    pub fn new(device: u64, number: u64) -> Self {
        Self { device, number }
    }

    /// Device and inode number.
    pub fn numbers(self) -> (u64, u64) {
        (self.device, self.number)
    }
}

/// One open file of a log.
#[derive(Debug)]
pub struct Generation {
    /// The file.
    pub file: File,
    /// Identity of the file.
    pub inode: Inode,
}

impl Generation {
    fn open(path: &Path) -> io::Result<Generation> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        Ok(Generation { inode: Inode { device: metadata.dev(), number: metadata.ino() }, file })
    }

    fn duplicate(&self) -> io::Result<Generation> {
        Ok(Generation { file: self.file.try_clone()?, inode: self.inode })
    }
}

/// Opens all files of a log, oldest first. If a rotation happens meanwhile, the files are opened again.
pub fn open_all(path: &Path) -> io::Result<Vec<Generation>> {
    loop {
        let mut youngest_first = Vec::new();
        for number in 0..MOST {
            match Generation::open(&name(path, number)) {
                Ok(generation) => youngest_first.push(generation),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    // Between the renames of a rotation the youngest file does not exist for a moment.
                    if number == 0 {
                        continue;
                    }
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        let duplicates = youngest_first
            .iter()
            .enumerate()
            .any(|(at, one)| youngest_first[..at].iter().any(|other| other.inode == one.inode));
        if !duplicates {
            youngest_first.reverse();
            return Ok(youngest_first);
        }
    }
}

/// Opens the file after `current`; `None` while `current` is the youngest.
pub fn after(path: &Path, current: Inode) -> io::Result<Option<Generation>> {
    let all = open_all(path)?;
    let Some(at) = all.iter().position(|one| one.inode == current) else {
        // The current file has been rotated out and deleted: continue with the oldest that exists.
        return all.first().map(Generation::duplicate).transpose();
    };
    all.get(at + 1).map(Generation::duplicate).transpose()
}

/// Whether `current` is the youngest file of the log.
pub fn is_youngest(path: &Path, current: Inode) -> bool {
    match std::fs::metadata(path) {
        Ok(metadata) => current == Inode { device: metadata.dev(), number: metadata.ino() },
        Err(_) => true,
    }
}

fn name(path: &Path, number: usize) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut text = path.as_os_str().to_owned();
    text.push(format!(".{number}"));
    PathBuf::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_comes_first_and_each_knows_its_follower() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("x.log");
        for (number, text) in ["young", "middle", "old"].iter().enumerate() {
            std::fs::write(name(&path, number), text).expect("written");
        }
        let all = open_all(&path).expect("opened");
        assert_eq!(all.len(), 3);
        let next = after(&path, all[0].inode).expect("looked").expect("a follower");
        assert_eq!(next.inode, all[1].inode);
        assert!(after(&path, all[2].inode).expect("looked").is_none());
        assert!(is_youngest(&path, all[2].inode));
        assert!(!is_youngest(&path, all[1].inode));
    }

    #[test]
    fn no_file_is_no_generation() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        assert!(open_all(&dir.path().join("x.log")).expect("looked").is_empty());
    }
}
