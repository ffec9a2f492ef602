//! Who a service takes for the caller of a request.
//!
//! It is the process at the other end of the connection, unless that is one of those who stand for others, and names
//! somebody else (`gantry_rpc::caller`). The processes of four users are believed: root's, who can be anybody anyway, the
//! service's own user's, the gateway's and `control`'s. Where all services run as root, under `gantry up`, root is the only
//! one of them; everybody else's header is dropped in any case.

use std::sync::Arc;
use std::task::{Context, Poll};

use gantry_rpc::Caller;
use gantry_rpc::caller::HEADER;
use http::Request;

/// Where users are, as passwd(5) has them. The units' users are local ones (sysusers.d(5)).
const USERS: &str = "/etc/passwd";
/// The users of the services that stand for others.
const NAMES: [&str; 2] = ["gantry-gateway", "gantry-control"];
const ROOT: u32 = 0;

/// The users whose processes may name others as callers. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Trusted(Arc<[u32]>);

impl Trusted {
    /// Those of this machine. To be called before the process is confined.
    pub(crate) fn find() -> Self {
        // Without users of their own, services run as root.
        Self::of(&std::fs::read_to_string(USERS).unwrap_or_default())
    }

    fn of(users: &str) -> Self {
        let known = users.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let uid = fields.nth(1)?.parse().ok()?;
            NAMES.contains(&name).then_some(uid)
        });
        Self([ROOT, rustix::process::getuid().as_raw()].into_iter().chain(known).collect())
    }

    /// Who makes a request that came from `peer`, which names `named`.
    fn believed(&self, peer: Option<Caller>, named: Option<Caller>) -> Option<Caller> {
        match (&peer, named) {
            (Some(Caller::Process { uid, .. }), Some(named)) if self.0.contains(uid) => Some(named),
            _ => peer,
        }
    }
}

/// A server that knows its callers: each request has a [`Caller`] among its extensions, and no header that names one.
#[derive(Clone)]
pub(crate) struct Identified<S> {
    inner: S,
    trusted: Trusted,
}

impl<S> Identified<S> {
    pub(crate) fn new(inner: S, trusted: Trusted) -> Self {
        Self { inner, trusted }
    }
}

impl<S, B> tower::Service<Request<B>> for Identified<S>
where
    S: tower::Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // What the connection knows of itself.
        let peer = request.extensions_mut().remove::<Option<Caller>>().flatten();
        let named = Caller::of(request.headers());
        request.headers_mut().remove(HEADER);
        if let Some(caller) = self.trusted.believed(peer, named) {
            request.extensions_mut().insert(caller);
        }
        self.inner.call(request)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tower::ServiceExt;

    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\ngantry-gateway:x:990:980::/:/x\nbad\n\
                          gantry-images:x:991:980::/:/x\ngantry-control:x:992:980::/:/x\n";

    fn process(uid: u32) -> Caller {
        Caller::Process { uid, gid: 980, pid: 7 }
    }

    /// Whom a server takes for the caller of a request from `peer`.
    async fn caller(peer: Option<Caller>, named: Option<&Caller>) -> Option<Caller> {
        let server = tower::service_fn(async |request: Request<()>| {
            assert!(!request.headers().contains_key(HEADER), "it goes no further");
            Ok::<_, Infallible>(request.extensions().get::<Caller>().cloned())
        });
        let mut request = Request::new(());
        gantry_rpc::caller::name(request.headers_mut(), named);
        request.extensions_mut().insert(peer);
        Identified::new(server, Trusted::of(PASSWD)).oneshot(request).await.expect("never fails")
    }

    #[tokio::test]
    async fn the_caller_is_the_peer_unless_it_stands_for_others() {
        let alice = Caller::Certificate { subject: "CN=alice".to_owned() };
        for uid in [0, 990, 992, rustix::process::getuid().as_raw()] {
            assert_eq!(caller(Some(process(uid)), Some(&alice)).await, Some(alice.clone()), "{uid}");
            assert_eq!(caller(Some(process(uid)), None).await, Some(process(uid)), "{uid}");
        }
        for uid in [991, 1000] {
            assert_eq!(caller(Some(process(uid)), Some(&alice)).await, Some(process(uid)), "{uid}");
        }
        assert_eq!(caller(None, Some(&alice)).await, None);
    }
}
