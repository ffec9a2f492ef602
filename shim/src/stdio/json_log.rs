//! Docker's json-file log: one JSON object a line, `{"log":…,"stream":…,"time":…}`, byte for byte as Docker writes
//! them.
//!
//! An entry ends at a newline or at 16 KiB, so that a long line does not grow the memory. Each read from a container
//! becomes one write. On a full disk the log loses lines, and the container goes on: a partial write is truncated.
//!
//! ```text
//! <path>            the newest entries
//! <path>.1 … .N-1   older ones, when max-size and max-file say so
//! <path>.new        about to be renamed to <path>, when max-file is 1
//! ```
//!
//! A file with entries is never truncated to empty: a follower reads it to its end, and then sees that the path is
//! another file.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::clock;
use crate::error::{Error, Result};
use parking_lot::Mutex;

/// The length in bytes at which Docker splits a line.
const ENTRY: usize = 16 * 1024;

/// When the log begins a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// The size in bytes after which the next entry goes to a new file; 0: never.
    pub max_size: u64,
    /// How many files there are at most, the newest included.
    pub max_files: u32,
}

/// A log file, shared by the streams of one process.
pub struct LogFile {
    path: PathBuf,
    file: File,
    size: u64,
    rotation: Rotation,
    /// A JSON object that each entry has, if any.
    attributes: Option<String>,
}

impl LogFile {
    /// Opens `path` for appending.
    pub fn open(path: &Path, rotation: Rotation, attributes: Option<String>) -> Result<Self> {
        let mut file = open(path).map_err(Error::io("open", path))?;
        let mut size = file.metadata().map_err(Error::io("stat", path))?.len();
        let mut last = [b'\n'];
        // A partial line that a crash left must not swallow the first new one.
        if size > 0 && file.read_at(&mut last, size - 1).is_ok() && last != *b"\n" {
            size += file.write(b"\n").unwrap_or(0) as u64;
        }
        Ok(Self { path: path.to_path_buf(), file, size, rotation, attributes })
    }

    fn is_full(&self, more: usize) -> bool {
        self.rotation.max_size > 0 && self.size + more as u64 >= self.rotation.max_size
    }

    /// Writes whole entries, all or nothing.
    fn append(&mut self, entries: &[u8]) {
        match self.file.write_all(entries) {
            Ok(()) => self.size += entries.len() as u64,
            // Truncates a partial line; what follows starts on a line of its own.
            Err(_) => {
                let _ = self.file.set_len(self.size);
            }
        }
    }

