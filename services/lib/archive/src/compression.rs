//! Compression: detected, undone and applied.
//!
//! The first bytes of a stream determine the compression ([`Form`]); names and media types are ignored, because they
//! may be wrong. A file of gzip, bzip2 or xz may have several members. A decoder's memory is bounded, whatever the
//! file asks for. [`Encoder`] compresses in the forms for which OCI has a media type.

mod encoder;
mod form;
mod members;

pub use encoder::Encoder;
pub use form::Form;
