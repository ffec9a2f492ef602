//! An answer on its way.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http_body::{Body, Frame};
use tonic::Status;

use super::pulse::{Held, Pulse};
use super::request::Sending;
use super::timer::Timer;
use super::unheard;

/// The body of a response.
#[derive(Debug)]
pub struct Answer {
    pub(super) peer: &'static str,
    pub(super) stream: RecvStream,
    pub(super) pulse: Arc<Pulse>,
    /// Runs until the end, for an answer that has to be there by then.
    pub(super) timer: Option<Timer>,
    pub(super) _held: Option<Held>,
    pub(super) _rest: Option<Sending>,
}

impl Answer {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let (peer, pulse) = (self.peer, &self.pulse);
        let lost = |error: h2::Error| unheard(peer, pulse, error);
        match ready!(self.stream.poll_data(cx)) {
            Some(Ok(piece)) => {
                // It fails when the stream has ended, and then there is nothing to give back.
                let _ = self.stream.flow_control().release_capacity(piece.len());
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Some(Err(error)) => Poll::Ready(Some(Err(lost(error)))),
            None => Poll::Ready(
                ready!(self.stream.poll_trailers(cx))
                    .map(|trailers| trailers.map(Frame::trailers))
                    .map_err(lost)
                    .transpose(),
            ),
        }
    }
}

impl Body for Answer {
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
        self.stream.is_end_stream()
    }
}
