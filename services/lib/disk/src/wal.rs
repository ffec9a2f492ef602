//! Checks RocksDB's write-ahead log before RocksDB reads it.
//!
//! A power cut tears the end of the log: the part that was being written and was not acknowledged. RocksDB cannot
//! tell that from damage: each of its recovery modes either drops acknowledged records silently or refuses a log that
//! is only torn. The difference is whether a complete record follows. Where none does, this module cuts the torn end
//! off; where one does, the log is damaged, and the database is not opened. RocksDB is then told to accept no flaw at
//! all.
//! ```text
//! file     blocks of 32 KiB, each with records, padded with fewer zeros than a header has bytes
//! record   checksum (4) of kind and bytes │ length (2) │ kind (1): full, first, middle, last │ bytes
//! batch    the bytes of `full`, or of `first`…`last`: sequence number (8), count (4), changes
//! ```

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use crate::{Error, Result, crc32c};

const BLOCK: usize = 32 << 10;
const HEADER: usize = 7;
const FULL: u8 = 1;
const FIRST: u8 = 2;
const LAST: u8 = 4;
/// How far apart two sequence numbers of one log can be.
const FAR: u64 = 1 << 40;

/// The condition of a log.
#[derive(Debug, PartialEq, Eq)]
enum Condition {
    Whole,
    /// Complete up to this many bytes; no complete record follows.
    Torn(usize),
    /// Unreadable at this offset, though a complete record follows.
    Damaged(usize),
}

/// The logs in a database's directory, the oldest first.
fn logs(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|e| Error::io("list", dir, e))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| Error::io("list", dir, e))?.path();
        let number =
            path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok());
        if let (Some(number), Some("log")) = (number, path.extension().and_then(|name| name.to_str())) {
            found.push((number, path));
        }
    }
    found.sort_unstable();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Whether a database's directory has a log with content.
pub(crate) fn any(dir: &Path) -> Result<bool> {
    Ok(logs(dir)?.iter().any(|path| path.metadata().is_ok_and(|found| found.len() > 0)))
}

/// Cuts off the torn end of the log and keeps it at the path `torn`. Returns what else is damaged.
pub(crate) fn mend(dir: &Path, torn: &Path) -> Result<Option<String>> {
    let mut newer = false;
    for path in logs(dir)?.into_iter().rev() {
        let bytes = std::fs::read(&path).map_err(|e| Error::io("read", &path, e))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match condition(&bytes) {
            Condition::Damaged(at) => return Ok(Some(format!("its log {name} is damaged at byte {at}"))),
            Condition::Torn(at) if newer => {
                return Ok(Some(format!("its log {name} ends at byte {at}, though a newer one goes on")));
            }
            Condition::Torn(at) => {
                let lost = bytes.len() - at;
                std::fs::write(torn, &bytes[at..]).map_err(|e| Error::io("write", torn, e))?;
                cut(&path, at)?;
                tracing::warn!(
                    log = %path.display(), bytes = lost, kept = %torn.display(),
                    "the end of the log was not written whole, as after a power cut: it is cut off"
                );
            }
            Condition::Whole => {}
        }
        newer |= !bytes.is_empty();
    }
    Ok(None)
}

fn cut(path: &Path, length: usize) -> Result<()> {
    let cut = |file: File| {
        file.set_len(length as u64)?;
        file.sync_all()
    };
    OpenOptions::new().write(true).open(path).and_then(cut).map_err(|e| Error::io("cut", path, e))
}

/// The kind and bytes of a record, if a complete one is at this offset.
fn record(log: &[u8], at: usize) -> Option<(u8, &[u8])> {
    let header = log.get(at..at + HEADER)?;
    let checksum = u32::from_le_bytes(header[..4].try_into().ok()?);
    let length = usize::from(u16::from_le_bytes([header[4], header[5]]));
    let kind = header[6];
    let end = at + HEADER + length;
    if !(FULL..=LAST).contains(&kind) || end > (at / BLOCK + 1) * BLOCK {
        return None;
    }
    let guarded = log.get(at + HEADER - 1..end)?;
    (crc32c::masked(crc32c::of(guarded)) == checksum).then(|| (kind, &guarded[1..]))
}

fn sequence(batch: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(batch.get(..8)?.try_into().ok()?))
}

/// The sequence number of the batch that begins with the record at this offset. At the end of a block, the rest of
/// the number may be in the next block; `None` if that has no complete record.
fn number(log: &[u8], at: usize, kind: u8, bytes: &[u8]) -> Option<u64> {
    if kind == FULL || bytes.len() >= 8 {
        return sequence(bytes);
    }
    let (_, more) =
        record(log, (at / BLOCK + 1) * BLOCK).filter(|(kind, _)| !matches!(*kind, FULL | FIRST))?;
    sequence(&[bytes, &more[..more.len().min(8)]].concat())
}

