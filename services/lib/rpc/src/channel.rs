//! Channels to peers.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::transport::{self, Endpoint, Uri};
use tonic::{Code, Status};
use tower::Service;

use crate::{socket, trace};

/// A channel to a gRPC server. Its calls carry the trace of the span under which they are made. A call that got no
/// answer, because nobody listens or because the connection broke, fails with `UNAVAILABLE` and says which peer is away;
/// so does a stream of answers that breaks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Channel {
    peer: &'static str,
    inner: transport::Channel,
}

impl Channel {
    /// A channel to the gRPC server at the unix socket `path`. It connects when it is first used and again after the
    /// server was away; until then calls fail, naming `peer`.
    pub fn unix(peer: &'static str, path: PathBuf) -> Self {
        let inner = Endpoint::from_static("http://localhost")
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(4 << 20)
            .connect_with_connector_lazy(tower::service_fn(move |_: Uri| {
                let path = path.clone();
                async move {
                    socket::connect(&path)
                        .await
                        .map(TokioIo::new)
                        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
                }
            }));
        Self { peer, inner }
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Status>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        let peer = self.peer;
        self.inner.poll_ready(cx).map_err(|error| unheard(peer, Status::from_error(error.into())))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        trace::inject(request.headers_mut());
        let peer = self.peer;
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await.map_err(|error| unheard(peer, Status::from_error(error.into())))?;
            Ok(response.map(|body| Body::new(body.map_err(move |status| unheard(peer, status)))))
        })
    }
}

/// Tells a connection that was not made, or broke, from an answer: an answer has no source, it came over the wire.
fn unheard(peer: &str, status: Status) -> Status {
    let Some(mut cause) = status.source() else { return status };
    if !matches!(status.code(), Code::Unavailable | Code::Cancelled | Code::Internal | Code::Unknown) {
        return status;
    }
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Status::unavailable(format!("service {peer} is away: {cause}"))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// What a call says that the server at `path` does not answer.
    async fn call(path: PathBuf) -> Status {
        let request = Request::post("/a.b/C").body(Body::empty()).expect("a request");
        let response = tower::ServiceExt::oneshot(Channel::unix("x", path), request).await;
        match response {
            Ok(response) => response.into_body().collect().await.expect_err("no end"),
            Err(status) => status,
        }
    }

    #[tokio::test]
    async fn a_peer_that_does_not_answer_is_away() {
        let path = std::env::temp_dir().join(format!("gantry-channel-{}.sock", std::process::id()));
        let status = call(path.clone()).await;
        assert_eq!(status.code(), Code::Unavailable);
        assert!(status.message().starts_with("service x is away: "), "{status}");
        assert!(status.message().contains("No such file"), "{status}");

        // Headers of HTTP/2 and no answer; then an answer's headers and no answer.
        const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
        const OK: &[u8] = &[0, 0, 1, 1, 4, 0, 0, 0, 1, 0x88];
        let listener = socket::bind(&path, 0o600).expect("bound");
        for answer in [SETTINGS.to_vec(), [SETTINGS, OK].concat()] {
            let server = async {
                let (mut stream, _) = listener.accept().await.expect("a caller");
                stream.write_all(&answer).await.expect("sent");
                stream.read_exact(&mut [0; 64]).await.expect("a request");
            };
            let (status, ()) = tokio::join!(call(path.clone()), server);
            assert_eq!(status.code(), Code::Unavailable, "{status}");
            assert!(status.message().starts_with("service x is away: "), "{status}");
        }
        std::fs::remove_file(path).expect("removed");
    }
}
