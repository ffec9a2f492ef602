//! A response that is being received.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, Frame};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::header::CONTENT_TYPE;
use tonic::codegen::http::{HeaderMap, Response};

use super::request::Wanted;
use super::timer::Timer;
use super::{Told, away, is, unheard};

/// The body of a response.
#[derive(Debug)]
pub struct Answer {
    peer: &'static str,
    body: Body,
    /// Limits the whole response, for a call with a deadline.
    timer: Option<Timer>,
    /// The end of the body ends the response: gRPC has sent the trailers (or their content in the head). A body
    /// without trailers was truncated, which HTTP/2 does not always report as an error.
    whole: bool,
    _wanted: Wanted,
}

impl Answer {
    pub(super) fn of(
        peer: &'static str,
        response: Response<Body>,
        timer: Option<Timer>,
        wanted: Wanted,
    ) -> Response<Self> {
        let whole = !is_grpc(response.headers()) || response.headers().contains_key("grpc-status");
        response.map(|body| Self { peer, body, timer, whole, _wanted: wanted })
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let next = ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(match next {
            Some(Ok(frame)) => {
                self.whole |= frame.is_trailers();
                Some(Ok(frame))
            }
            Some(Err(status)) => {
                self.whole = true;
                Some(Err(match &self.timer {
                    Some(timer) if is::<tonic::TimeoutExpired>(&status) => timer.late(),
                    _ => unheard(self.peer, status),
                }))
            }
            None if self.whole => None,
            None => {
                self.whole = true;
                Some(Err(away(self.peer, Told("its answer broke off".to_owned()))))
            }
        })
    }
}

fn is_grpc(head: &HeaderMap) -> bool {
    head.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Poll::Ready(next) = self.poll_next(cx) {
            return Poll::Ready(next);
        }
        match &mut self.timer {
            Some(timer) => timer.poll(cx).map(|late| Some(Err(late))),
            None => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.whole && self.body.is_end_stream()
    }
}
