//! A response on its way through. When the service behind it dies in the middle,
//! the client gets `UNAVAILABLE` in the trailers instead of a broken stream.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tonic::Status;

/// A body that goes through, or none.
#[derive(Debug)]
pub struct Relay(Option<(&'static str, Incoming)>);

impl Relay {
    /// The body of a response from `peer`.
    pub fn through(peer: &'static str, body: Incoming) -> Relay {
        Relay(Some((peer, body)))
    }

    /// No body.
    pub fn empty() -> Relay {
        Relay(None)
    }
}

impl Body for Relay {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some((peer, body)) = &mut self.0 else { return Poll::Ready(None) };
        match Pin::new(body).poll_frame(cx) {
            Poll::Ready(Some(Err(error))) => {
                let status = Status::unavailable(format!("service {peer} went away in the middle: {error}"));
                self.0 = None;
                let mut trailers = HeaderMap::new();
                super::write_status(&status, &mut trailers);
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
            other => other,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|(_, body)| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), |(_, body)| body.size_hint())
    }
}
