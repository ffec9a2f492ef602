//! Writes archives: ustar headers, with a pax header before one that is too narrow.

use std::io::{self, Write};

use super::{BLOCK, Entry, Kind};

/// The end of an archive.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// Writes one entry after the other. Bytes that are written between two entries are the content of the file before.
pub struct Writer<W> {
    target: W,
    /// How many bytes of the current file are still to be written.
    remaining: u64,
    padding: &'static [u8],
}

impl<W: Write> Writer<W> {
    /// Writes to `target`, which should be buffered.
    pub fn new(target: W) -> Self {
        Self { target, remaining: 0, padding: &[] }
    }

    /// Begins an entry. The caller writes a file's `size` bytes next; missing bytes become zeros, because a file may
    /// shrink while it is read, after its header was written.
    ///
    /// # Errors
    ///
    /// Those of the target.
    pub fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        self.close()?;
        self.target.write_all(&head(entry))?;
        self.remaining = stored(entry);
        self.padding = padding(self.remaining);
        Ok(())
    }

    /// Ends the archive and returns the target.
    ///
    /// # Errors
    ///
    /// Those of the target.
    pub fn finish(mut self) -> io::Result<W> {
        self.close()?;
        self.target.write_all(&END)?;
        self.target.flush()?;
        Ok(self.target)
    }

    fn close(&mut self) -> io::Result<()> {
        while self.remaining > 0 {
            let zeros = [0u8; 4096];
            let length = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(zeros.len());
            self.target.write_all(&zeros[..length])?;
            self.remaining -= length as u64;
        }
        self.target.write_all(std::mem::take(&mut self.padding))
    }
}

impl<W: Write> Write for Writer<W> {
    /// Writes content of the current file. More than its size is an error.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.remaining {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "more data than the entry has"));
        }
        let length = self.target.write(bytes)?;
        self.remaining -= length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.target.flush()
    }
}

/// The headers of an entry, for a caller that writes the rest of the archive itself: after the content comes
/// [`padding`], after all entries [`END`]. Leaves out extended attributes with `=` in their names.
pub fn head(entry: &Entry) -> Vec<u8> {
    let size = stored(entry);
    let mut records = Vec::new();
    // The first `=` of a record ends its key: an attribute with `=` in its name would be read as another one.
    for (name, value) in entry.xattrs.iter().filter(|(name, _)| !name.contains(&b'=')) {
        record(&mut records, &[b"SCHILY.xattr.", name.as_slice()].concat(), value);
    }
    let short_name = fits(&entry.path, 100);
    if !short_name {
        record(&mut records, b"path", &entry.path);
    }
    let short_link = fits(&entry.link, 100);
    if !short_link {
        record(&mut records, b"linkpath", &entry.link);
    }
    let small = |value: u64, digits: u32| value < 1 << (3 * digits);
    if !small(size, 11) {
        record(&mut records, b"size", size.to_string().as_bytes());
    }
    if !small(entry.uid.into(), 7) {
        record(&mut records, b"uid", entry.uid.to_string().as_bytes());
    }
    if !small(entry.gid.into(), 7) {
        record(&mut records, b"gid", entry.gid.to_string().as_bytes());
    }
    let seconds = u64::try_from(entry.mtime.seconds).ok().filter(|seconds| small(*seconds, 11));
    if seconds.is_none() || entry.mtime.nanos != 0 {
        record(&mut records, b"mtime", time(entry).as_bytes());
    }
    let mut head = Vec::with_capacity(BLOCK);
    if !records.is_empty() {
        let length = records.len() as u64;
        head.extend(block(b"PaxHeaders.0/entry", b"", b'x', 0o644, [0, 0, length, 0], (0, 0)));
        head.extend(&records);
        head.extend(padding(length));
    }
    let flag = match entry.kind {
        Kind::File => b'0',
        Kind::HardLink => b'1',
        Kind::Symlink => b'2',
        Kind::CharDevice => b'3',
        Kind::BlockDevice => b'4',
        Kind::Directory => b'5',
        Kind::Fifo => b'6',
    };
    let name = if short_name { &entry.path } else { &entry.path[..entry.path.len().min(99)] };
    let link = if short_link { entry.link.as_slice() } else { b"" };
    let clip = |value: u64, digits: u32| if small(value, digits) { value } else { 0 };
    let numbers =
        [clip(entry.uid.into(), 7), clip(entry.gid.into(), 7), clip(size, 11), seconds.unwrap_or(0)];
    head.extend(block(name, link, flag, entry.mode, numbers, entry.device));
    head
}

