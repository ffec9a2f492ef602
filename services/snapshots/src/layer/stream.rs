//! Decompression on a thread of its own, and the hash of what comes out.
//!
//! The kind of compression is read from the first bytes, not from the media type: registries have lied about it for
//! years. Buffers are large and few, and go back to be filled again.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

use gantry_types::{Algorithm, Digest, Hasher};

/// Bytes per buffer.
const BUFFER: usize = 512 * 1024;
/// Buffers between the threads.
const DEPTH: usize = 4;
/// Bytes read from the blob at once.
const INPUT: usize = 256 * 1024;
/// The largest window that a zstd frame may ask for, as a power of two: 128 MiB.
const ZSTD_WINDOW: u32 = 27;
/// zstd's number for the error that a window is larger than allowed; stable since its version 1.3.1.
const WINDOW_TOO_LARGE: usize = 16;

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
    let (magic, source) = peek(BufReader::with_capacity(INPUT, source))?;
    let mut decoder: Box<dyn Read> = match magic {
        Magic::Gzip => Box::new(gantry_compression::gzip(source)),
        Magic::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(source)?;
            decoder.window_log_max(ZSTD_WINDOW)?;
            Box::new(decoder)
        }
        Magic::Other => Box::new(source),
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
                    failure = Some(told(error));
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

/// zstd's own words for a window that is too large speak of memory, as if there were not enough of it.
fn told(error: io::Error) -> io::Error {
    // An error's code is its number below zero, as a size.
    let too_large = zstd::zstd_safe::get_error_name(0usize.wrapping_sub(WINDOW_TOO_LARGE));
    if error.raw_os_error().is_some() || error.to_string() != too_large {
        return error;
    }
    let largest = (1u64 << ZSTD_WINDOW) >> 20;
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("its zstd stream asks for a window of more than {largest} MiB"),
    )
}

enum Magic {
    Gzip,
    Zstd,
    Other,
}

/// Tells the compression, and gives all bytes back. The first few may arrive one by one.
fn peek<R: BufRead>(mut source: R) -> io::Result<(Magic, impl BufRead)> {
    let mut first = Vec::with_capacity(4);
    source.by_ref().take(4).read_to_end(&mut first)?;
    let magic = match first.as_slice() {
        [0x1f, 0x8b, ..] => Magic::Gzip,
        // A frame, or a skippable one in front.
        [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Magic::Zstd,
        _ => Magic::Other,
    };
    Ok((magic, Cursor::new(first).chain(source)))
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
    fn compression_is_told_when_the_first_bytes_come_one_by_one() {
        struct Single<'b>(&'b [u8]);
        impl Read for Single<'_> {
            fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
                let length = target.len().min(1);
                self.0.read(&mut target[..length])
            }
        }
        let zstd = zstd::encode_all(&b"plain"[..], 1).unwrap();
        let (digest, _) = decompressed(Single(&zstd), |d| d.finish().unwrap());
        assert_eq!(digest, Digest::sha256(b"plain"));
    }

    #[test]
    fn a_window_that_is_too_large_is_refused_in_plain_words() {
        let frame = |window_log: u8| {
            // Magic, a frame without a content size, its window, one last empty raw block.
            let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, (window_log - 10) << 3];
            frame.extend([0x01, 0x00, 0x00]);
            frame
        };
        assert_eq!(decompressed(frame(27).as_slice(), Decompressed::finish).unwrap().1, 0);
        let error = decompressed(frame(28).as_slice(), Decompressed::finish).unwrap_err();
        assert_eq!(error.to_string(), "its zstd stream asks for a window of more than 128 MiB");
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
