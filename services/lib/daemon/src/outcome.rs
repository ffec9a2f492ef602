//! The end of a call: its code is in the response's headers or trailers, or there is none, when the client has
//! disconnected before.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{HeaderMap, Response};
use http_body::{Body, Frame, SizeHint};
use tonic::{Code, Status};

/// Is told the end of a call.
pub(crate) trait Hear {
    /// The call ended with this code.
    fn ended(self, code: Code);
}

/// A response's body, which reports the call's code at its end; without a code, the client has disconnected.
pub(crate) struct Ending<R, H: Hear> {
    body: R,
    hears: Option<H>,
}

impl<R, H: Hear> Ending<R, H> {
    /// A response whose end `hears` is told of.
    pub(crate) fn of(response: Response<R>, hears: Option<H>) -> Response<Self> {
        let code = code(response.headers());
        response.map(|body| {
            let mut ending = Self { body, hears };
            if let Some(code) = code {
                ending.end(code);
            }
            ending
        })
    }

    fn end(&mut self, code: Code) {
        if let Some(hears) = self.hears.take() {
            hears.ended(code);
        }
    }
}

impl<R, H: Hear> Drop for Ending<R, H> {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

impl<R: Body + Unpin, H: Hear + Unpin> Body for Ending<R, H> {
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<R::Data>, R::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let trailers = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.trailers_ref());
        if let Some(code) = trailers.and_then(code) {
            self.end(code);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The code in headers or trailers.
pub(crate) fn code(headers: &HeaderMap) -> Option<Code> {
    Some(Code::from_bytes(headers.get(Status::GRPC_STATUS)?.as_bytes()))
}
