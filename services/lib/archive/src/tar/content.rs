//! The content of an entry.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::os::unix::fs::FileExt;

use super::{Entry, Error, Reader, Result};

/// The stored bytes of an entry as a stream. An error of the archive is the inner error of the [`io::Error`].
pub struct Content<'r, R>(&'r mut Reader<R>);

impl<'r, R> Content<'r, R> {
    pub(super) fn new(reader: &'r mut Reader<R>) -> Self {
        Self(reader)
    }
}

impl<R: BufRead> Read for Content<'_, R> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let Self(reader) = self;
        let wanted = target.len().min(usize::try_from(reader.remaining).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let length = reader.source.read(&mut target[..wanted])?;
        if length == 0 {
            return Err(Error::Cut("a file").into());
        }
        reader.remaining -= length as u64;
        reader.offset += length as u64;
        Ok(length)
    }
}

impl<R: BufRead> Reader<R> {
    /// Writes the content of `entry`, which must be the current one, to `file`, which must be empty. Holes of a
    /// sparse file stay holes.
    ///
    /// # Errors
    ///
    /// [`Error::Write`] when the file cannot be written, and those of reading.
    pub fn write_to(&mut self, entry: &Entry, file: &File) -> Result<()> {
        let whole = [(0, entry.size)];
        for (offset, length) in entry.segments.as_deref().unwrap_or(&whole) {
            let (mut at, end) = (*offset, offset + length);
            while at < end {
                // A block may hold the end of one segment and the beginning of the next.
                let bytes = self.data_up_to(end - at)?;
                if bytes.is_empty() {
                    return Err(Error::Cut("a file"));
                }
                file.write_all_at(bytes, at).map_err(Error::Write)?;
                at += bytes.len() as u64;
            }
        }
        match entry.segments {
            Some(_) => file.set_len(entry.size).map_err(Error::Write),
            None => Ok(()),
        }
    }
}
