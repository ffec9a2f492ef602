//! The control service over its sockets, with a fake store behind the front socket.

mod bus;
mod front;
mod records;
mod world;