    fn rotate(&mut self) {
        let numbered = |number: u32| {
            let mut name = OsString::from(self.path.as_os_str());
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        let keep = self.rotation.max_files.max(1);
        for number in (2..keep).rev() {
            let _ = std::fs::rename(numbered(number - 1), numbered(number));
        }
        let begun = if keep > 1 {
            match std::fs::rename(&self.path, numbered(1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => begin(&self.path),
            }
        } else {
            let mut new = OsString::from(self.path.as_os_str());
            new.push(".new");
            begin(Path::new(&new)).and_then(|file| std::fs::rename(&new, &self.path).map(|()| file))
        };
        // A file that is too long is better than a lost file without a successor.
        if let Ok(file) = begun {
            self.file = file;
            self.size = 0;
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)
}

/// Opens an empty file.
fn begin(path: &Path) -> io::Result<File> {
    let file = open(path)?;
    file.set_len(0)?;
    Ok(file)
}

/// The writer of one stream to a log file.
pub struct JsonLog {
    file: Arc<Mutex<LogFile>>,
    /// The bytes between the text and the time of each entry.
    middle: Vec<u8>,
    /// Encoded entries; the last one may be incomplete.
    encoded: Vec<u8>,
    /// The offset in `encoded` where the complete entries end.
    finished: usize,
    /// The number of raw bytes in the incomplete entry.
    raw: usize,
    /// The beginning of a character whose end was not read yet.
    torn: Vec<u8>,
    time: clock::Stamp,
}

const OPEN: &[u8] = b"{\"log\":\"";

impl JsonLog {
    /// A writer for `stream`, `stdout` or `stderr`.
    pub fn new(file: Arc<Mutex<LogFile>>, stream: &str) -> Self {
        let attributes = file.lock().attributes.clone();
        let attributes = attributes.map(|all| format!(",\"attrs\":{all}")).unwrap_or_default();
        Self {
            file,
            middle: format!("\",\"stream\":\"{stream}\"{attributes},\"time\":\"").into_bytes(),
            encoded: Vec::new(),
            finished: 0,
            raw: 0,
            torn: Vec::new(),
            time: clock::Stamp::default(),
        }
    }

    /// Logs `bytes` as far as they complete entries; keeps the rest.
    pub fn write(&mut self, bytes: &[u8]) {
        self.time = clock::Stamp::now();
        if self.torn.is_empty() {
            self.encode(bytes);
        } else {
            let mut joined = std::mem::take(&mut self.torn);
            joined.extend_from_slice(bytes);
            self.encode(&joined);
        }
        self.flush();
    }

    /// Logs the rest at the end of the stream.
    pub fn end(&mut self) {
        self.time = clock::Stamp::now();
        for _ in 0..std::mem::take(&mut self.torn).len() {
            self.push(1, b"\\ufffd");
        }
        if self.raw > 0 {
            self.finish();
        }
        self.flush();
    }

    fn encode(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while at < bytes.len() {
            let room = (ENTRY - self.raw).min(bytes.len() - at);
            let plain = bytes[at..at + room].iter().take_while(|byte| PLAIN[**byte as usize]).count();
            if plain > 0 {
                self.push(plain, &bytes[at..at + plain]);
                at += plain;
                continue;
            }
            let byte = bytes[at];
            let mut length = 1;
            match byte {
                b'\n' => {
                    self.push(1, b"\\n");
                    self.finish();
                }
                b'\r' => self.push(1, b"\\r"),
                b'"' => self.push(1, b"\\\""),
                b'\\' => self.push(1, b"\\\\"),
                0x80.. => match character(&bytes[at..]) {
                    Character::Whole(text) if text == [0xe2, 0x80, 0xa8] => {
                        length = 3;
                        self.push(3, b"\\u2028");
                    }
                    Character::Whole(text) if text == [0xe2, 0x80, 0xa9] => {
                        length = 3;
                        self.push(3, b"\\u2029");
                    }
                    Character::Whole(text) => {
                        length = text.len();
                        self.push(length, text);
                    }
                    Character::Begun => {
                        self.torn = bytes[at..].to_vec();
                        return;
                    }
                    Character::Invalid => self.push(1, b"\\ufffd"),
                },
                control => {
                    const HEX: &[u8; 16] = b"0123456789abcdef";
                    let escape = [
                        b'\\',
                        b'u',
                        b'0',
                        b'0',
                        HEX[usize::from(control >> 4)],
                        HEX[usize::from(control & 15)],
                    ];
                    self.push(1, &escape);
                }
            }
            at += length;
        }
    }

    /// Adds `text`, which stands for `raw` bytes, to the incomplete entry.
    fn push(&mut self, raw: usize, text: &[u8]) {
        if self.raw == 0 {
            self.encoded.extend_from_slice(OPEN);
        }
        self.encoded.extend_from_slice(text);
        self.raw += raw;
        if self.raw >= ENTRY && text != b"\\n" {
            self.finish();
        }
    }

    fn finish(&mut self) {
        self.encoded.extend_from_slice(&self.middle);
        self.encoded.extend_from_slice(self.time.as_bytes());
        self.encoded.extend_from_slice(b"\"}\n");
        self.raw = 0;
        let mut file = self.file.lock();
        // As in Docker, the next file is opened before a write that finds the file full.
        if file.is_full(self.finished) {
            file.append(&self.encoded[..self.finished]);
            self.encoded.drain(..self.finished);
            file.rotate();
        }
        self.finished = self.encoded.len();
    }

    fn flush(&mut self) {
        if self.finished > 0 {
            let mut file = self.file.lock();
            file.append(&self.encoded[..self.finished]);
            self.encoded.drain(..self.finished);
            self.finished = 0;
        }
    }
}

/// The bytes that Go writes to a JSON string unescaped.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0x20;
    while byte < 0x80 {
        plain[byte] = !matches!(byte as u8, b'"' | b'\\' | b'<' | b'>' | b'&');
        byte += 1;
    }
    plain
};

enum Character<'a> {
    Whole(&'a [u8]),
    Begun,
    Invalid,
}

/// Classifies the character that begins `bytes` and is not ASCII.
fn character(bytes: &[u8]) -> Character<'_> {
    let length = match bytes[0] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return Character::Invalid,
    };
    let available = &bytes[..length.min(bytes.len())];
    match std::str::from_utf8(available) {
        Ok(_) => Character::Whole(available),
        Err(error) if error.error_len().is_none() => Character::Begun,
        Err(_) => Character::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(directory: &Path, rotation: Rotation) -> JsonLog {
        let file = LogFile::open(&directory.join("log"), rotation, None).expect("a log file");
        JsonLog::new(Arc::new(Mutex::new(file)), "stdout")
    }

    const ONE: Rotation = Rotation { max_size: 0, max_files: 1 };

    fn texts(path: &Path) -> Vec<String> {
        std::fs::read_to_string(path)
            .expect("a log")
            .lines()
            .map(|line| {
                let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
                assert_eq!(value["stream"], "stdout");
                value["log"].as_str().expect("text").to_string()
            })
            .collect()
    }

    #[test]
    fn bytes_are_escaped_as_docker_does() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut log = log(directory.path(), ONE);
        log.write(b"a\"\\<>&\t\r\x01\xff\xe2\x80");
        log.write(b"\xa8\xc3\xa9\n");
        let text = std::fs::read_to_string(directory.path().join("log")).expect("a log");
        let (line, time) = text.rsplit_once("\"time\":\"").expect("a time");
        assert_eq!(
            line,
            "{\"log\":\"a\\\"\\\\\\u003c\\u003e\\u0026\\u0009\\r\\u0001\\ufffd\\u2028\u{e9}\\n\",\"stream\":\"stdout\","
        );
        assert!(time.ends_with("Z\"}\n"), "{time}");
    }

