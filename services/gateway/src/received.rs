//! A request's body, which is taken to its end whether its route wants it or not.
//!
//! Many clients send all of a body before they look at the answer. Closed upon in the middle, they tell their user of a
//! broken pipe and not of the error that was their answer. So what a route leaves of a body is read and thrown away, as long
//! as it keeps coming and comes to an end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::app::App;
use crate::connection::Busy;

/// How long the rest of an unwanted body may take in all.
const LINGER: Duration = Duration::from_secs(15);
/// How long it may pause.
const PAUSE: Duration = Duration::from_secs(2);
/// How much of it is taken, bytes.
const LIMIT: usize = 128 << 20;

/// The body of a request that is being answered.
pub struct Received {
    body: Option<Incoming>,
    wait: Wait,
    app: Arc<App>,
    /// The connection is not at the next request's head before this one's body is through.
    busy: Arc<Busy>,
}

/// What a client does before it sends its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Nothing.
    No,
    /// It waits for `100 Continue`, which it gets when the body is first asked for. One that is not asked sends none.
    ForContinue,
}

impl Received {
    /// The body of a request to `app`.
    pub fn new(body: Incoming, wait: Wait, app: Arc<App>, busy: Arc<Busy>) -> Self {
        Self { body: Some(body), wait, app, busy }
    }
}

impl std::fmt::Debug for Received {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Received").field("body", &self.body).finish_non_exhaustive()
    }
}

impl Body for Received {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.wait = Wait::No;
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        let Some(mut body) = self.body.take().filter(|body| !body.is_end_stream()) else { return };
        if self.wait == Wait::ForContinue {
            return;
        }
        let busy = Arc::clone(&self.busy);
        let rest = async move {
            let mut taken = 0;
            while let Ok(Some(Ok(frame))) = tokio::time::timeout(PAUSE, body.frame()).await
                && taken < LIMIT
            {
                taken += frame.data_ref().map_or(0, Bytes::len);
            }
            drop(busy);
        };
        self.app.spawn(async move {
            // A client that goes on is closed upon.
            let _ = tokio::time::timeout(LINGER, rest).await;
        });
    }
}
