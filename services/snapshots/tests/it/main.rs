//! The service on its real socket in a temporary root, with a content service that behaves as the contract says.

#![allow(clippy::disallowed_methods, reason = "the work of a test ends with it")]

mod diff;
mod harness;
mod remote;
mod snapshots;
mod unpack;
