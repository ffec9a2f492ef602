//! One service behind the front socket: a connection, made when it is first
//! needed and again when the service came back.

use std::path::PathBuf;

use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri, Version};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::Mutex;
use tonic::Status;

use super::{CONNECTION_WINDOW, FRAME, STREAM_WINDOW};

/// A service.
#[derive(Debug)]
pub struct Peer {
    name: &'static str,
    socket: PathBuf,
    // Held while connecting to a local socket, which either works at once or fails at once.
    sender: Mutex<Option<SendRequest<Incoming>>>,
}

impl Peer {
    /// The service `name`, listening on `socket`.
    pub fn new(name: &'static str, socket: PathBuf) -> Peer {
        Peer { name, socket, sender: Mutex::default() }
    }

    /// Sends a call and waits for the head of the response.
    pub async fn send(&self, request: Request<Incoming>) -> Result<Response<Incoming>, Status> {
        let mut request = addressed(request);
        // A connection that broke unnoticed gives the request back once.
        for _ in 0..2 {
            let mut sender = self.sender().await?;
            if let Err(error) = sender.ready().await {
                tracing::debug!(peer = self.name, %error, "connection was closed");
                continue;
            }
            match sender.try_send_request(request).await {
                Ok(response) => return Ok(response),
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(self.away(&failed.into_error())),
                },
            }
        }
        Err(self.away(&"it closes connections"))
    }

    async fn sender(&self) -> Result<SendRequest<Incoming>, Status> {
        let mut slot = self.sender.lock().await;
        if let Some(sender) = slot.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        let stream = gantry_rpc::socket::connect(&self.socket).await.map_err(|error| self.away(&error))?;
        let (sender, connection) = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.away(&error))?;
        let name = self.name;
        // Ends with the connection, which ends with its senders or the service.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(peer = name, %error, "connection ended");
            }
        });
        *slot = Some(sender.clone());
        Ok(sender)
    }

    fn away(&self, error: &dyn std::fmt::Display) -> Status {
        Status::unavailable(format!("service {} is away ({}: {error})", self.name, self.socket.display()))
    }
}

/// The request as HTTP/2 wants it: with a scheme and an authority.
fn addressed(mut request: Request<Incoming>) -> Request<Incoming> {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(Authority::from_static("localhost"));
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    *request.version_mut() = Version::HTTP_2;
    request
}
