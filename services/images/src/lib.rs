//! The images service: names, pulls, pushes, import and export.
//!
//! It owns the image records and nothing else: bytes are content's, unpacked layers are snapshots'. It is the one
//! process that speaks with registries, and has no privilege beside the network.
//!
//! ```text
//! <state>/images/
//!   db/              records: (namespace, name) → target, labels           store
//!   certs.d/<host>/  CAs and client certificates, beside /etc/docker/certs.d
//! <run>/images.sock        containerd Images, Transfer and Streaming, gantry.images.v1, gantry.gc.v1
//! <run>/images-data.sock   archives in and out                             archive
//! ```
//!
//! Who reads next: [`pull`] for the way of a layer, [`names`] for what makes a record safe against the garbage
//! collection, `gantry-distribution` for registries, [`archive`] for `load`, `save` and `import`, [`transfer`] for what containerd's
//! clients ask for.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "the work of a test ends with it"))]

mod app;
mod archive;
mod catalog;
mod collect;
mod commit;
mod content;
mod document;
mod error;
mod filters;
mod glob;
mod graph;
pub mod input;
mod lease;
mod moments;
mod names;
mod progress;
mod promise;
mod pull;
mod push;
mod record;
mod recover;
mod remove;
mod server;
mod settings;
mod snapshots;
mod store;
mod streams;
mod transfer;

pub use app::{Service, main};
pub use error::Error;
pub use promise::Images;
