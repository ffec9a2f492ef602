//! Reads a log from a given start to its end, and continues while it grows. A rotation loses no line and doubles
//! none.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::Error;
use super::frame::{Format, Outcome};
use super::generations::{self, Generation};
use super::{line, tail};

const CHUNK: usize = 256 * 1024;

/// The result of one step of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There may be more to read now.
    More,
    /// Everything written so far has been read.
    CaughtUp,
    /// The remaining lines are younger than the client wants.
    Past,
}

/// A position in a log that moves forwards.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    current: Option<Generation>,
    offset: u64,
    /// Files that were opened at the start and are still to be read. Younger files are found through their names.
    pending: std::collections::VecDeque<Generation>,
    /// The beginning of a line whose end has not been read yet.
    partial: Vec<u8>,
    chunk: Vec<u8>,
}

impl Reader {
    /// Opens a log at the start of its last `lines` lines; with `None`, at its beginning.
    pub fn open(path: &Path, lines: Option<u64>) -> io::Result<Reader> {
        let generations = generations::open_all(path)?;
        let start = match lines {
            Some(lines) if !generations.is_empty() => tail::find(&generations, lines)?,
            _ => tail::Start { generation: 0, offset: 0 },
        };
        let mut pending: std::collections::VecDeque<Generation> =
            generations.into_iter().skip(start.generation).collect();
        Ok(Reader {
            path: path.to_owned(),
            current: pending.pop_front(),
            offset: start.offset,
            pending,
            partial: Vec::new(),
            chunk: vec![0; CHUNK],
        })
    }

    /// Reads up to one chunk and appends the lines that the client wants to `out`.
    pub fn step(&mut self, format: &Format, out: &mut Vec<u8>) -> Result<Step, Error> {
        let Some(current) = &self.current else {
            self.current = generations::open_all(&self.path)
                .map_err(|source| self.io("open", source))?
                .into_iter()
                .next();
            return Ok(if self.current.is_some() { Step::More } else { Step::CaughtUp });
        };
        let read =
            current.file.read_at(&mut self.chunk, self.offset).map_err(|source| self.io("read", source))?;
        if read == 0 {
            return self.next_generation();
        }
        self.offset += read as u64;
        let chunk = std::mem::take(&mut self.chunk);
        let outcome = self.lines(&chunk[..read], format, out);
        self.chunk = chunk;
        Ok(match outcome {
            Outcome::Went => Step::More,
            Outcome::Past => Step::Past,
        })
    }

    fn lines(&mut self, mut bytes: &[u8], format: &Format, out: &mut Vec<u8>) -> Outcome {
        if !self.partial.is_empty() {
            let Some(end) = memchr::memchr(b'\n', bytes) else {
                self.partial.extend_from_slice(bytes);
                return Outcome::Went;
            };
            self.partial.extend_from_slice(&bytes[..end]);
            let whole = std::mem::take(&mut self.partial);
            if write_line(&whole, format, out) == Outcome::Past {
                return Outcome::Past;
            }
            bytes = &bytes[end + 1..];
        }
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            if write_line(&bytes[..end], format, out) == Outcome::Past {
                return Outcome::Past;
            }
            bytes = &bytes[end + 1..];
        }
        self.partial.extend_from_slice(bytes);
        Outcome::Went
    }

    /// Moves from the end of a file to the next file, if that exists and this file is read completely.
    fn next_generation(&mut self) -> Result<Step, Error> {
        let Some(current) = &self.current else { return Ok(Step::CaughtUp) };
        if generations::is_youngest(&self.path, current.inode) && self.pending.is_empty() {
            return Ok(Step::CaughtUp);
        }
        // The file may have grown between the last read and its renaming. After the renaming nothing is written to
        // it.
        let length = current.file.metadata().map_err(|source| self.io("stat", source))?.len();
        if length > self.offset {
            return Ok(Step::More);
        }
        let next = match self.pending.pop_front() {
            Some(next) => Some(next),
            None => {
                generations::after(&self.path, current.inode).map_err(|source| self.io("open", source))?
            }
        };
        let Some(next) = next else { return Ok(Step::CaughtUp) };
        self.current = Some(next);
        self.offset = 0;
        self.partial.clear();
        Ok(Step::More)
    }

    fn io(&self, op: &'static str, source: io::Error) -> Error {
        Error::Io { op, path: self.path.clone(), source }
    }
}

/// Writes a line. A line that is no log entry (torn by a crash of the machine) is left out.
fn write_line(bytes: &[u8], format: &Format, out: &mut Vec<u8>) -> Outcome {
    match line::parse(bytes) {
        Ok(parsed) => format.write(&parsed, out),
        Err(_) => Outcome::Went,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn raw() -> Format {
        Format {
            stdout: true,
            stderr: true,
            timestamps: false,
            details: false,
            raw: true,
            since: None,
            until: None,
        }
    }

    fn entry(text: &str) -> String {
        format!("{{\"log\":\"{text}\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-02T03:04:05Z\"}}\n")
    }

    fn drain(reader: &mut Reader) -> String {
        let mut out = Vec::new();
        while reader.step(&raw(), &mut out).expect("readable") == Step::More {}
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn follows_over_rotations_without_losing_or_doubling() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("x.log");
        std::fs::write(&path, entry("one")).expect("written");
        let mut reader = Reader::open(&path, None).expect("opened");
        assert_eq!(drain(&mut reader), "one\n");

        let mut old = std::fs::OpenOptions::new().append(true).open(&path).expect("opened");
        old.write_all(entry("two").as_bytes()).expect("written");
        std::fs::rename(&path, dir.path().join("x.log.1")).expect("renamed");
        std::fs::write(&path, entry("three")).expect("written");
        std::fs::rename(dir.path().join("x.log.1"), dir.path().join("x.log.2")).expect("renamed");
        std::fs::rename(&path, dir.path().join("x.log.1")).expect("renamed");
        std::fs::write(&path, entry("four")).expect("written");
        assert_eq!(drain(&mut reader), "two\nthree\nfour\n");
        assert_eq!(drain(&mut reader), "");
    }

    #[test]
    fn half_a_line_waits_for_its_other_half() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("x.log");
        let whole = entry("hello");
        std::fs::write(&path, &whole[..20]).expect("written");
        let mut reader = Reader::open(&path, None).expect("opened");
        assert_eq!(drain(&mut reader), "");
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("opened");
        file.write_all(&whole.as_bytes()[20..]).expect("written");
        assert_eq!(drain(&mut reader), "hello\n");
    }

    #[test]
    fn a_log_that_does_not_exist_yet_is_empty() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("x.log");
        let mut reader = Reader::open(&path, Some(5)).expect("opened");
        assert_eq!(drain(&mut reader), "");
        std::fs::write(&path, entry("late")).expect("written");
        assert_eq!(drain(&mut reader), "late\n");
    }

    #[test]
    fn the_tail_spans_files() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("x.log");
        std::fs::write(dir.path().join("x.log.1"), entry("a") + &entry("b")).expect("written");
        std::fs::write(&path, entry("c")).expect("written");
        let mut reader = Reader::open(&path, Some(2)).expect("opened");
        assert_eq!(drain(&mut reader), "b\nc\n");
    }
}
