//! The body of a request, which the server reads to its end even when the handler does not.
//!
//! Many clients send the whole body before they read the response. If the server closes the connection in the middle,
//! they report a broken pipe and not the error in the response. So the server reads what a handler leaves of a body
//! and drops it, within limits of time and size.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::EXPECT;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::Sleep;

use crate::connection::Busy;
use crate::tasks::Tasks;

/// How long reading the rest of a body may take in all.
const LINGER: Duration = Duration::from_secs(15);
/// How long the rest of a body may pause.
const PAUSE: Duration = Duration::from_secs(2);
/// How many bytes of the rest are read.
const LIMIT: usize = 128 << 20;

/// The body of a request.
pub struct Body {
    /// Bytes that were read and put back.
    front: Bytes,
    body: Option<Incoming>,
    expect: Expect,
    tasks: Tasks,
    /// How long it may pause while the handler waits for it.
    pause: Option<Duration>,
    waited: Option<Pin<Box<Sleep>>>,
    /// Keeps the connection from reading the next request before this body has ended.
    busy: Busy,
}

/// Why a body is incomplete.
#[derive(Debug, thiserror::Error)]
pub enum Interrupted {
    /// The connection broke, or the bytes are not HTTP.
    #[error(transparent)]
    Broken(#[from] hyper::Error),
    /// The client has paused for too long.
    #[error("nothing came for {} s", .0.as_secs())]
    Slow(Duration),
}

/// What the client waits for before it sends the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    /// Nothing.
    Nothing,
    /// For `100 Continue`, which the server sends when the body is first read. If it is never read, the client sends
    /// none.
    Continue,
}

impl Body {
    /// The body of a request.
    pub(crate) fn of(
        request: Request<Incoming>,
        tasks: &Tasks,
        pause: Option<Duration>,
        busy: &Busy,
    ) -> Request<Self> {
        let expected = request.headers().get(EXPECT);
        let expect =
            match expected.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
                true => Expect::Continue,
                false => Expect::Nothing,
            };
        request.map(|body| Self {
            front: Bytes::new(),
            body: Some(body),
            expect,
            tasks: tasks.clone(),
            pause,
            waited: None,
            busy: busy.clone(),
        })
    }

    /// Puts back bytes that were read: they are read again before the rest.
    pub fn put_back(&mut self, read: Bytes) {
        self.front = match self.front.is_empty() {
            true => read,
            false => [read, std::mem::take(&mut self.front)].concat().into(),
        };
    }

    fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<Interrupted> {
        let Some(pause) = self.pause else { return Poll::Pending };
        let waited = self.waited.get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
        waited.as_mut().poll(cx).map(|()| Interrupted::Slow(pause))
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").field("body", &self.body).finish_non_exhaustive()
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Interrupted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Interrupted>>> {
        if !self.front.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.front)))));
        }
        self.expect = Expect::Nothing;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        match Pin::new(body).poll_frame(cx) {
            Poll::Ready(frame) => {
                self.waited = None;
                Poll::Ready(frame.map(|frame| frame.map_err(Interrupted::Broken)))
            }
            Poll::Pending => self.poll_pause(cx).map(|slow| Some(Err(slow))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.front.is_empty() && self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint);
        let front = self.front.len() as u64;
        // Set in this order, so that the lower bound never exceeds the upper one.
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + front);
        }
        hint.set_lower(hint.lower() + front);
        hint
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        use http_body::Body as _;
        let Some(mut body) = self.body.take().filter(|body| !body.is_end_stream()) else { return };
        if self.expect == Expect::Continue {
            return;
        }
        let busy = self.busy.clone();
        let rest = async move {
            let mut taken = 0;
            while let Ok(Some(Ok(frame))) = tokio::time::timeout(PAUSE, body.frame()).await
                && taken < LIMIT
            {
                taken += frame.data_ref().map_or(0, Bytes::len);
            }
            drop(busy);
        };
        self.tasks.spawn(async move {
            // The connection of a client that still sends is closed.
            let _ = tokio::time::timeout(LINGER, rest).await;
        });
    }
}
