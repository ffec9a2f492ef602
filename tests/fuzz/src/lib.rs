//! Readers of what comes from outside, as functions of bytes: a [`Target`] each.
//!
//! Whatever the bytes are, a target returns: it does not panic, does not overflow (the builds that run this check that), does
//! not take more memory than it is given. Beyond that each says what holds of what was read.
//!
//! ```text
//! corpus/<target>/*    inputs to begin with: real ones, and what was found and mended
//! tests/corpus.rs      under `cargo test`: all of the corpus, and for a moment what becomes of it by chance
//! src/main.rs, run     the same targets under libFuzzer, led by coverage
//! ```

mod archives;
mod documents;
mod wire;

use std::path::PathBuf;

/// Something that reads.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What it reads.
    pub name: &'static str,
    /// Reads it.
    pub read: fn(&[u8]),
    /// The longest input of use.
    pub longest: usize,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "tar", read: archives::tar, longest: 64 << 10 },
    Target { name: "pax", read: archives::pax, longest: 8 << 10 },
    Target { name: "reference", read: documents::reference, longest: 512 },
    Target { name: "filter", read: documents::filter, longest: 1 << 10 },
    Target { name: "manifest", read: documents::manifest, longest: 8 << 10 },
    Target { name: "log-line", read: documents::log_line, longest: 4 << 10 },
    Target { name: "body", read: documents::body, longest: 8 << 10 },
    Target { name: "dns", read: wire::dns, longest: 1 << 10 },
    Target { name: "ttrpc", read: wire::ttrpc, longest: 4 << 10 },
    Target { name: "netlink", read: wire::netlink, longest: 4 << 10 },
];

impl Target {
    /// A target by its name.
    pub fn find(name: &str) -> Option<&'static Target> {
        TARGETS.iter().find(|target| target.name == name)
    }

    /// Where its corpus is.
    pub fn corpus(&self) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(self.name)
    }
}
