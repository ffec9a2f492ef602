//! The connector of a channel to its peer's socket.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::rt::TokioIo;
use tonic::codegen::http::Uri;
use tower::Service;

use super::budget::Budget;
use crate::socket;
use crate::stream::Stream;

/// Connects to a unix socket. Waits, within a [`Budget`], for a service that is being restarted.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    path: Arc<PathBuf>,
    budget: Arc<Budget>,
}

impl Connector {
    pub(super) fn new(path: PathBuf, budget: Budget) -> Self {
        Self { path: Arc::new(path), budget: Arc::new(budget) }
    }

    async fn connect(self) -> io::Result<TokioIo<Stream>> {
        let mut attempts = 1;
        let error = loop {
            let error = match socket::connect(&self.path).await.and_then(Stream::new) {
                Ok(stream) => {
                    self.budget.refill();
                    return Ok(TokioIo::new(stream));
                }
                Err(error) => error,
            };
            let Some(pause) = self.budget.spend(attempts) else { break error };
            tokio::time::sleep(pause).await;
            attempts += 1;
        };
        Err(io::Error::new(error.kind(), format!("{}: {error}", self.path.display())))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<Stream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        Box::pin(self.clone().connect())
    }
}
