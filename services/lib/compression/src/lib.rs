//! Compressed files as they are found in the world.
//!
//! What a file is compressed with is told by its first bytes ([`Form`]). gzip, bzip2 and xz files are one member after the
//! other ([`Members`]). What a decoder may take of memory is bounded, whatever the file asks for.

mod form;
mod members;

pub use form::Form;
pub use members::{Members, gzip};
