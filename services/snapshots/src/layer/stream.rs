//! Decompression on a thread of its own, and the hash of what comes out.
//!
//! The kind of compression is read from the first bytes, not from the media type: registries have lied about it for
//! years. Buffers are large and few, and go back to be filled again.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

use gantry_archive::compression::Form;
use gantry_types::{Algorithm, Digest, Hasher};

/// Bytes per buffer.
const BUFFER: usize = 512 * 1024;
/// Buffers between the threads.
const DEPTH: usize = 4;
/// Bytes read from the blob at once.
const INPUT: usize = 256 * 1024;
/// Runs `work` on the uncompressed bytes of `source`, which a second thread decompresses meanwhile.
pub fn decompressed<T>(source: impl Read + Send, work: impl FnOnce(Decompressed) -> T) -> T {
    let (full, filled) = sync_channel::<io::Result<Vec<u8>>>(DEPTH);
    let (empty, emptied) = sync_channel::<Vec<u8>>(DEPTH + 2);
    std::thread::scope(|scope| {
        let feeder = std::thread::Builder::new().name("decompress".into()).spawn_scoped(scope, {
            let full = full.clone();
            move || {
                if let Err(error) = feed(source, &full, &emptied) {
                    // A reader that stopped early does not care.
                    let _ = full.send(Err(error));
                }
            }
        });
        if let Err(error) = feeder {
            let _ = full.send(Err(error));
        }
        drop(full);
        let hasher = Algorithm::Sha256.hasher();
        work(Decompressed { filled, empty, buffer: Vec::new(), at: 0, hasher, length: 0 })
    })
}

fn feed(
    source: impl Read,
    full: &SyncSender<io::Result<Vec<u8>>>,
    emptied: &Receiver<Vec<u8>>,
) -> io::Result<()> {
    let (form, source) = Form::peek(BufReader::with_capacity(INPUT, source))?;
    let mut decoder: Box<dyn Read> = match form {
        Form::Gzip | Form::Zstd => form.decoder(source)?,
        // Compressed by what layers are not compressed with: what reads the archive will say that it is none.
        Form::Plain | Form::Bzip2 | Form::Xz => Box::new(source),
    };
    loop {
        let mut buffer = match emptied.try_recv() {
            Ok(buffer) => buffer,
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => vec![0; BUFFER],
        };
        buffer.resize(BUFFER, 0);
        let mut length = 0;
        let mut failure = None;
        while length < BUFFER {
            match decoder.read(&mut buffer[length..]) {
                Ok(0) => break,
                Ok(count) => length += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        let ended = length < BUFFER;
        if length > 0 {
            buffer.truncate(length);
            if full.send(Ok(buffer)).is_err() {
                return Ok(());
            }
        }
        match failure {
            Some(error) => return Err(error),
            None if ended => return Ok(()),
            None => {}
        }
    }
}

/// The uncompressed bytes, hashed as they are handed over.
pub struct Decompressed {
    filled: Receiver<io::Result<Vec<u8>>>,
    empty: SyncSender<Vec<u8>>,
    buffer: Vec<u8>,
    at: usize,
    hasher: Hasher,
    length: u64,
}

impl Decompressed {
    /// Reads what is left, and tells the digest and the number of all bytes.
    pub fn finish(mut self) -> io::Result<(Digest, u64)> {
        loop {
            let length = self.fill_buf()?.len();
            if length == 0 {
                return Ok((self.hasher.finish(), self.length));
            }
            self.consume(length);
        }
    }
}

impl BufRead for Decompressed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.buffer.len() {
            // Full only if the other side made more buffers than it took back: then this one is freed.
            let _ = self.empty.try_send(std::mem::take(&mut self.buffer));
            self.at = 0;
            if let Ok(next) = self.filled.recv() {
                self.buffer = next?;
                self.hasher.update(&self.buffer);
                self.length += self.buffer.len() as u64;
            }
        }
        Ok(&self.buffer[self.at..])
    }

    fn consume(&mut self, count: usize) {
        self.at += count;
    }
}

impl Read for Decompressed {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let length = bytes.len().min(target.len());
        target[..length].copy_from_slice(&bytes[..length]);
        self.consume(length);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn every_compression_is_told_by_its_bytes() {
        let plain: Vec<u8> = (0..3_000_000u32).flat_map(u32::to_le_bytes).collect();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&plain[..1_000_000]).unwrap();
        let mut members = gzip.finish().unwrap();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&plain[1_000_000..]).unwrap();
        members.extend(gzip.finish().unwrap());
        let padded = [members.as_slice(), &[0; 1000]].concat();
        let zstd = zstd::encode_all(plain.as_slice(), 1).unwrap();
        for bytes in [plain.clone(), members, padded, zstd] {
            let (digest, length) = decompressed(bytes.as_slice(), |d| d.finish().unwrap());
            assert_eq!(digest, Digest::sha256(&plain));
            assert_eq!(length, plain.len() as u64);
        }
    }

    #[test]
    fn a_reader_that_stops_early_ends_the_other_thread() {
        let zeros = vec![0u8; 20 << 20];
        let first = decompressed(zeros.as_slice(), |mut d| d.fill_buf().unwrap().len());
        assert_eq!(first, BUFFER);
    }

    #[test]
    fn cut_bytes_are_an_error() {
        let zstd = zstd::encode_all(&[7u8; 100_000][..], 1).unwrap();
        assert!(decompressed(&zstd[..zstd.len() - 3], Decompressed::finish).is_err());
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&[7u8; 100_000]).unwrap();
        let gzip = gzip.finish().unwrap();
        assert!(decompressed(&gzip[..gzip.len() - 3], Decompressed::finish).is_err());
        assert_eq!(decompressed(&b""[..], Decompressed::finish).unwrap().1, 0);
    }
}
