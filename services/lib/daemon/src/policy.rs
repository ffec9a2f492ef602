//! Who may call what.
//!
//! The policy [`Socket`] allows every call to every process that can connect to a service's socket. Another
//! [`Policy`] may decide by caller and method. A refused call fails with `PERMISSION_DENIED`, and is in the audit
//! record.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use gantry_rpc::Caller;
use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;

/// Decides who may call what.
pub trait Policy: fmt::Debug + Send + Sync + 'static {
    /// Whether a caller may call a method (`/package.Service/Method`). The caller is `None` where the system does not
    /// know the process at the other end.
    fn permits(&self, caller: Option<&Caller>, method: &str) -> bool;
}

/// Allows every call to every process that can connect; the socket's mode is 0660.
#[derive(Debug, Clone, Copy)]
pub struct Socket;

impl Policy for Socket {
    fn permits(&self, _: Option<&Caller>, _: &str) -> bool {
        true
    }
}

/// A server that carries out only calls that the policy permits.
#[derive(Clone)]
pub(crate) struct Authorised<S> {
    inner: S,
    policy: Arc<dyn Policy>,
}

impl<S> Authorised<S> {
    pub(crate) fn new(inner: S, policy: Arc<dyn Policy>) -> Self {
        Self { inner, policy }
    }
}

impl<S, B> tower::Service<Request<B>> for Authorised<S>
where
    S: tower::Service<Request<B>, Response = Response<Body>>,
    S::Error: Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let caller = request.extensions().get::<Caller>();
        let path = request.uri().path();
        if self.policy.permits(caller, path) {
            return Box::pin(self.inner.call(request));
        }
        let who = caller.map_or_else(|| "a stranger".to_owned(), ToString::to_string);
        let refusal =
            Status::permission_denied(format!("{who} may not call {}", path.trim_start_matches('/')));
        Box::pin(std::future::ready(Ok(refusal.into_http())))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tonic::Code;
    use tower::ServiceExt;

    use super::*;

    #[derive(Debug)]
    struct NotAlice;

    impl Policy for NotAlice {
        fn permits(&self, caller: Option<&Caller>, method: &str) -> bool {
            caller != Some(&alice()) || method != "/a.B/C"
        }
    }

    fn alice() -> Caller {
        Caller::Certificate { subject: "CN=alice".to_owned() }
    }

    async fn code(policy: Arc<dyn Policy>, path: &str) -> Option<Code> {
        let server =
            tower::service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(Body::empty())));
        let mut request = Request::builder().uri(path).body(()).expect("a request");
        request.extensions_mut().insert(alice());
        let response = Authorised::new(server, policy).oneshot(request).await.expect("never fails");
        crate::outcome::code(response.headers())
    }

    #[tokio::test]
    async fn what_a_policy_does_not_permit_is_refused() {
        assert_eq!(code(Arc::new(NotAlice), "/a.B/C").await, Some(Code::PermissionDenied));
        assert_eq!(code(Arc::new(NotAlice), "/a.B/D").await, None, "the server's own answer");
        assert_eq!(code(Arc::new(Socket), "/a.B/C").await, None);
    }
}
