//! A ttrpc client that makes one call at a time and ignores the response's content.

use std::io;

use gantry_ttrpc::{Kind, Request, Response};
use prost::Message;
use tokio::net::UnixStream;

/// A connection to a daemon.
pub struct Client {
    stream: UnixStream,
    next: u32,
}

impl Client {
    /// A client over `stream`.
    pub fn new(stream: UnixStream) -> Self {
        Self { stream, next: 1 }
    }

    /// Makes a call. The connection is useless after an error.
    pub async fn call(&mut self, request: &Request) -> io::Result<()> {
        let id = self.next;
        self.next = self.next.wrapping_add(2);
        gantry_ttrpc::write(&mut self.stream, Kind::Request, id, request).await?;
        loop {
            let (answered, bytes) = gantry_ttrpc::read(&mut self.stream, Kind::Response).await?;
            if answered != id {
                continue;
            }
            let bytes = bytes.map_err(io::Error::other)?;
            let response = Response::decode(bytes.as_slice()).map_err(io::Error::other)?;
            return response.into_result().map(drop).map_err(|status| io::Error::other(status.message));
        }
    }
}
