//! Reads the log for sending: entries from the recorded position on, across rotations.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{Entry, Piece};
use crate::logs::generations::{self, Generation, Inode};
use crate::logs::line::{self, Stream};

const CHUNK: usize = 256 * 1024;

/// The position in a log up to which it has been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub inode: Inode,
    pub offset: u64,
}

impl Position {
    /// Reads what [`Position::save`] wrote; `None` if there is nothing.
    pub fn load(path: &Path) -> Option<Position> {
        let text = std::fs::read_to_string(path).ok()?;
        let mut numbers = text.split_whitespace().map(|word| word.parse::<u64>().ok());
        let mut next = || numbers.next().flatten();
        Some(Position { inode: Inode::new(next()?, next()?), offset: next()? })
    }

    /// Writes the position atomically. It is not synced: after a power failure lines may be sent twice.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let (device, number) = self.inode.numbers();
        let new = path.with_extension("new");
        std::fs::write(&new, format!("{device} {number} {}\n", self.offset))?;
        std::fs::rename(&new, path)
    }
}

/// An entry with the position of its end.
#[derive(Debug)]
pub struct Read {
    pub entry: Entry,
    pub end: Position,
}

/// A position in the log that moves forwards.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    current: Option<Generation>,
    offset: u64,
    /// For each stream, the last piece of a line that has no end yet.
    torn: [Option<Piece>; 2],
    chunk: Vec<u8>,
}

impl Spool {
    /// Opens a log after what was sent. The second value says that this position no longer exists: the lines up to
    /// the oldest file are lost.
    pub fn open(path: &Path, sent: Option<Position>) -> io::Result<(Spool, bool)> {
        let all = generations::open_all(path)?;
        let found = sent.and_then(|sent| all.iter().position(|one| one.inode == sent.inode));
        let lost = sent.is_some() && found.is_none() && !all.is_empty();
        let offset = if found.is_some() { sent.map_or(0, |sent| sent.offset) } else { 0 };
        let current = all.into_iter().nth(found.unwrap_or(0));
        let torn = [None, None];
        Ok((Spool { path: path.to_owned(), current, offset, torn, chunk: vec![0; CHUNK] }, lost))
    }

    /// The next entries; none at the present end of the log. The second value is as in [`open`](Self::open).
    pub fn next(&mut self) -> io::Result<(Vec<Read>, bool)> {
        let mut lost = false;
        loop {
            let Some(current) = &self.current else {
                self.current = generations::open_all(&self.path)?.into_iter().next();
                if self.current.is_none() {
                    return Ok((Vec::new(), lost));
                }
                continue;
            };
            let inode = current.inode;
            let read = current.file.read_at(&mut self.chunk, self.offset)?;
            let whole = memchr::memrchr(b'\n', &self.chunk[..read]).map_or(0, |at| at + 1);
            if whole > 0 {
                let chunk = std::mem::take(&mut self.chunk);
                let mut entries = Vec::new();
                for line in chunk[..whole].split_inclusive(|byte| *byte == b'\n') {
                    self.offset += line.len() as u64;
                    let end = Position { inode, offset: self.offset };
                    // A line torn by a crash is left out.
                    if let Some(entry) = self.entry(&line[..line.len() - 1]) {
                        entries.push(Read { entry, end });
                    }
                }
                self.chunk = chunk;
                if entries.is_empty() {
                    continue;
                }
                return Ok((entries, lost));
            }
            if read == CHUNK {
                // No entry is this long; skip the bytes.
                self.offset += read as u64;
                continue;
            }
            if generations::is_youngest(&self.path, inode) {
                return Ok((Vec::new(), lost));
            }
            // The file may have grown between the read and its renaming. After the renaming nothing is written to it.
            if current.file.metadata()?.len() > self.offset + read as u64 {
                continue;
            }
            let all = generations::open_all(&self.path)?;
            match all.iter().position(|one| one.inode == inode) {
                None => {
                    lost |= !all.is_empty();
                    self.current = all.into_iter().next();
                }
                Some(at) => match all.into_iter().nth(at + 1) {
                    Some(next) => self.current = Some(next),
                    None => return Ok((Vec::new(), lost)),
                },
            }
            self.offset = 0;
        }
    }

    fn entry(&mut self, line: &[u8]) -> Option<Entry> {
        let parsed = line::parse(line).ok()?;
        let quoted = [b"\"", parsed.log, b"\""].concat();
        let mut text: String = serde_json::from_slice(&quoted).ok()?;
        let error = parsed.stream == Stream::Stderr;
        let last = text.ends_with('\n');
        if last {
            text.pop();
        }
        let torn = &mut self.torn[usize::from(error)];
        let piece = match torn.take() {
            None if last => None,
            None => Some(Piece { id: crate::names::new_id(), ordinal: 1, last: false }),
            Some(before) => Some(Piece { ordinal: before.ordinal + 1, last, ..before }),
        };
        if !last {
            torn.clone_from(&piece);
        }
        let time = String::from_utf8_lossy(parsed.time).into_owned();
        Some(Entry { text, error, time, piece })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> String {
        format!("{{\"log\":\"{text}\",\"stream\":\"stdout\",\"time\":\"2026-01-02T03:04:05Z\"}}\n")
    }

    fn texts(spool: &mut Spool) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let (some, lost) = spool.next().expect("readable");
            assert!(!lost);
            if some.is_empty() {
                return all;
            }
            all.extend(some.into_iter().map(|read| read.entry.text));
        }
    }

    #[test]
    fn goes_on_where_it_was_over_rotations() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, note) = (dir.path().join("x.log"), dir.path().join("shipped"));
        std::fs::write(&path, entry("one\\n") + &entry("two\\n")).expect("written");
        let (mut spool, lost) = Spool::open(&path, Position::load(&note)).expect("opened");
        let first = spool.next().expect("readable").0;
        assert!(!lost);
        first[0].end.save(&note).expect("saved");
        std::fs::rename(&path, dir.path().join("x.log.1")).expect("renamed");
        std::fs::write(&path, entry("three\\n")).expect("written");
        let (mut again, lost) = Spool::open(&path, Position::load(&note)).expect("opened");
        assert_eq!((texts(&mut again), lost), (vec!["two".to_owned(), "three".to_owned()], false));
        assert_eq!(texts(&mut spool), ["three"]);
        std::fs::remove_file(dir.path().join("x.log.1")).expect("removed");
        assert!(Spool::open(&path, Position::load(&note)).expect("opened").1, "what is lost is told");
    }

    #[test]
    fn pieces_of_a_line_are_numbered() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("x.log");
        let all = [entry("a"), entry("b"), entry("c\\n"), entry("whole\\n"), entry("open")].concat();
        std::fs::write(&path, all).expect("written");
        let entries = Spool::open(&path, None).expect("opened").0.next().expect("readable").0;
        let pieces: Vec<_> = entries
            .iter()
            .map(|read| read.entry.piece.as_ref().map(|piece| (piece.ordinal, piece.last)))
            .collect();
        assert_eq!(pieces, [Some((1, false)), Some((2, false)), Some((3, true)), None, Some((1, false))]);
        assert_eq!(entries[2].entry.text, "c");
    }
}