fn condition(log: &[u8]) -> Condition {
    let (mut at, mut whole, mut last) = (0, 0, 0);
    let mut within = false;
    while at < log.len() {
        let left = BLOCK - at % BLOCK;
        if left < HEADER {
            at += left;
            continue;
        }
        let Some((kind, bytes)) = record(log, at).filter(|(kind, _)| within != matches!(*kind, FULL | FIRST))
        else {
            return match follows(log, at, last) {
                true => Condition::Damaged(at),
                false => Condition::Torn(whole),
            };
        };
        if !within {
            match number(log, at, kind, bytes) {
                Some(next) if next > last => last = next,
                // Decided when the rest of the batch is checked.
                None if kind == FIRST => {}
                // The sequence numbers of batches grow.
                _ => return Condition::Damaged(at),
            }
        }
        at += HEADER + bytes.len();
        within = !matches!(kind, FULL | LAST);
        if !within {
            whole = at;
        }
    }
    if within { Condition::Torn(whole) } else { Condition::Whole }
}

/// Whether a batch begins anywhere from this offset on. `last` is the sequence number of an earlier one.
fn follows(log: &[u8], from: usize, last: u64) -> bool {
    (from..log.len().saturating_sub(HEADER)).any(|at| {
        let begins = matches!(log[at + HEADER - 1], FULL | FIRST);
        let is_near = |found: u64| found > last && found - last < FAR;
        // A cheap check that is almost never true by chance comes before the costly checksum. At a block's end, few
        // offsets pass.
        let plausible =
            || BLOCK - at % BLOCK < HEADER + 8 || sequence(&log[at + HEADER..]).is_some_and(is_near);
        begins
            && plausible()
            && record(log, at).is_some_and(|(kind, bytes)| number(log, at, kind, bytes).is_some_and(is_near))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(log: &mut Vec<u8>, sequence: u64, length: usize) {
        let mut batch = sequence.to_le_bytes().to_vec();
        batch.resize(12 + length, 7);
        let mut rest = &batch[..];
        let mut first = true;
        while first || !rest.is_empty() {
            let left = BLOCK - log.len() % BLOCK;
            if left < HEADER {
                log.resize(log.len() + left, 0);
                continue;
            }
            let (piece, more) = rest.split_at(rest.len().min(left - HEADER));
            let kind = match (first, more.is_empty()) {
                (true, true) => FULL,
                (true, false) => FIRST,
                (false, true) => LAST,
                (false, false) => 3,
            };
            let guarded = [&[kind], piece].concat();
            log.extend(crc32c::masked(crc32c::of(&guarded)).to_le_bytes());
            log.extend(u16::try_from(piece.len()).unwrap().to_le_bytes());
            log.extend(guarded);
            (rest, first) = (more, false);
        }
    }

    fn log() -> (Vec<u8>, Vec<usize>) {
        let (mut log, mut ends) = (Vec::new(), vec![0]);
        for (number, length) in [20, 500, 40_000, 100, 70_000, 3].into_iter().enumerate() {
            append(&mut log, 10 + number as u64, length);
            ends.push(log.len());
        }
        (log, ends)
    }

    #[test]
    fn a_log_cut_anywhere_is_torn_at_the_last_whole_batch() {
        let (log, ends) = log();
        assert_eq!(condition(&log), Condition::Whole);
        for length in (0..log.len()).step_by(97).chain(log.len() - 30..log.len()) {
            let whole = *ends.iter().rfind(|end| **end <= length).unwrap();
            let found = condition(&log[..length]);
            // Zeros that pad a block may be missing.
            assert!(found == Condition::Torn(whole) || found == Condition::Whole, "{length}: {found:?}");
            let mut extended = log[..length].to_vec();
            extended.resize(length + 5000, 0);
            assert!(matches!(condition(&extended), Condition::Torn(_)), "{length}");
        }
    }

    /// Logs with a batch that begins so near a block's end that its number is in two blocks.
    fn split_numbers() -> impl Iterator<Item = (Vec<u8>, usize)> {
        (HEADER..HEADER + 9).map(|left| {
            let mut log = Vec::new();
            append(&mut log, 10, BLOCK - left - HEADER - 12);
            assert_eq!(BLOCK - log.len() % BLOCK, left);
            let begins = log.len();
            append(&mut log, 11, 50);
            append(&mut log, 12, 50);
            (log, begins)
        })
    }

    #[test]
    fn a_number_may_be_in_two_blocks() {
        for (log, begins) in split_numbers() {
            assert_eq!(condition(&log), Condition::Whole, "{begins}");
            for length in begins + 1..log.len() {
                let found = condition(&log[..length]);
                assert!(
                    matches!(found, Condition::Torn(_) | Condition::Whole),
                    "{begins}, {length}: {found:?}"
                );
            }
        }
    }

    #[test]
    fn what_is_damaged_before_a_number_in_two_blocks_is_damage() {
        for (mut log, begins) in split_numbers() {
            log.truncate(log.len() - (HEADER + 12 + 50));
            assert_eq!(condition(&log), Condition::Whole);
            log[100] ^= 1;
            assert!(matches!(condition(&log), Condition::Damaged(_)), "{begins}");
        }
    }

    #[test]
    fn what_is_damaged_before_a_whole_batch_is_damage() {
        let (log, ends) = log();
        let last = ends[ends.len() - 2];
        for at in (0..last).step_by(61) {
            let mut flipped = log.clone();
            flipped[at] ^= 0x10;
            let found = condition(&flipped);
            assert!(matches!(found, Condition::Damaged(_) | Condition::Whole), "{at}: {found:?}");
        }
        let mut holed = log.clone();
        holed[600..5000].fill(0);
        assert!(matches!(condition(&holed), Condition::Damaged(_)));
    }
}
