//! Archives as they are found in the world: [`tar`] both ways, and the [`compression`] around it.
//!
//! They come from strangers: what is ambiguous is refused rather than guessed, and nothing takes more memory than it is
//! given, whatever an archive asks for. No name in an archive is used as a path here: what becomes of an entry is up to
//! who reads it.

pub mod compression;
pub mod tar;
