//! A request's body on its way.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::Reason;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::oneshot;

use crate::BoxError;

/// A body that is broken off, and its call cancelled, when the call's answer is dropped; HTTP goes on with it otherwise.
pub(super) struct Bound<B> {
    body: Pin<Box<B>>,
    answer: oneshot::Receiver<()>,
}

/// Kept as long as the answer is wanted.
#[derive(Debug)]
pub(super) struct Wanted(#[expect(dead_code, reason = "it is dropped")] oneshot::Sender<()>);

impl<B> Bound<B> {
    pub(super) fn new(body: B) -> (Self, Wanted) {
        let (wanted, answer) = oneshot::channel();
        (Self { body: Box::pin(body), answer }, Wanted(wanted))
    }
}

impl<B> Body for Bound<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(next) = self.body.as_mut().poll_frame(cx) {
            return Poll::Ready(next.map(|frame| frame.map_err(Into::into)));
        }
        Pin::new(&mut self.answer).poll(cx).map(|_| Some(Err(h2::Error::from(Reason::CANCEL).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