/// The zeros that fill the last block of content with `size` bytes.
pub fn padding(size: u64) -> &'static [u8] {
    let length = size.next_multiple_of(BLOCK as u64) - size;
    &END[..usize::try_from(length).expect("less than a block")]
}

/// Only files have content.
fn stored(entry: &Entry) -> u64 {
    if entry.kind == Kind::File { entry.size } else { 0 }
}

/// `numbers` are uid, gid, size and mtime.
fn block(
    name: &[u8],
    link: &[u8],
    flag: u8,
    mode: u32,
    [uid, gid, size, mtime]: [u64; 4],
    (major, minor): (u32, u32),
) -> [u8; BLOCK] {
    let mut block = [0u8; BLOCK];
    block[..name.len()].copy_from_slice(name);
    octal(&mut block[100..108], mode.into());
    octal(&mut block[108..116], uid);
    octal(&mut block[116..124], gid);
    octal(&mut block[124..136], size);
    octal(&mut block[136..148], mtime);
    block[156] = flag;
    block[157..157 + link.len()].copy_from_slice(link);
    block[257..265].copy_from_slice(b"ustar\x0000");
    if matches!(flag, b'3' | b'4') {
        octal(&mut block[329..337], major.into());
        octal(&mut block[337..345], minor.into());
    }
    block[148..156].copy_from_slice(b"        ");
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    octal(&mut block[148..155], sum);
    block
}

fn fits(name: &[u8], length: usize) -> bool {
    name.len() <= length && name.is_ascii()
}

/// Octal digits with leading zeros, then a zero byte.
fn octal(field: &mut [u8], value: u64) {
    let digits = field.len() - 1;
    field[..digits].copy_from_slice(format!("{value:0digits$o}").as_bytes());
}

fn time(entry: &Entry) -> String {
    let (seconds, nanos) = (entry.mtime.seconds, entry.mtime.nanos);
    match (seconds < 0, nanos) {
        (_, 0) => seconds.to_string(),
        (false, nanos) => format!("{seconds}.{nanos:09}"),
        // -1.25 is stored as -2 s + 0.75 s.
        (true, nanos) => format!("-{}.{:09}", -(seconds + 1), 1_000_000_000 - nanos),
    }
}

fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    records.extend(length.to_string().bytes());
    records.push(b' ');
    records.extend(key);
    records.push(b'=');
    records.extend(value);
    records.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_records_count_themselves() {
        for (value, begin, length) in
            [(1, "25 ", 25), (73, "97 ", 97), (74, "98 ", 98), (75, "99 ", 99), (76, "101 ", 101)]
        {
            let mut records = Vec::new();
            record(&mut records, b"SCHILY.xattr.user.x", &vec![b'1'; value]);
            assert!(records.starts_with(begin.as_bytes()) && records.ends_with(b"1\n"), "{value}");
            assert_eq!(records.len(), length);
        }
    }

    #[test]
    fn what_is_not_written_of_a_file_is_zeros_and_what_is_too_much_is_refused() {
        let mut writer = Writer::new(Vec::new());
        writer.entry(&Entry { size: 600, ..Entry::new("f", Kind::File) }).unwrap();
        writer.write_all(&[1; 100]).unwrap();
        assert!(writer.write_all(&[1; 501]).is_err());
        writer.entry(&Entry::new("d/", Kind::Directory)).unwrap();
        assert!(writer.write_all(&[1]).is_err());
        let archive = writer.finish().unwrap();
        assert_eq!(archive.len(), 4 * BLOCK + END.len());
        assert_eq!(archive[BLOCK..3 * BLOCK], [vec![1; 100], vec![0; 924]].concat());
    }
}
