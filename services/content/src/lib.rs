//! The content service: blobs by digest.
//!
//! Its callers are containerd's clients (through the front socket) and Gantry's images, snapshots and engine, over gRPC
//! (`run/content.sock`: containerd's Content, `gantry.gc.v1` Collector and Fsck) and, for bytes, over the data socket
//! (`run/content-data.sock`), where files change hands as descriptors.
//!
//! What it promises:
//!
//! - A blob's bytes are those that its digest names: they were hashed after the last writer had lost its access
//!   ([`seal`]), and are never modified.
//! - A commit that was answered is durable, with its labels; a delete that was answered stays deleted.
//! - Bytes are stored once, records are per containerd namespace: what a namespace has no record of is not there for it.
//!   A writer that names the digest of bytes which another namespace has need not write them again.
//! - An ingest has one writer at a time, and outlives its writer: the next one goes on where it ended, also after
//!   `kill -9` of any process. Twenty-four hours without a writer end it, unless a lease keeps it.
//!
//! ```text
//! state/content/
//!   lock                       held by the process
//!   db/                        records: blobs, holders, ingests (see `record`)
//!   blobs/<algorithm>/<hex>    0444, never modified; there as long as one namespace has a record
//!   ingest/<id>/data           0600, bytes on their way; which ref they are for is in the database
//!   ingest/<id>/proved         a private copy of them, when their writer would not let go (see `seal`)
//!   fetch/<id>                 bytes that come back from another store
//! ```
//!
//! The bytes of blobs may be kept by the store of another program (see [`kept`]). What is in `blobs` of them is then a
//! cache with a limit.
//!
//! The order of a commit is: bytes synced → linked among the blobs → directory synced → record → event; of a delete:
//! record → event → bytes. [`recover`] finishes at start what a crash left between two of these steps.

mod app;
mod data;
mod error;
mod ingest;
mod kept;
mod layout;
mod metrics;
mod record;
mod recover;
mod seal;
mod server;
mod settings;
mod stamp;
mod store;

pub use app::{Service, main};
pub use error::Error;
pub use settings::Settings;
pub use store::Store;

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;
