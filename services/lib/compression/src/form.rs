//! What a file is compressed with.

use std::io::{self, BufRead, Read};

use crate::members;

/// The largest window that a zstd frame may ask for, as a power of two: 128 MiB.
const ZSTD_WINDOW: u32 = 27;

/// How a stream of bytes is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Plain,
    Gzip,
    Zstd,
    Bzip2,
    Xz,
}

impl Form {
    /// As many bytes tell every form.
    pub const MAGIC: usize = 6;

    /// Tells it from the first bytes.
    pub fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            [b'B', b'Z', b'h', ..] => Self::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            _ => Self::Plain,
        }
    }

    /// What is behind the compression.
    ///
    /// # Errors
    ///
    /// A decoder that has no memory.
    pub fn decoder<'a, R: BufRead + 'a>(self, file: R) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Self::Plain => Box::new(file),
            Self::Gzip => Box::new(members::gzip(file)),
            Self::Bzip2 => Box::new(members::bzip2(file)),
            Self::Xz => Box::new(members::xz(file)?),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(file)?;
                decoder.window_log_max(ZSTD_WINDOW)?;
                Box::new(decoder)
            }
        })
    }

    /// What is behind the compression that the file's beginning shows.
    ///
    /// # Errors
    ///
    /// Those of reading, and those of [`decoder`](Self::decoder).
    pub fn decoded<'a, R: BufRead + 'a>(mut file: R) -> io::Result<Box<dyn Read + 'a>> {
        let form = Self::of(file.fill_buf()?);
        form.decoder(file)
    }
}
