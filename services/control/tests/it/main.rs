//! The control service over its sockets, with a fake store behind the front socket.

#![allow(clippy::disallowed_methods, reason = "the work of a test ends with it")]

mod bus;
mod front;
mod records;
mod world;
