//! A request's body, which is taken to its end whether its handler wants it or not.
//!
//! Many clients send all of a body before they look at the answer. Closed upon in the middle, they tell their user of a
//! broken pipe and not of the error that was their answer. So what a handler leaves of a body is read and thrown away, as
//! long as it keeps coming and comes to an end.

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

/// How long the rest of an unwanted body may take in all.
const LINGER: Duration = Duration::from_secs(15);
/// How long it may pause.
const PAUSE: Duration = Duration::from_secs(2);
/// How much of it is taken, bytes.
const LIMIT: usize = 128 << 20;

/// The body of a request that is being answered.
pub struct Body {
    /// What was read already and put back.
    front: Bytes,
    body: Option<Incoming>,
    expect: Expect,
    tasks: Tasks,
    /// How long it may pause while it is waited for.
    pause: Option<Duration>,
    waited: Option<Pin<Box<Sleep>>>,
    /// The connection is not at the next request's head before this one's body is through.
    busy: Busy,
}

/// Why a body is not whole.
#[derive(Debug, thiserror::Error)]
pub enum Interrupted {
    /// The connection broke, or what came was no HTTP.
    #[error(transparent)]
    Broken(#[from] hyper::Error),
    /// The client has paused for too long.
    #[error("nothing came for {} s", .0.as_secs())]
    Slow(Duration),
}

/// What a client does before it sends its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    /// Nothing.
    Nothing,
    /// It waits for `100 Continue`, which it gets when the body is first asked for. One that is not asked sends none.
    Continue,
}

impl Body {
    /// A request whose body is taken to its end.
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

    /// Puts back what was read of it: it comes again, before the rest.
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
        // In this order: the least is never more than the most.
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
            // A client that goes on is closed upon.
            let _ = tokio::time::timeout(LINGER, rest).await;
        });
    }
}
