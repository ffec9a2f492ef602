//! Bytes off the socket: decompressed, hashed, and written into content.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;

use gantry_api::content::client::Filler;
use gantry_api::content::files::Filler as _;
use gantry_api::content::{Commit, Expected, IngestRef, Owner};
use gantry_archive::compression::Form;
use gantry_archive::tar;
use gantry_rpc::{Code, Coded};
use gantry_types::{Algorithm, Digest, Labels};

use super::Desk;
use crate::content::{Opened, local};
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
        reference: &IngestRef,
        size: u64,
        expected: Option<&Digest>,
        reader: &mut dyn Read,
    ) -> Result<Stored, Error> {
        let whole = Expected { total: Some(size), digest: expected.cloned() };
        let (mut filler, file) = loop {
            match self.wait(self.archives.content.fill(owner, reference, whole.clone()))? {
                Opened::Ours(filler, file) => break (*filler, file),
                Opened::Present => {
                    let digest = expected.cloned();
                    let digest =
                        digest.ok_or_else(|| Error::Request("a blob that nobody named is there".into()))?;
                    return Ok(Stored { digest, size });
                }
                // Another load has the same blob: it is done soon.
                Opened::Others => std::thread::sleep(std::time::Duration::from_millis(50)),
            }
        };
        if filler.extent().0 > 0 {
            self.wait(filler.truncate())?;
        }
        match self.fill(&mut filler, file, expected, reader) {
            Ok(stored) => self.commit(filler, stored, expected),
            Err(error) => {
                // Nothing is left of what cannot be completed: an archive is not resumed.
                let _ = self.wait(filler.abort());
                Err(error)
            }
        }
    }

    fn fill(
        &self,
        filler: &mut Filler,
        file: File,
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
            file.write_all_at(bytes, offset).map_err(|source| match is_full(&source) {
                true => Error::Full { what: "blob", source },
                false => local("write", &placeholder(), source),
            })?;
            offset += length as u64;
            self.wait(filler.progress(offset))?;
        }
        let digest = match (expected, hasher) {
            (Some(expected), _) => expected.clone(),
            (None, Some(hasher)) => hasher.finish(),
            (None, None) => unreachable!("a hasher is made when nothing is expected"),
        };
        Ok(Stored { digest, size: offset })
    }

    fn commit(&self, mut filler: Filler, stored: Stored, expected: Option<&Digest>) -> Result<Stored, Error> {
        let whole = Expected { total: Some(stored.size), digest: Some(stored.digest.clone()) };
        let Err(failure) = self.wait(filler.commit(Commit { expected: whole, labels: Labels::new() })) else {
            return Ok(stored);
        };
        let _ = self.wait(filler.abort());
        match failure.code() {
            Code::AlreadyExists => Ok(stored),
            Code::FailedPrecondition if expected.is_some() => {
                Err(Error::WrongLayer { digest: stored.digest, cause: failure.status.message().to_owned() })
            }
            _ => Err(failure.into()),
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
