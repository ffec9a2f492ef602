//! One layer: its bytes as they arrive, its archive extracted, its place among the layers below it.
//!
//! ```text
//! blob ─ as it arrives ─> stream (thread: decompress) ─ big buffers ─> extract (thread: hash, parse, write)
//!                                                                            │ directories it had to invent
//!                                                                            v
//!                                                                          inherit (looks them up in the layers below)
//! ```
//!
//! A layer of overlay is extracted into a directory of its own, without those below it. What it cannot know there is
//! told afterwards: the attributes of parents that the archive does not have, by [`inherit`]; a link into a layer below,
//! or a path through a symlink of one, by extracting again onto all of them ([`Mode::Merged`]).

pub mod blob;
mod directories;
pub mod extract;
pub mod inherit;
mod name;
pub mod slots;
pub mod stream;
mod whiteout;

pub use extract::{Cancel, Extracted, Mode, extract};
pub use whiteout::OPAQUE;
