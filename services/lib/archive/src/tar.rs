//! A strict tar reader, and a writer of what it reads.
//!
//! Layers come from strangers, and two programs that frame the same bytes differently are a way in: so what is
//! ambiguous is refused rather than guessed. Understood are V7, ustar, GNU (`L`, `K`, `S`, base-256 numbers) and pax
//! (`x`; sparse files in forms 0.1 and 1.0). A global header (`g`) is read and, as every image tool does, not applied;
//! one that would change how the archive is framed is refused.
//!
//! Refused: wrong checksums, negative or overflowing numbers, names over 4096 bytes or with a zero byte, pax records
//! that do not end where they say or whose key comes twice, pax and GNU long names on one entry, headers without end in
//! front of an entry, sparse maps that overlap or leave the file.
//!
//! Written are ustar headers with pax headers in front where those are too narrow, as Docker writes them.

mod content;
mod entry;
mod extensions;
mod header;
mod pax;
mod reader;
mod sparse;
mod writer;

pub use content::Content;
pub use entry::{Entry, Kind};
pub use reader::Reader;
pub use writer::{END, Writer, head, padding};

/// The size of everything in a tar.
pub const BLOCK: usize = 512;

/// The longest name of an entry or target of a link, bytes (`PATH_MAX`).
pub const LONGEST_NAME: usize = 4096;

/// Why an archive was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes could not be had: the decompressor, or the file below it.
    #[error("cannot read the archive")]
    Read(#[from] std::io::Error),
    /// The archive ends within an entry.
    #[error("the archive ends in the middle of {0}")]
    Cut(&'static str),
    /// What the archive holds could not be written down.
    #[error("cannot write what the archive holds")]
    Write(#[source] std::io::Error),
    /// A block is no header.
    #[error("the block at {offset} is no tar header: {reason}")]
    Header {
        /// Where in the uncompressed archive.
        offset: u64,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An extended header says what it may not say.
    #[error("the extended header at {offset} {reason}")]
    Extended {
        /// Where in the uncompressed archive.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// An entry of a kind that layers do not have.
    #[error("the entry {name:?} has the unknown type {flag:?}")]
    Type {
        /// Its name.
        name: String,
        /// The type flag.
        flag: char,
    },
}

impl From<Error> for std::io::Error {
    /// For those who read an archive as a stream: what the archive itself did wrong stays within, to be found again by
    /// its type.
    fn from(error: Error) -> Self {
        match error {
            Error::Read(source) | Error::Write(source) => source,
            Error::Cut(_) => Self::new(std::io::ErrorKind::UnexpectedEof, error),
            _ => Self::new(std::io::ErrorKind::InvalidData, error),
        }
    }
}

/// The result of reading an archive.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests;
