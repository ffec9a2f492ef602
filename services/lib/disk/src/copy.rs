//! The copy: a file beside the database that has every record a second time, in a simple form.
//!
//! It is used when the database is damaged or gone. It is not synced at each commit, so a commit costs one more write
//! to the page cache; after a kill it is complete, after a power cut it may lack the last seconds. It never has a
//! change that the database lacks. So a database with a lower sequence number than its copy has lost acknowledged
//! changes.
//!
//! ```text
//! <database>.copy   "gantry records 1\n", then frames: length (4) │ CRC-32C (4) │ `Frame`
//!                   the first frames have all records of one moment, the others the changes since then
//! ```

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use prost::Message;
use rocksdb::IteratorMode;

use crate::writer::{Change, Db};
use crate::{Error, Result, atomic, crc32c};

const MAGIC: &[u8] = b"gantry records 1\n";
/// The approximate size of the frames with all records, in bytes.
const CHUNK: usize = 256 << 10;
/// How many bytes are appended at least before the copy is rewritten.
const GROWTH: u64 = 4 << 20;
/// How long the copy waits after a failure before it is rewritten.
const PAUSE: Duration = Duration::from_secs(10);
/// The longest frame in bytes.
const LONGEST: usize = 256 << 20;

#[derive(Clone, PartialEq, prost::Message)]
struct Frame {
    /// The database's sequence number after this write.
    #[prost(uint64, tag = "1")]
    sequence: u64,
    #[prost(message, repeated, tag = "2")]
    rows: Vec<Row>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Row {
    #[prost(string, tag = "1")]
    table: String,
    #[prost(bytes = "vec", tag = "2")]
    key: Vec<u8>,
    /// Absent: the record is deleted.
    #[prost(bytes = "vec", optional, tag = "3")]
    value: Option<Vec<u8>>,
}

/// All records, by table and key.
pub(crate) type Rows = BTreeMap<(String, Vec<u8>), Vec<u8>>;

/// The state of a copy.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The database's sequence number at the last complete frame.
    pub(crate) sequence: u64,
    /// The copy is undamaged; its last frame may be torn.
    pub(crate) whole: bool,
    /// Every byte of it is readable.
    pub(crate) clean: bool,
    bytes: u64,
}

/// Reads the state of a copy; `None` if there is none.
pub(crate) fn look(path: &Path) -> Result<Option<Seen>> {
    Ok(atomic::read(path)?.map(|bytes| read(&bytes, |_| ())))
}

/// Reads the records of a copy; `None` if there is none.
pub(crate) fn rows(path: &Path) -> Result<Option<(Seen, Rows)>> {
    let Some(bytes) = atomic::read(path)? else { return Ok(None) };
    let mut rows = Rows::new();
    let seen = read(&bytes, |row| {
        match row.value {
            Some(value) => rows.insert((row.table, row.key), value),
            None => rows.remove(&(row.table, row.key)),
        };
    });
    Ok(Some((seen, rows)))
}

fn read(bytes: &[u8], mut each: impl FnMut(Row)) -> Seen {
    let mut seen = Seen { bytes: bytes.len() as u64, ..Seen::default() };
    let Some(mut rest) = bytes.strip_prefix(MAGIC) else { return seen };
    (seen.whole, seen.clean) = (true, true);
    while !rest.is_empty() {
        match frame(rest) {
            Some((frame, length)) => {
                // A complete frame after a damaged one.
                seen.whole &= seen.clean;
                seen.sequence = seen.sequence.max(frame.sequence);
                frame.rows.into_iter().for_each(&mut each);
                rest = &rest[length..];
            }
            None => {
                seen.clean = false;
                // A damaged frame with a plausible length is skipped.
                let next = length(rest).map(|length| length + 8).filter(|next| *next < rest.len());
                match next.filter(|next| frame(&rest[*next..]).is_some()) {
                    Some(next) => rest = &rest[next..],
                    None => break,
                }
            }
        }
    }
    seen
}

fn length(bytes: &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    (length <= LONGEST).then_some(length)
}

fn frame(bytes: &[u8]) -> Option<(Frame, usize)> {
    let end = 8 + length(bytes)?;
    let checksum = u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?);
    let payload = bytes.get(8..end)?;
    if crc32c::of(payload) != checksum {
        return None;
    }
    Some((Frame::decode(payload).ok()?, end))
}

