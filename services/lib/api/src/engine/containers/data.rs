//! The interface to containers' logs and files, which go by the engine's data socket. No other process copies the
//! bytes.
//!
//! ```text
//!   log:             client ◀── the log                     an eventfd counts when all of it was sent
//!   stat:            client ◀── facts about a path
//!   take, export:    client ◀── facts about a path, a tar
//!   put:             a tar ──▶ engine                       the client closes its half after the tar
//!                    client ◀── the result
//! ```
//!
//! - Before the first byte it is known whether there is anything to send, or a place to unpack into (`NOT_FOUND`,
//!   `INVALID_ARGUMENT`).
//! - A log is Docker's multiplexed stream, or raw bytes if the container has a terminal. A followed log ends with its
//!   container's run. A driver that keeps no log is `UNIMPLEMENTED`.
//! - Paths are resolved in the container's own file system, whatever symlinks it has. If unpacking is interrupted,
//!   the files so far stay.
//!
//! A server implements [`Logs`] and [`Files`] and is served by [`serve::connection`]. [`Client`](super::Client) calls
//! it through the socket; its methods return the connection itself.

pub mod client;
pub mod serve;

use gantry_rpc::Coded;
use gantry_rpc::ending::Teller;
use tokio::net::UnixStream;

use crate::Promise;
use crate::engine::{LogQuery, PathStat, PutSpec};

/// Opens logs.
pub trait Logs: Promise {
    /// A log that will be sent.
    type Lines: Lines<Error = Self::Error> + 'static;

    /// Opens a log where the query begins. The second value says whether the container has a terminal.
    fn open_log(
        &self,
        query: LogQuery,
    ) -> impl Future<Output = Result<(bool, Self::Lines), Self::Error>> + Send;
}

/// A log that will be sent.
pub trait Lines: Send {
    /// The error of sending.
    type Error: Coded + Send + Sync + 'static;

    /// Sends until the log or the client ends. `teller` reports if the log ended.
    fn send(self, stream: UnixStream, teller: Teller)
    -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Sends files of containers, and unpacks tars into them.
pub trait Files: Promise {
    /// Files that will be sent.
    type Outgoing: Outgoing<Error = Self::Error> + 'static;
    /// A place for files from the client.
    type Incoming: Incoming<Error = Self::Error> + 'static;

    /// Describes a path.
    fn stat_path(
        &self,
        container: &str,
        path: &str,
    ) -> impl Future<Output = Result<PathStat, Self::Error>> + Send;

    /// Describes a path, and returns its content with everything below it as a tar.
    fn take_path(
        &self,
        container: &str,
        path: &str,
    ) -> impl Future<Output = Result<(PathStat, Self::Outgoing), Self::Error>> + Send;

    /// The place into which a tar is unpacked.
    fn put_path(&self, spec: PutSpec) -> impl Future<Output = Result<Self::Incoming, Self::Error>> + Send;

    /// A whole root as a tar.
    fn export(&self, container: &str) -> impl Future<Output = Result<Self::Outgoing, Self::Error>> + Send;
}

/// Files that will be sent.
pub trait Outgoing: Send {
    /// The error of sending.
    type Error: Coded + Send + Sync + 'static;

    /// Sends the files as a tar.
    fn send(self, stream: UnixStream) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// A stream whose files were taken, for the answer, and how that went.
pub type Taken<E> = (UnixStream, Result<(), E>);

/// A place for files from the client.
pub trait Incoming: Send {
    /// The error of unpacking.
    type Error: Coded + Send + Sync + 'static;

    /// Unpacks a tar. Returns the stream for the answer, together with the result. Fails if the client has gone.
    fn receive(
        self,
        stream: UnixStream,
    ) -> impl Future<Output = Result<Taken<Self::Error>, Self::Error>> + Send;
}
