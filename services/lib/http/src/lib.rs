//! What services share that speak HTTP: listeners, the life of a connection, and who is calling.
//!
//! ```text
//! Listener ──accept──> Socket, Peer     unix, TCP, TLS; made here, or handed over by systemd
//!     Server ──> Connection             HTTP/1.1 with half-closed clients and upgrades; HTTP/2 over TLS
//!         handler(Request<Body>)        one call a request; the peer is among the request's extensions
//!             ├── Body                  streamed, bounded in its pauses, taken to its end
//!             ├── upgrade::take_over    raw bytes after the answer's head
//!             └── send_buffer::bounded  answers that go on for ever, and clients that do not read
//! ```
//!
//! It knows no service: paths, words and statuses are the handler's, which answers every request with a response.
//!
//! # Invariants
//!
//! - A request's [`Peer`] is what the kernel or a verified certificate says, never what the client does.
//! - Whatever a client may do slowly has a bound ([`Limits`]), but what the user of this library leaves unbounded.
//! - A client that goes away ends the work that was done for it: the handler's future is dropped.
//! - At shutdown no connection takes another request; those that are being answered have [`Limits::drain`] to end.

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

/// Why a body ended early; its connection is closed then.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;
