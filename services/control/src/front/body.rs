//! A response on its way through. When the service behind it dies in the middle,
//! the client gets `UNAVAILABLE` in the trailers instead of a broken stream.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use gantry_rpc::channel::Answer;
use http::HeaderMap;
use hyper::body::{Body, Frame, SizeHint};

/// A body that goes through, or none.
#[derive(Debug)]
pub struct Relay(Option<Answer>);

impl Relay {
    /// The body of a service's response.
    pub fn through(body: Answer) -> Relay {
        Relay(Some(body))
    }

    /// No body.
    pub fn empty() -> Relay {
        Relay(None)
    }
}

impl Body for Relay {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(body) = &mut self.0 else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        Poll::Ready(frame.map(|frame| {
            Ok(frame.unwrap_or_else(|status| {
                self.0 = None;
                let mut trailers = HeaderMap::new();
                super::write_status(&status, &mut trailers);
                Frame::trailers(trailers)
            }))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
