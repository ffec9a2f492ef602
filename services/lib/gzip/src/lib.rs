//! gzip as it is found in the world.
//!
//! By RFC 1952 a file is one member after the other. Tools that write in blocks fill the last one up with zeros, which
//! gzip itself passes over, and so does this reader. Anything else behind a member is an error: bytes that nobody reads
//! have no place in what has a digest.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

/// What is compressed in all members of a gzip file.
#[derive(Debug)]
pub struct Members<R> {
    /// None behind the end, and after an error.
    at: Option<At<R>>,
}

#[derive(Debug)]
enum At<R> {
    /// In a member.
    Member(Box<GzDecoder<R>>),
    /// Behind one.
    Behind(R),
    /// In the zeros that end the file.
    Padding(R),
}

impl<R: BufRead> Members<R> {
    /// Reads `file`, which begins with a member.
    pub fn new(file: R) -> Self {
        Self { at: Some(At::Member(Box::new(GzDecoder::new(file)))) }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some(at) = self.at.take() {
            let next = match at {
                At::Member(mut member) => match member.read(buffer) {
                    Ok(0) => Some(At::Behind(member.into_inner())),
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
                        Some(_) => Some(At::Member(Box::new(GzDecoder::new(file)))),
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
                            let said = "bytes follow the zeros behind a gzip member";
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

    fn member(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(file: &[u8]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        // Few at once, so that members and padding begin anywhere in a buffer.
        Members::new(BufReader::with_capacity(7, file)).read_to_end(&mut bytes).map(|_| bytes)
    }

    #[test]
    fn members_follow_each_other() {
        let file = [member(b"one "), member(b""), member(b"two")].concat();
        assert_eq!(read(&file).unwrap(), b"one two");
    }

    #[test]
    fn zeros_behind_the_end_are_passed_over() {
        for zeros in [1, 3, 512, 10_000] {
            let file = [member(b"bytes"), vec![0; zeros]].concat();
            assert_eq!(read(&file).unwrap(), b"bytes");
        }
    }

    #[test]
    fn other_bytes_behind_the_end_are_an_error() {
        assert!(read(&[member(b"bytes"), b"garbage".to_vec()].concat()).is_err());
        assert!(read(&[member(b"bytes"), vec![0; 9], member(b"hidden")].concat()).is_err());
        let whole = member(b"bytes");
        assert!(read(&whole[..whole.len() - 1]).is_err());
        assert!(read(b"").is_err());
    }
}
