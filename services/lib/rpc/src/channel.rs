//! Channels to peers.

use std::io;
use std::path::PathBuf;
use std::task::{Context, Poll};

use hyper_util::rt::TokioIo;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::transport::{self, Endpoint, Uri};
use tower::Service;

use crate::{socket, trace};

/// A channel to a gRPC server. Its calls carry the trace of the span under which they are made. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Channel(transport::Channel);

impl Channel {
    /// A channel to the gRPC server at the unix socket `path`. It connects when it is first used and again after the
    /// server was away; until then calls fail with `UNAVAILABLE` naming `peer`.
    pub fn unix(peer: &'static str, path: PathBuf) -> Self {
        let channel = Endpoint::from_static("http://localhost")
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(4 << 20)
            .connect_with_connector_lazy(tower::service_fn(move |_: Uri| {
                let path = path.clone();
                async move {
                    socket::connect(&path).await.map(TokioIo::new).map_err(|error| {
                        io::Error::new(
                            error.kind(),
                            format!("service {peer} is away ({}: {error})", path.display()),
                        )
                    })
                }
            }));
        Self(channel)
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = transport::Error;
    type Future = <transport::Channel as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), transport::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        trace::inject(request.headers_mut());
        self.0.call(request)
    }
}
