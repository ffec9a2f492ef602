//! The file of the audit record, and its rotation.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// How many lines may be queued.
const QUEUE: usize = 1024;

/// When a new file begins, and how many files are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rotation {
    /// In bytes.
    pub(crate) size: u64,
    /// The current file included.
    pub(crate) files: u32,
}

/// Queues lines, which a thread of its own writes in order. The thread ends with the last clone. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct File(SyncSender<String>);

impl File {
    /// Opens the file at `path`; appends to an existing one.
    pub(crate) fn open(path: PathBuf, rotation: Rotation) -> io::Result<Self> {
        let (sender, lines) = sync_channel(QUEUE);
        let mut written = Written::open(path, rotation)?;
        std::thread::Builder::new().name("audit".to_owned()).spawn(move || written.all(&lines))?;
        Ok(Self(sender))
    }

    /// Queues a line; waits while the queue is full.
    pub(crate) fn write(&self, line: String) {
        // The thread lives as long as this sender.
        let _ = self.0.send(line);
    }
}

struct Written {
    path: PathBuf,
    rotation: Rotation,
    file: fs::File,
    size: u64,
}

impl Written {
    fn open(path: PathBuf, rotation: Rotation) -> io::Result<Self> {
        let file = open(&path)?;
        let size = file.metadata()?.len();
        Ok(Self { path, rotation, file, size })
    }

    fn all(&mut self, lines: &Receiver<String>) {
        for line in lines {
            if let Err(error) = self.one(&line) {
                tracing::error!(path = %self.path.display(), %error, line = line.trim_end(), "audit record not written");
            }
        }
    }

    fn one(&mut self, line: &str) -> io::Result<()> {
        let length = line.len() as u64;
        if self.size > 0 && self.size + length > self.rotation.size {
            self.rotate()?;
        }
        self.file.write_all(line.as_bytes())?;
        self.size += length;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..self.rotation.files).rev() {
            match fs::rename(numbered(&self.path, number - 1), numbered(&self.path, number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if self.rotation.files <= 1 {
            fs::remove_file(&self.path)?;
        }
        self.file = open(&self.path)?;
        self.size = 0;
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<fs::File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// The path of the file that was current `number` files ago.
fn numbered(path: &Path, number: u32) -> PathBuf {
    if number == 0 { path.to_owned() } else { path.with_extension(format!("log.{number}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_files_of_a_size_are_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.log");
        let rotation = Rotation { size: 8, files: 3 };
        let mut written = Written::open(path.clone(), rotation).expect("opened");
        for line in ["one\n", "two\n", "three\n", "four\n", "much longer than a file\n", "six\n"] {
            written.one(line).expect("written");
        }
        let read = |number| fs::read_to_string(numbered(&path, number)).ok();
        assert_eq!(read(0).as_deref(), Some("six\n"));
        assert_eq!(read(1).as_deref(), Some("much longer than a file\n"));
        assert_eq!(read(2).as_deref(), Some("four\n"));
        assert_eq!(read(3), None);
        // The next process appends to it.
        let mut written = Written::open(path.clone(), rotation).expect("opened");
        written.one("7\n").expect("written");
        assert_eq!(read(0).as_deref(), Some("six\n7\n"));
    }

    #[test]
    fn lines_are_written_in_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.log");
        let file = File::open(path.clone(), Rotation { size: 1 << 20, files: 1 }).expect("opened");
        for number in 0..3000 {
            file.write(format!("{number}\n"));
        }
        drop(file);
        let all: String = (0..3000).map(|number| format!("{number}\n")).collect();
        for _ in 0..1000 {
            if fs::read_to_string(&path).expect("there") == all {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        panic!("{}", fs::read_to_string(&path).expect("there"));
    }
}
