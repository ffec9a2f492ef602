//! Peers that fail or are slow where a test says so: a layer between a fake and its socket.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::os::unix::net::UnixListener as StdListener;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use gantry_fakes::Serving;
use parking_lot::Mutex;
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Code, Status};

/// How late a call is carried out that is to be late.
const LATE: Duration = Duration::from_millis(100);

/// The faults of a test's peers, by method: `Tasks/Start`. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    failing: BTreeMap<String, Code>,
    late: BTreeSet<String>,
    /// How often each method was carried out.
    done: BTreeMap<String, usize>,
}

impl Faults {
    /// Lets a method fail without any effect.
    pub(crate) fn fail(&self, method: &str) {
        self.0.lock().failing.insert(method.to_owned(), Code::Internal);
    }

    /// Lets a method fail like one of a service that is away.
    pub(crate) fn lose(&self, method: &str) {
        self.0.lock().failing.insert(method.to_owned(), Code::Unavailable);
    }

    /// Lets a method take long. It is carried out even if its caller does not wait for that.
    pub(crate) fn delay(&self, method: &str) {
        self.0.lock().late.insert(method.to_owned());
    }

    /// Lets every method work.
    pub(crate) fn heal(&self) {
        let mut state = self.0.lock();
        state.failing.clear();
        state.late.clear();
    }

    /// Waits until a method was carried out.
    pub(crate) async fn done(&self, method: &str) {
        let done = async {
            while !self.0.lock().done.contains_key(method) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let said = format!("{method} is not called");
        tokio::time::timeout(Duration::from_secs(10), done).await.expect(&said);
    }

    /// Serves a fake with these faults, until the value is dropped.
    pub(crate) fn serve(&self, path: &Path, routes: Routes) -> Serving {
        let listener = StdListener::bind(path).expect("a free path");
        listener.set_nonblocking(true).expect("a socket");
        let faulty = Faulty { routes, faults: self.clone() };
        Serving::run(async move {
            let incoming = UnixListenerStream::new(UnixListener::from_std(listener).expect("a socket"));
            Server::builder().serve_with_incoming(faulty, incoming).await.expect("a fake serves");
        })
    }
}

/// A fake with faults.
#[derive(Clone)]
struct Faulty {
    routes: Routes,
    faults: Faults,
}

impl Service<http::Request<Body>> for Faulty {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let path = request.uri().path();
        let method = path.rsplit('.').next().unwrap_or(path).to_owned();
        let (mut routes, faults) = (self.routes.clone(), self.faults.clone());
        let (failure, late) = {
            let state = faults.0.lock();
            (state.failing.get(&method).copied(), state.late.contains(&method))
        };
        Box::pin(async move {
            if let Some(code) = failure {
                return Ok(Status::new(code, format!("{method} fails")).into_http());
            }
            let carried = tokio::spawn(async move {
                if late {
                    tokio::time::sleep(LATE).await;
                }
                let answer = routes.call(request).await;
                *faults.0.lock().done.entry(method).or_default() += 1;
                answer
            });
            carried.await.expect("a fake does not panic")
        })
    }
}
