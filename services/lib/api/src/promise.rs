//! What all promises have in common.

use gantry_rpc::Coded;

/// Something that keeps a promise, or a part of one: a store, a client of one, a fake.
pub trait Promise: Send + Sync {
    /// What its calls fail with. The code tells what a caller may do about it, and is part of the promise; the text is
    /// for people.
    type Error: Coded + Send + Sync + 'static;
}
