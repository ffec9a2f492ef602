//! Work that a service carries to its end.
//!
//! A change is not to be half done because its caller has gone: it is made in a task of its own, which goes on when the
//! request's own is dropped. A service that ends waits a moment for such work, and for what blocks; which service that is,
//! the work is told by the request, or the work, that started it.

use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

tokio::task_local! {
    static TRACKER: TaskTracker;
}

/// Does a service's work, of which further work is known to its tracker.
pub async fn within<T>(tracker: TaskTracker, work: impl Future<Output = T>) -> T {
    TRACKER.scope(tracker, work).await
}

/// Starts work that goes on if whoever started it is dropped. It is part of the current span.
pub fn start<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    let work = work.in_current_span();
    match TRACKER.try_with(TaskTracker::clone) {
        Ok(tracker) => tracker.spawn(within(tracker.clone(), work)),
        // A test's.
        Err(_) => tokio::spawn(work),
    }
}

/// A part of the current work, for a set of tasks that ends with it: further work that the part starts is known to the same
/// service.
pub fn part<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    let tracker = TRACKER.try_with(TaskTracker::clone).ok();
    let work = work.in_current_span();
    async move {
        match tracker {
            Some(tracker) => within(tracker, work).await,
            // A test's.
            None => work.await,
        }
    }
}

/// Carries work to its end, and returns what came of it; none when the service is ending. A panic goes on here.
pub async fn to_its_end<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    outcome(start(work)).await
}

/// Does work that blocks where that holds up nobody, and returns what came of it; none when the service is ending. A panic
/// goes on here.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    outcome(match TRACKER.try_with(TaskTracker::clone) {
        Ok(tracker) => tracker.spawn_blocking(work),
        Err(_) => tokio::task::spawn_blocking(work),
    })
    .await
}

async fn outcome<T>(work: JoinHandle<T>) -> Option<T> {
    match work.await {
        Ok(done) => Some(done),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_a_request_started_is_waited_for_when_it_has_gone() {
        let tracker = TaskTracker::new();
        let (go, gone) = oneshot::channel::<()>();
        let request = within(
            tracker.clone(),
            to_its_end(async {
                gone.await.expect("told");
                // Further work, and what blocks, belong to the same service.
                to_its_end(async { blocking(|| std::thread::sleep(Duration::from_millis(10))).await }).await
            }),
        );
        tokio::time::timeout(Duration::from_millis(10), request).await.expect_err("it waits");
        tracker.close();
        assert_eq!(tracker.len(), 1, "carried on");
        go.send(()).expect("it lives");
        tokio::time::timeout(Duration::from_secs(10), tracker.wait()).await.expect("it ends");
    }

    #[tokio::test]
    async fn what_a_part_of_a_request_started_is_waited_for_too() {
        let tracker = TaskTracker::new();
        let (go, gone) = oneshot::channel::<()>();
        within(tracker.clone(), async {
            let mut parts = tokio::task::JoinSet::new();
            parts.spawn(part(async { drop(start(async { gone.await.expect("told") })) }));
            parts.join_all().await;
        })
        .await;
        tracker.close();
        assert_eq!(tracker.len(), 1, "carried on");
        go.send(()).expect("it lives");
        tokio::time::timeout(Duration::from_secs(10), tracker.wait()).await.expect("it ends");
    }

    #[tokio::test]
    async fn the_outcome_comes_back_and_so_does_a_panic() {
        assert_eq!(to_its_end(async { 7 }).await, Some(7));
        assert_eq!(blocking(|| 7).await, Some(7));
        let failed = tokio::spawn(async { to_its_end(async { panic!("odd") }).await });
        assert!(failed.await.expect_err("it went on").is_panic());
    }
}