    #[test]
    fn long_lines_are_split_and_rests_come_at_the_end() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut log = log(directory.path(), ONE);
        let line = vec![b'x'; 40_000];
        log.write(&line);
        log.write(b"\nrest\xc3");
        log.end();
        let lengths: Vec<usize> = texts(&directory.path().join("log")).iter().map(String::len).collect();
        assert_eq!(lengths, [16384, 16384, 7233, 7]);
    }

    #[test]
    fn a_line_of_exactly_one_entry_keeps_its_newline_apart() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut log = log(directory.path(), ONE);
        log.write(&vec![b'x'; ENTRY]);
        log.write(b"\n");
        assert_eq!(
            texts(&directory.path().join("log")).iter().map(String::len).collect::<Vec<_>>(),
            [ENTRY, 1]
        );
    }

    #[test]
    fn full_files_are_set_aside_and_the_oldest_forgotten() {
        let directory = tempfile::tempdir().expect("a directory");
        let rotation = Rotation { max_size: 1000, max_files: 3 };
        let mut log = log(directory.path(), rotation);
        for number in 0..100 {
            log.write(format!("{number}\n").as_bytes());
        }
        let all: Vec<String> = ["log.2", "log.1", "log"]
            .iter()
            .flat_map(|name| {
                let path = directory.path().join(name);
                assert!(std::fs::metadata(&path).expect("a file").len() < 1100);
                texts(&path)
            })
            .collect();
        assert!(!directory.path().join("log.3").exists());
        let last = (100 - all.len()..100).map(|number| format!("{number}\n"));
        assert_eq!(all, last.collect::<Vec<_>>());
    }

    #[test]
    fn the_only_file_gives_way_to_a_new_one_and_is_not_emptied() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut log = log(directory.path(), Rotation { max_size: 100, max_files: 1 });
        log.write(b"first\n");
        let first = File::open(directory.path().join("log")).expect("a log");
        for number in 0..10 {
            log.write(format!("{number}\n").as_bytes());
        }
        assert!(first.metadata().expect("a file").len() > 0);
        assert_eq!(texts(&directory.path().join("log")), ["9\n"]);
        assert_eq!(std::fs::read_dir(directory.path()).expect("a directory").count(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_set_aside_is_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::create_dir_all(directory.path().join("log.1/in the way")).expect("an obstacle");
        let mut log = log(directory.path(), Rotation { max_size: 100, max_files: 2 });
        for number in 0..10 {
            log.write(format!("{number}\n").as_bytes());
        }
        assert_eq!(texts(&directory.path().join("log")).len(), 10);
    }

    #[test]
    fn a_torn_line_does_not_swallow_the_next() {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("log"), "{\"log\":\"to").expect("written");
        log(directory.path(), ONE).write(b"new\n");
        let text = std::fs::read_to_string(directory.path().join("log")).expect("a log");
        assert!(text.starts_with("{\"log\":\"to\n{\"log\":\"new\\n\""), "{text}");
    }
}
