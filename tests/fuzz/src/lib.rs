//! Parsers of outside input, as functions of bytes: a [`Target`] each.
//!
//! For any bytes, a target returns: it does not panic, does not overflow (the builds that run it check that), and
//! does not take more memory than it is given. Each target also checks properties of what it has parsed.
//!
//! ```text
//! corpus/<target>/*    first inputs: real ones, and those that once failed
//! tests/corpus.rs      under `cargo test`: the whole corpus, and random changes of it for a moment
//! src/main.rs, run     the same targets under libFuzzer, guided by coverage
//! ```

mod archives;
mod documents;
mod wire;

use std::path::PathBuf;

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// The function.
    pub read: fn(&[u8]),
    /// The longest useful input in bytes.
    pub longest: usize,
}

/// All targets.
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
    /// The target of a name.
    pub fn find(name: &str) -> Option<&'static Target> {
        TARGETS.iter().find(|target| target.name == name)
    }

    /// The directory of its corpus.
    pub fn corpus(&self) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(self.name)
    }
}
