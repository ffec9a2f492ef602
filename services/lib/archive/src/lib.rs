//! Archives: a reader and a writer of [`tar`], and their [`compression`].
//!
//! Archives are hostile input. The readers refuse what is ambiguous, and take no more memory than they are given,
//! whatever an archive asks for. This crate uses no name in an archive as a path: the caller decides what to do with
//! an entry.

pub mod compression;
pub mod tar;
