//! The images service: names, pulls, pushes, import and export.

pub mod document;
pub mod error;
pub mod remote;
