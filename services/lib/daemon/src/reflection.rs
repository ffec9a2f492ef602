//! gRPC reflection, made at the first request for it: the decoded descriptors take a megabyte in each process.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tower::{Service, ServiceExt};

/// The reflection service. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Reflection(Arc<OnceLock<Result<Routes, String>>>);

impl NamedService for Reflection {
    const NAME: &'static str = "grpc.reflection.v1.ServerReflection";
}

impl Service<Request<Body>> for Reflection {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let routes = self.0.get_or_init(|| make().map_err(|error| error.to_string())).clone();
        Box::pin(async move {
            match routes {
                Ok(routes) => {
                    Ok(routes.oneshot(request).await.unwrap_or_else(|error| unavailable(&error.to_string())))
                }
                Err(error) => Ok(unavailable(&error)),
            }
        })
    }
}

fn make() -> Result<Routes, tonic_reflection::server::Error> {
    let service = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(gantry_proto::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    Ok(Routes::new(service))
}

fn unavailable(error: &str) -> Response<Body> {
    Status::internal(format!("reflection: {error}")).into_http()
}
