//! The connection of a channel and its clones.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use h2::client::SendRequest;

use super::pulse::{self, Pulse};
use crate::socket;
use crate::stream::Stream;

/// What a stream may have in flight, in bytes.
const STREAM_WINDOW: u32 = 1 << 20;
/// What all streams of a connection may have in flight: far more than they will, so that streams which nobody reads do
/// not hold up the others.
const CONNECTION_WINDOW: u32 = 1 << 30;
/// The largest piece of a message, in bytes.
const FRAME: u32 = 256 << 10;

/// A connection that is made when it is wanted.
#[derive(Debug)]
pub(super) struct Link {
    path: PathBuf,
    // Held while connecting to a local socket, which either works at once or fails at once.
    open: tokio::sync::Mutex<Option<(SendRequest<Bytes>, Arc<Pulse>)>>,
}

impl Link {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, open: tokio::sync::Mutex::default() }
    }

    /// A sender of the connection, which is made if there is none or it has ended, and its pulse.
    pub(super) async fn sender(&self) -> io::Result<(SendRequest<Bytes>, Arc<Pulse>)> {
        let mut open = self.open.lock().await;
        if let Some((sender, pulse)) = open.take()
            && let Ok(sender) = sender.ready().await
        {
            return Ok(open.insert((sender, pulse)).clone());
        }
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", self.path.display()));
        let stream = socket::connect(&self.path).await.and_then(Stream::new).map_err(named)?;
        let (sender, connection) = h2::client::Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME)
            .enable_push(false)
            .handshake(stream)
            .await
            .map_err(io::Error::other)?;
        let pulse = Arc::<Pulse>::default();
        // Ends with its senders, or with the peer, or when that falls silent: then their calls fail, and say why.
        tokio::spawn(pulse::drive(connection, Arc::clone(&pulse)));
        Ok(open.insert((sender, pulse)).clone())
    }
}
