//! Limits how many changes a service carries out at a time.
//!
//! Further calls that change something wait for a permit, and fail at their deadline. Three kinds of calls need none:
//! calls that only read, streams, and the calls that services make during a change (collection, records). A call
//! under way may need one of these to end, so they must not wait for it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use gantry_proto::Effect;
use http::Request;
use tokio::sync::Semaphore;

/// The packages of calls that services make during a change.
const INNER: [&str; 2] = ["/gantry.gc.", "/gantry.records."];

/// A server with a limited number of changes at a time.
#[derive(Clone)]
pub(crate) struct Limited<S> {
    inner: S,
    places: Arc<Semaphore>,
}

impl<S> Limited<S> {
    pub(crate) fn new(inner: S, places: Arc<Semaphore>) -> Self {
        Self { inner, places }
    }
}

/// Whether calls of a method need a permit.
fn is_counted(path: &str) -> bool {
    let changes = |method: &gantry_proto::Method| method.effect != Effect::None && !method.streams;
    gantry_proto::method(path).is_some_and(changes) && !INNER.iter().any(|inner| path.starts_with(inner))
}

impl<S, B> tower::Service<Request<B>> for Limited<S>
where
    S: tower::Service<Request<B>> + Clone + Send + 'static,
    S::Response: Send,
    S::Error: Send,
    S::Future: Send + 'static,
    B: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if !is_counted(request.uri().path()) {
            return Box::pin(self.inner.call(request));
        }
        let places = Arc::clone(&self.places);
        match Arc::clone(&places).try_acquire_owned() {
            Ok(place) => {
                let response = self.inner.call(request);
                Box::pin(async move {
                    let _place = place;
                    response.await
                })
            }
            Err(_) => {
                // The clone that was polled for readiness.
                let ready = self.inner.clone();
                let mut inner = std::mem::replace(&mut self.inner, ready);
                Box::pin(async move {
                    let _place = places.acquire_owned().await.expect("places are never closed");
                    inner.call(request).await
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tower::{Service, ServiceExt};

    use super::*;

    #[test]
    fn changes_are_counted_unless_others_wait_for_them() {
        for (path, counted) in [
            ("/gantry.engine.v1.Containers/Remove", true),
            ("/containerd.services.tasks.v1.Tasks/Kill", true),
            ("/containerd.services.tasks.v1.Tasks/Wait", false),
            ("/containerd.services.content.v1.Content/Write", false),
            ("/gantry.gc.v1.Gc/Hold", false),
            ("/gantry.gc.v1.Collector/Touch", false),
            ("/grpc.health.v1.Health/Check", false),
        ] {
            assert_eq!(is_counted(path), counted, "{path}");
        }
    }

    #[tokio::test]
    async fn one_more_than_there_are_places_waits() {
        let (working, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (now, ever) = (Arc::clone(&working), Arc::clone(&most));
        let server = tower::service_fn(move |_: Request<()>| {
            let (now, ever) = (Arc::clone(&now), Arc::clone(&ever));
            async move {
                ever.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(5)).await;
                now.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, Infallible>(())
            }
        });
        let mut limited = Limited::new(server, Arc::new(Semaphore::new(2)));
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let request = Request::builder().uri("/gantry.engine.v1.Containers/Remove").body(());
            let ready = limited.ready().await.expect("always ready");
            calls.spawn(ready.call(request.expect("a request")));
        }
        while let Some(done) = calls.join_next().await {
            done.expect("no panic").expect("never fails");
        }
        assert_eq!(most.load(Ordering::SeqCst), 2);
        assert_eq!(working.load(Ordering::SeqCst), 0);
    }
}
