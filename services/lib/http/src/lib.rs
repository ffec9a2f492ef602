//! The HTTP server of Gantry's services: listeners, connections, and the identity of clients.
//!
//! ```text
//! Listener ──accept──> Socket, Peer     unix, TCP, TLS; opened here, or passed by systemd
//!     Server ──> Connection             HTTP/1.1 with half-closed clients and upgrades; HTTP/2 over TLS
//!         handler(Request<Body>)        one call for each request; the peer is in the request's extensions
//!             ├── Body                  streamed, with limited pauses, read to its end
//!             ├── upgrade::take_over    raw bytes after the response's head
//!             └── send_buffer::bounded  endless responses, and clients that do not read them
//! ```
//!
//! It knows no service: paths, messages and statuses are the handler's, which returns a response for every request.
//!
//! # Invariants
//!
//! - A request's [`Peer`] is what the kernel or a verified certificate says, never what the client says.
//! - Everything that a client may do slowly has a limit ([`Limits`]), unless the caller sets none.
//! - When a client disconnects, the handler's future is dropped.
//! - At shutdown no connection reads another request. Requests under way get [`Limits::drain`].

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "the work of a test ends with it"))]

mod body;
mod connection;
mod limits;
mod listener;
mod peer;
pub mod send_buffer;
mod server;
mod socket;
mod tasks;
mod tls;
pub mod upgrade;

pub use body::{Body, Interrupted};
pub use connection::ImplicitUpgrade;
pub use limits::Limits;
pub use listener::{Listener, handed_over};
pub use peer::Peer;
pub use server::Server;
pub use socket::Socket;
pub use tasks::Tasks;
pub use tls::{Clients, Protocols, Tls, TlsError};

/// Why a body ended early; its connection is then closed.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;
