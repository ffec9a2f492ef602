//! Compression of written bytes.

use std::io::{self, Write};

use flate2::write::GzEncoder;
use gantry_types::media_type::Compression;

/// gzip's level, of nine. Higher levels take much more time for a few bytes less.
const GZIP_LEVEL: u32 = 5;
const ZSTD_LEVEL: i32 = 3;

/// Compresses the bytes that are written to it.
pub struct Encoder<W: Write>(Inner<W>);

enum Inner<W: Write> {
    Plain(W),
    Gzip(Box<GzEncoder<W>>),
    Zstd(Box<zstd::stream::write::Encoder<'static, W>>),
}

impl<W: Write> Encoder<W> {
    /// An encoder that writes to `target`.
    ///
    /// # Errors
    ///
    /// When there is no memory for the encoder.
    pub fn new(compression: Compression, target: W) -> io::Result<Self> {
        Ok(Self(match compression {
            Compression::None => Inner::Plain(target),
            Compression::Gzip => {
                Inner::Gzip(Box::new(GzEncoder::new(target, flate2::Compression::new(GZIP_LEVEL))))
            }
            Compression::Zstd => {
                Inner::Zstd(Box::new(zstd::stream::write::Encoder::new(target, ZSTD_LEVEL)?))
            }
        }))
    }

    /// Ends the compressed stream, and returns the target.
    ///
    /// # Errors
    ///
    /// Those of the target.
    pub fn finish(self) -> io::Result<W> {
        match self.0 {
            Inner::Plain(target) => Ok(target),
            Inner::Gzip(encoder) => encoder.finish(),
            Inner::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Inner::Plain(target) => target.write(bytes),
            Inner::Gzip(encoder) => encoder.write(bytes),
            Inner::Zstd(encoder) => encoder.write(bytes),
        }
    }

    /// Does nothing: bytes that are flushed in the middle compress badly. [`Encoder::finish`] writes all bytes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
