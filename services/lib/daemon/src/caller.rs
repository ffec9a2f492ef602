//! The caller of a request, as a service sees it.
//!
//! The caller is the process at the other end of the connection, unless that process may act for others and names
//! another caller in a header (`gantry_rpc::caller`). Four users may do that: root, who can be anybody anyway, the
//! service's own user, the gateway's and `control`'s. Under `gantry up`, where all services run as root, root is the
//! only one of them. The header of any other process is dropped.

use std::sync::Arc;
use std::task::{Context, Poll};

use gantry_rpc::Caller;
use gantry_rpc::caller::HEADER;
use http::Request;

/// The user database, passwd(5). The users of the units are local ones (sysusers.d(5)).
const USERS: &str = "/etc/passwd";
/// The users of the services that act for others.
const NAMES: [&str; 2] = ["gantry-gateway", "gantry-control"];
const ROOT: u32 = 0;

/// The users whose processes may name another caller. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Trusted(Arc<[u32]>);

impl Trusted {
    /// The users of this host. To be called before the process is confined.
    pub(crate) fn find() -> Self {
        // Without these users, the services run as root.
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

    /// The caller of a request from `peer` that names `named`.
    fn believed(&self, peer: Option<Caller>, named: Option<Caller>) -> Option<Caller> {
        match (&peer, named) {
            (Some(Caller::Process { uid, .. }), Some(named)) if self.0.contains(uid) => Some(named),
            _ => peer,
        }
    }
}

/// A server that adds the [`Caller`] to each request's extensions, and removes the header that names one.
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
        // The caller that the connection's credentials name.
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

    /// The caller that a server finds in a request from `peer`.
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
