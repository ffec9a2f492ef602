//! The compression of a file.

use std::io::{self, BufRead, Cursor, Read};

use super::members;

/// The largest window that a zstd frame may ask for, as a power of two: 128 MiB.
const ZSTD_WINDOW: u32 = 27;
/// zstd's number for the error that a window is larger than allowed; stable since its version 1.3.1.
const WINDOW_TOO_LARGE: usize = 16;

/// The compression of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// None, or an unknown one.
    Plain,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
}

impl Form {
    /// How many bytes are enough to detect every form.
    pub const MAGIC: usize = 6;

    /// Detects the form of a stream that begins with these bytes.
    pub fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // A frame, or a skippable frame before it.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [b'B', b'Z', b'h', ..] => Self::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            _ => Self::Plain,
        }
    }

    /// Detects the form of a stream. Returns a reader of all its bytes, the first ones included. The bytes may arrive
    /// one by one.
    ///
    /// # Errors
    ///
    /// Those of reading.
    pub fn peek<R: BufRead>(mut file: R) -> io::Result<(Self, impl BufRead)> {
        let mut start = Vec::with_capacity(Self::MAGIC);
        file.by_ref().take(Self::MAGIC as u64).read_to_end(&mut start)?;
        Ok((Self::of(&start), Cursor::new(start).chain(file)))
    }

    /// A reader of the uncompressed bytes.
    ///
    /// # Errors
    ///
    /// When there is no memory for the decoder.
    pub fn decoder<'a, R: BufRead + 'a>(self, file: R) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Self::Plain => Box::new(file),
            Self::Gzip => Box::new(members::gzip(file)),
            Self::Bzip2 => Box::new(members::bzip2(file)),
            Self::Xz => Box::new(members::xz(file)?),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(file)?;
                decoder.window_log_max(ZSTD_WINDOW)?;
                Box::new(Zstd(decoder))
            }
        })
    }

    /// A reader of the uncompressed bytes of a stream, whose form is detected.
    ///
    /// # Errors
    ///
    /// Those of reading, and those of [`decoder`](Self::decoder).
    pub fn decoded<'a, R: BufRead + 'a>(file: R) -> io::Result<Box<dyn Read + 'a>> {
        let (form, file) = Self::peek(file)?;
        form.decoder(file)
    }
}

/// A decoder with readable error messages.
struct Zstd<R>(R);

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        self.0.read(target).map_err(told)
    }
}

/// For a window that is too large, zstd's own message speaks of too little memory.
fn told(error: io::Error) -> io::Error {
    // An error code is the negated number of the error, as a size.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        Form::decoded(bytes)?.read_to_end(&mut plain).map(|_| plain)
    }

    #[test]
    fn a_form_is_told_when_the_first_bytes_come_one_by_one() {
        let zstd = zstd::encode_all(&b"plain"[..], 1).unwrap();
        let mut plain = Vec::new();
        let single = io::BufReader::with_capacity(1, zstd.as_slice());
        Form::decoded(single).unwrap().read_to_end(&mut plain).unwrap();
        assert_eq!(plain, b"plain");
    }

    #[test]
    fn what_is_shorter_than_any_mark_is_plain() {
        for bytes in [&b""[..], b"\x1f", b"BZ"] {
            assert_eq!(decoded(bytes).unwrap(), bytes);
        }
    }

    #[test]
    fn a_skippable_frame_of_zstd_is_passed_over() {
        let frame = zstd::encode_all(&b"plain"[..], 1).unwrap();
        let bytes = [b"\x50\x2a\x4d\x18\x03\0\0\0abc", frame.as_slice()].concat();
        assert_eq!(decoded(&bytes).unwrap(), b"plain");
    }

    #[test]
    fn a_window_that_is_too_large_is_refused_in_plain_words() {
        let frame = |window_log: u8| {
            // Magic, a frame without a content size, its window, and an empty raw block as the last.
            let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, (window_log - 10) << 3];
            frame.extend([0x01, 0x00, 0x00]);
            frame
        };
        assert!(decoded(&frame(27)).unwrap().is_empty());
        let error = decoded(&frame(28)).unwrap_err();
        assert_eq!(error.to_string(), "its zstd stream asks for a window of more than 128 MiB");
    }
}
