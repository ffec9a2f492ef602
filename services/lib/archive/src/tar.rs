//! A strict tar reader, and a writer of the same forms.
//!
//! Where two programs read the same bytes as different entries, one of them may check other files than the other
//! unpacks. So the reader refuses what is ambiguous. It understands V7, ustar, GNU (`L`, `K`, `S`, base-256 numbers)
//! and pax (`x`; sparse files of versions 0.1 and 1.0). It reads a global header (`g`) and, like every image tool,
//! does not apply it; it refuses one that would change how the archive is framed.
//!
//! It refuses: wrong checksums, negative or overflowing numbers, names over 4096 bytes or with a zero byte, pax
//! records that do not end where their length says, repeated pax keys, pax and GNU long names on one entry, too many
//! headers before an entry, sparse maps that overlap or exceed the file, and keys of unknown sparse versions.
//!
//! The writer writes ustar headers, with a pax header before those that are too narrow, as Docker does.

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

/// The size of a tar block in bytes.
pub const BLOCK: usize = 512;

/// The longest name of an entry or target of a link in bytes (`PATH_MAX`).
pub const LONGEST_NAME: usize = 4096;

/// Why an archive was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The archive cannot be read: the decompressor or the file below it failed.
    #[error("cannot read the archive")]
    Read(#[from] std::io::Error),
    /// The archive ends within an entry.
    #[error("the archive ends in the middle of {0}")]
    Cut(&'static str),
    /// The file for an entry's content cannot be written.
    #[error("cannot write what the archive holds")]
    Write(#[source] std::io::Error),
    /// A block is not a header.
    #[error("the block at {offset} is no tar header: {reason}")]
    Header {
        /// The offset in the uncompressed archive.
        offset: u64,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An extended header is invalid.
    #[error("the extended header at {offset} {reason}")]
    Extended {
        /// The offset in the uncompressed archive.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// An entry has a type that layers do not have.
    #[error("the entry {name:?} has the unknown type {flag:?}")]
    Type {
        /// The entry's name.
        name: String,
        /// The type flag.
        flag: char,
    },
}

impl From<Error> for std::io::Error {
    /// For callers that read an archive through [`std::io::Read`]: the inner error is this one, which the caller can
    /// downcast to.
    fn from(error: Error) -> Self {
        match error {
            Error::Read(source) | Error::Write(source) => source,
            Error::Cut(_) => Self::new(std::io::ErrorKind::UnexpectedEof, error),
            _ => Self::new(std::io::ErrorKind::InvalidData, error),
        }
    }
}

/// A result of reading an archive.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests;
