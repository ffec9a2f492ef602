//! Bytes off the socket: decompressed, hashed, and written into content.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;

use gantry_api::ingest::{Owner, Writer};
use gantry_archive::compression::Form;
use gantry_archive::tar;
use gantry_types::{Algorithm, Digest};
use tonic::Code;

use super::Desk;
use crate::content::local;
use crate::error::{Error, is_full};

const PORTION: usize = 1 << 20;

/// A buffered reader over anything.
pub fn buffered<R: Read>(reader: R) -> BufReader<R> {
    BufReader::with_capacity(PORTION, reader)
}

/// The bytes behind the compression that their beginning shows.
pub fn decompressed<'a, R: BufRead + 'a>(reader: R) -> Result<Box<dyn Read + 'a>, Error> {
    Form::decoded(reader).map_err(|source| Error::Stream { op: "read", source })
}

/// What is wrong with a tar. A header that is none is not shown.
pub fn unreadable(error: &tar::Error) -> Error {
    let words = match error {
        tar::Error::Header { .. } => "invalid tar header".to_owned(),
        tar::Error::Read(source) => source.to_string(),
        error => error.to_string(),
    };
    Error::Archive(format!("it is no readable tar: {words}"))
}

/// Why an entry's bytes cannot be read: the archive is cut, or its sender has gone.
pub fn cut(error: io::Error) -> Error {
    match error.downcast() {
        Ok(error) => unreadable(&error),
        Err(source) => Error::Stream { op: "read", source },
    }
}

/// What became of bytes that were stored.
#[derive(Clone, Debug)]
pub struct Stored {
    pub digest: Digest,
    pub size: u64,
}

impl Desk {
    /// Stores `reader` to its end as a blob. With `expected`, bytes of another digest are an error, and bytes that
    /// are in the store already are not read.
    pub(super) fn store(
        &self,
        owner: &Owner,
        reference: &str,
        size: u64,
        expected: Option<&Digest>,
        reader: &mut dyn Read,
    ) -> Result<Stored, Error> {
        let peers = self.archives.content.peers();
        let mut writer = loop {
            match self.wait(Writer::open(peers, owner, reference, size, expected)) {
                Ok(writer) => break writer,
                Err(status) if status.code() == Code::AlreadyExists && expected.is_some() => {
                    let digest = expected.cloned().expect("just seen");
                    return Ok(Stored { digest, size });
                }
                // Another load has the same blob: it is done soon.
                Err(status)
                    if status.code() == Code::Unavailable
                        && self.wait(self.archives.content.is_locked(owner, reference)) =>
                {
                    std::thread::sleep(std::time::Duration::from_millis(50));
                }
                Err(status) => return Err(Error::peer("content", "begin a blob")(status)),
            }
        };
        if writer.offset() > 0 {
            self.wait(writer.truncate()).map_err(Error::peer("content", "begin a blob anew"))?;
        }
        match self.fill(&mut writer, expected, reader) {
            Ok(stored) => self.commit(writer, stored, expected),
            Err(error) => {
                // Nothing is left of what cannot be completed: an archive is not resumed.
                let _ = self.wait(writer.abort());
                Err(error)
            }
        }
    }

    fn fill(
        &self,
        writer: &mut Writer,
        expected: Option<&Digest>,
        reader: &mut dyn Read,
    ) -> Result<Stored, Error> {
        let mut hasher = expected.is_none().then(|| Algorithm::Sha256.hasher());
        let mut buffer = vec![0; PORTION];
        let mut offset = 0;
        loop {
            let length = fill_buffer(reader, &mut buffer)?;
            if length == 0 {
                break;
            }
            let bytes = &buffer[..length];
            if let Some(hasher) = &mut hasher {
                hasher.update(bytes);
            }
            let placeholder = || expected.cloned().unwrap_or_else(|| Digest::sha256(b""));
            writer.file().write_all_at(bytes, offset).map_err(|source| match is_full(&source) {
                true => Error::Full { what: "blob", source },
                false => local("write", &placeholder(), source),
            })?;
            offset += length as u64;
            self.wait(writer.progress(offset)).map_err(Error::peer("content", "follow a blob"))?;
        }
        let digest = match (expected, hasher) {
            (Some(expected), _) => expected.clone(),
            (None, Some(hasher)) => hasher.finish(),
            (None, None) => unreachable!("a hasher is made when nothing is expected"),
        };
        Ok(Stored { digest, size: offset })
    }

    fn commit(&self, mut writer: Writer, stored: Stored, expected: Option<&Digest>) -> Result<Stored, Error> {
        match self.wait(writer.commit(stored.size, Some(&stored.digest), HashMap::new())) {
            Ok(_) => Ok(stored),
            Err(status) if status.code() == Code::AlreadyExists => {
                let _ = self.wait(writer.abort());
                Ok(stored)
            }
            Err(status) if status.code() == Code::FailedPrecondition && expected.is_some() => {
                let _ = self.wait(writer.abort());
                Err(Error::WrongLayer { digest: stored.digest, cause: status.message().to_owned() })
            }
            Err(status) => {
                let _ = self.wait(writer.abort());
                Err(Error::peer("content", "commit a blob")(status))
            }
        }
    }
}

/// Fills a buffer as far as the reader goes.
fn fill_buffer(reader: &mut dyn Read, buffer: &mut [u8]) -> Result<usize, Error> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(cut(error)),
        }
    }
    Ok(filled)
}
