//! The body of a request that is being sent.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::Reason;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::oneshot;

use crate::BoxError;

/// A body that ends, and its call with it, when the call's response is dropped; otherwise HTTP would go on sending.
pub(super) struct Bound<B> {
    body: Pin<Box<B>>,
    answer: oneshot::Receiver<()>,
}

/// Kept while the response is wanted.
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
