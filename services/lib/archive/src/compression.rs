//! What a stream is compressed with.
//!
//! It is told by the first bytes ([`Form`]), not by a name or a media type, which lie. gzip, bzip2 and xz files are one
//! member after the other. What a decoder may take of memory is bounded, whatever the file asks for. What is written is
//! compressed as OCI has a word for ([`Encoder`]).

mod encoder;
mod form;
mod members;

pub use encoder::Encoder;
pub use form::Form;
