//! What all promises have in common.

use gantry_rpc::Coded;

/// An implementation of a promise or of a part of one: a store, a client, a fake.
pub trait Promise: Send + Sync {
    /// The error of its calls. The code is part of the promise: it tells what the caller may do. The text is for
    /// people.
    type Error: Coded + Send + Sync + 'static;
}
