//! A request on its way.

use bytes::Bytes;
use futures::FutureExt;
use h2::{Reason, SendStream};
use http_body::Body;
use http_body_util::BodyExt;
use tonic::codegen::http::uri::{Authority, Scheme};
use tonic::codegen::http::{Request, Uri, Version};

/// The request as HTTP/2 wants it: with a scheme and an authority.
pub(super) fn addressed(mut request: Request<()>) -> Request<()> {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(Authority::from_static("localhost"));
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    *request.version_mut() = Version::HTTP_2;
    request
}

/// Sends a body, whose last piece says that it is the last if that is known by then. Ends early when the peer wants no
/// more; what is wrong then is told by the response.
pub(super) async fn send_body<B>(mut body: B, mut stream: SendStream<Bytes>)
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut next = body.frame().await.map(Result::ok);
    while let Some(frame) = next {
        let Some(frame) = frame else { return stream.send_reset(Reason::CANCEL) };
        let Ok(piece) = frame.into_data() else { break };
        let following = body.frame().now_or_never().map(|next| next.map(Result::ok));
        let last = matches!(following, Some(None));
        if stream.send_data(piece, last).is_err() || last {
            return;
        }
        next = match following {
            Some(next) => next,
            None => body.frame().await.map(Result::ok),
        };
        if next.is_none() {
            break;
        }
        // No more than one piece waits for the peer to read.
        stream.reserve_capacity(1);
        while stream.capacity() == 0 {
            let Some(Ok(_)) = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await else { return };
        }
    }
    // It fails when the call has already ended.
    let _ = stream.send_data(Bytes::new(), true);
}

/// The rest of a request's body on its way; the call is cancelled when it is dropped.
#[derive(Debug)]
pub(super) struct Sending(pub(super) tokio::task::JoinHandle<()>);

impl Drop for Sending {
    fn drop(&mut self) {
        self.0.abort();
    }
}
