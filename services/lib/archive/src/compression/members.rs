//! Files of several members: gzip (RFC 1952), bzip2 and xz.
//!
//! Tools that write in blocks fill the last block with zeros, which gzip itself skips, and so does this reader. Any
//! other byte after a member is an error: the digest of the file would cover bytes that no program reads.

use std::io::{self, BufRead, Read};

use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::Stream;

/// The most memory that a decoder of xz may take, as the decoder counts it: files made by `xz -9` need 65 MiB.
const XZ_MEMORY: u64 = 96 << 20;

/// A decoder of one member.
pub(super) trait Member: Read + Sized {
    /// The reader of the file.
    type File: BufRead;

    /// Begins a member.
    ///
    /// # Errors
    ///
    /// When there is no memory for the decoder.
    fn begin(file: Self::File) -> io::Result<Self>;

    /// The file, after the end of the member.
    fn end(self) -> Self::File;
}

impl<R: BufRead> Member for GzDecoder<R> {
    type File = R;

    fn begin(file: R) -> io::Result<Self> {
        Ok(Self::new(file))
    }

    fn end(self) -> R {
        self.into_inner()
    }
}

impl<R: BufRead> Member for BzDecoder<R> {
    type File = R;

    fn begin(file: R) -> io::Result<Self> {
        Ok(Self::new(file))
    }

    fn end(self) -> R {
        self.into_inner()
    }
}

impl<R: BufRead> Member for XzDecoder<R> {
    type File = R;

    fn begin(file: R) -> io::Result<Self> {
        let stream = Stream::new_stream_decoder(XZ_MEMORY, 0)?;
        Ok(Self::new_stream(file, stream))
    }

    fn end(self) -> R {
        self.into_inner()
    }
}

/// Reads `file`, which begins with a gzip member.
pub(super) fn gzip<R: BufRead>(file: R) -> Members<GzDecoder<R>> {
    Members::new(GzDecoder::new(file))
}

/// Reads `file`, which begins with a bzip2 member.
pub(super) fn bzip2<R: BufRead>(file: R) -> Members<BzDecoder<R>> {
    Members::new(BzDecoder::new(file))
}

/// Reads `file`, which begins with an xz stream.
pub(super) fn xz<R: BufRead>(file: R) -> io::Result<Members<XzDecoder<R>>> {
    Ok(Members::new(XzDecoder::begin(file)?))
}

/// The uncompressed bytes of all members of a file.
pub(super) struct Members<M: Member> {
    /// `None` after the end of the file, and after an error.
    at: Option<At<M>>,
}

enum At<M: Member> {
    /// The reader is in a member.
    Member(Box<M>),
    /// The reader is between two members.
    Behind(M::File),
    /// The reader is in the zeros that end the file.
    Padding(M::File),
}

impl<M: Member> Members<M> {
    fn new(first: M) -> Self {
        Self { at: Some(At::Member(Box::new(first))) }
    }
}

impl<M: Member> Read for Members<M> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some(at) = self.at.take() {
            let next = match at {
                At::Member(mut member) => match member.read(buffer) {
                    Ok(0) => Some(At::Behind(member.end())),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                        self.at = Some(At::Member(member));
                        return Err(error);
                    }
                    read => {
                        self.at = Some(At::Member(member));
                        return read;
                    }
                },
                At::Behind(mut file) => {
                    match again(|| file.fill_buf().map(|bytes| bytes.first().copied()))? {
                        None => None,
                        Some(0) => Some(At::Padding(file)),
                        Some(_) => Some(At::Member(Box::new(M::begin(file)?))),
                    }
                }
                At::Padding(mut file) => {
                    let (length, zeros) = again(|| {
                        let bytes = file.fill_buf()?;
                        Ok((bytes.len(), bytes.iter().take_while(|byte| **byte == 0).count()))
                    })?;
                    file.consume(zeros);
                    match (length, zeros == length) {
                        (0, _) => None,
                        (_, true) => Some(At::Padding(file)),
                        (_, false) => {
                            let said = "bytes follow the zeros behind the end";
                            return Err(io::Error::new(io::ErrorKind::InvalidData, said));
                        }
                    }
                }
            };
            self.at = next;
        }
        Ok(0)
    }
}

fn again<T>(mut read: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match read() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Write};

    use super::*;
    use crate::compression::Form;

    fn member(form: Form, bytes: &[u8]) -> Vec<u8> {
        match form {
            Form::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Form::Bzip2 => {
                let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Form::Xz => {
                let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Form::Plain | Form::Zstd => unreachable!("has no members"),
        }
    }

    fn read(form: Form, file: &[u8]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        // A small buffer, so that members and padding begin anywhere in it.
        form.decoder(BufReader::with_capacity(7, file))?.read_to_end(&mut bytes).map(|_| bytes)
    }

    const ALL: [Form; 3] = [Form::Gzip, Form::Bzip2, Form::Xz];

    #[test]
    fn members_follow_each_other() {
        for form in ALL {
            let file = [member(form, b"one "), member(form, b""), member(form, b"two")].concat();
            assert_eq!(read(form, &file).unwrap(), b"one two", "{form:?}");
            assert_eq!(Form::of(&file[..Form::MAGIC]), form);
        }
    }

    #[test]
    fn zeros_behind_the_end_are_passed_over() {
        for (form, zeros) in ALL.into_iter().flat_map(|form| [1, 3, 512, 10_000].map(|zeros| (form, zeros))) {
            let file = [member(form, b"bytes"), vec![0; zeros]].concat();
            assert_eq!(read(form, &file).unwrap(), b"bytes", "{form:?} {zeros}");
        }
    }

    #[test]
    fn other_bytes_behind_the_end_are_an_error() {
        for form in ALL {
            let whole = member(form, b"bytes");
            assert!(read(form, &[whole.as_slice(), b"garbage"].concat()).is_err(), "{form:?}");
            assert!(read(form, &[whole.clone(), vec![0; 9], whole.clone()].concat()).is_err(), "{form:?}");
            for length in 0..whole.len() {
                assert!(read(form, &whole[..length]).is_err(), "{form:?} cut to {length}");
            }
        }
    }

    #[test]
    fn an_xz_file_that_asks_for_too_much_memory_is_refused() {
        // The header names the dictionary's size, whatever the file contains: 36 stands for 512 MiB.
        let mut file = member(Form::Xz, b"bytes");
        let filters =
            file.windows(3).position(|bytes| bytes == [0x21, 0x01, 0x10]).expect("LZMA2, 1 MiB") + 2;
        file[filters] = 36;
        let header = usize::from(file[12]) * 4 + 4;
        let mut crc = flate2::Crc::new();
        crc.update(&file[12..12 + header - 4]);
        file[12 + header - 4..12 + header].copy_from_slice(&crc.sum().to_le_bytes());
        let error = read(Form::Xz, &file).expect_err("too much");
        assert!(error.to_string().contains("memory"), "{error}");
    }
}
