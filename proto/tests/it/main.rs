//! The contracts as a whole: every rpc of ours says what it promises, nothing released is taken back, and the pages
//! under `docs/api` are what the files say.

mod descriptors;
mod pages;
mod released;

use std::path::PathBuf;

/// A file of the repository.
fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Whether files of the repository are to be written anew instead of being compared (`make contracts`).
fn writes() -> bool {
    std::env::var_os("GANTRY_WRITE").is_some()
}