fn framed(frame: &Frame) -> Vec<u8> {
    let payload = frame.encode_to_vec();
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    [&length.to_le_bytes(), &crc32c::of(&payload).to_le_bytes(), &payload[..]].concat()
}

/// The copy of an open database. Only the writer has it.
pub(crate) struct Copy {
    path: PathBuf,
    /// `None` while it cannot be written.
    file: Option<File>,
    bytes: u64,
    /// The size in bytes at which the copy is rewritten.
    limit: u64,
    /// Changes that the database has written and not synced.
    soon: Vec<Row>,
    failed: Option<Instant>,
}

impl Copy {
    /// Opens a copy to append to it, or rewrites it where `seen` requires that.
    pub(crate) fn open(path: PathBuf, seen: Option<Seen>, db: &Db, tables: &[String]) -> Result<Copy> {
        let mut copy = Copy { path, file: None, bytes: 0, limit: 0, soon: Vec::new(), failed: None };
        match seen.filter(|seen| seen.clean && seen.sequence == db.latest_sequence_number()) {
            Some(seen) => {
                let open = || {
                    let mut file = OpenOptions::new().write(true).open(&copy.path)?;
                    file.seek(SeekFrom::End(0))?;
                    Ok(file)
                };
                copy.file = Some(open().map_err(|e| Error::io("open", &copy.path, e))?);
                copy.bytes = seen.bytes;
                copy.limit = seen.bytes.max(GROWTH) + GROWTH;
            }
            // The database must open on a full disk too, because requests to it free space.
            None => {
                let written = copy.write_anew(db, tables);
                copy.judge(written);
            }
        }
        Ok(copy)
    }

    /// Appends what the database has written. Holds back unsynced changes until the next sync: the copy must not have
    /// a change that a power cut may take from the database.
    pub(crate) fn note<'c>(
        &mut self,
        changes: impl Iterator<Item = &'c Change>,
        synced: bool,
        db: &Db,
        tables: &[String],
    ) {
        if self.failed.is_some_and(|failed| failed.elapsed() < PAUSE) {
            return;
        }
        self.soon.extend(changes.map(|change| Row {
            table: change.table.to_owned(),
            key: change.key.clone(),
            value: change.value.clone(),
        }));
        if !synced {
            return;
        }
        let outcome = match &mut self.file {
            Some(file) if self.bytes < self.limit => {
                let frame =
                    Frame { sequence: db.latest_sequence_number(), rows: std::mem::take(&mut self.soon) };
                let bytes = framed(&frame);
                self.bytes += bytes.len() as u64;
                file.write_all(&bytes)
            }
            _ => self.write_anew(db, tables),
        };
        self.judge(outcome);
    }

    /// After a failure nothing is appended, because a change would be missing: the copy is rewritten later.
    fn judge(&mut self, outcome: io::Result<()>) {
        let Err(error) = outcome else { return };
        if self.failed.is_none() {
            tracing::warn!(copy = %self.path.display(), %error, "the copy of the records cannot be written; to be tried on");
        }
        self.file = None;
        self.soon = Vec::new();
        self.failed = Some(Instant::now());
    }

    /// Rewrites the copy with all present records.
    fn write_anew(&mut self, db: &Db, tables: &[String]) -> io::Result<()> {
        self.file = None;
        let temporary = self.path.with_extension("copy.new");
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        let mut file = BufWriter::new(file);
        file.write_all(MAGIC)?;
        let mut bytes = MAGIC.len();
        let mut put = |rows: &mut Vec<Row>, sequence| {
            let frame = framed(&Frame { sequence, rows: std::mem::take(rows) });
            bytes += frame.len();
            file.write_all(&frame)
        };
        let (mut rows, mut size) = (Vec::new(), 0);
        for table in tables {
            let Some(column) = db.cf_handle(table) else { continue };
            for row in db.iterator_cf(&column, IteratorMode::Start) {
                let (key, value) = row.map_err(io::Error::other)?;
                size += key.len() + value.len();
                rows.push(Row { table: table.clone(), key: key.into(), value: Some(value.into()) });
                if size > CHUNK {
                    put(&mut rows, 0)?;
                    size = 0;
                }
            }
        }
        put(&mut rows, db.latest_sequence_number())?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        std::fs::rename(&temporary, &self.path)?;
        self.file = Some(file);
        self.soon = Vec::new();
        self.failed = None;
        self.bytes = bytes as u64;
        self.limit = (self.bytes * 4).max(GROWTH);
        Ok(())
    }
}
