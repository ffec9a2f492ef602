//! The service on its real socket in a temporary root, with a content service that behaves as the contract says.

mod diff;
mod harness;
mod remote;
mod snapshots;
mod unpack;
