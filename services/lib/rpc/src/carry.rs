//! Work that a service runs to its end.
//!
//! A change must not stop halfway because its caller cancels, so it runs in a task of its own, which continues when
//! the request's task is dropped. A service that ends waits a moment for such work and for blocking work. The work
//! belongs to the service of the request, or of the work, that started it.

#![allow(clippy::disallowed_methods, reason = "the house's word for them is made of them")]

use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

tokio::task_local! {
    static TRACKER: TaskTracker;
}

/// Runs the work of a service; its tracker tracks the work that this one starts.
pub async fn within<T>(tracker: TaskTracker, work: impl Future<Output = T>) -> T {
    TRACKER.scope(tracker, work).await
}

/// Starts work that continues when its starter is dropped. It is part of the current span.
pub fn start<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    let work = work.in_current_span();
    match TRACKER.try_with(TaskTracker::clone) {
        Ok(tracker) => tracker.spawn(within(tracker.clone(), work)),
        // Only in tests.
        Err(_) => tokio::spawn(work),
    }
}

/// A part of the current work, for a set of tasks that ends with it: the same service tracks the work that the part
/// starts.
pub fn part<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    let tracker = TRACKER.try_with(TaskTracker::clone).ok();
    let work = work.in_current_span();
    async move {
        match tracker {
            Some(tracker) => within(tracker, work).await,
            // Only in tests.
            None => work.await,
        }
    }
}

/// Starts work that drives a connection or writes a response's stream, as part of the current span. It ends when the
/// other side disconnects, which may take days, so a service that ends does not wait for it.
pub fn beside<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(part(work))
}

/// Runs work to its end and returns its result; `None` when the service is ending. A panic continues here.
pub async fn to_its_end<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    outcome(start(work)).await
}

/// Runs blocking work on a blocking thread and returns its result; `None` when the service is ending. A panic
/// continues here.
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
                // Work and blocking work that this starts belong to the same service.
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
