//! Waiting for what follows in time.

use std::time::Duration;

/// How long something may take that needs no more than a peer's attention.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);

/// Tries until it succeeds, or fails for a reason that does not pass.
pub(crate) async fn until<T, E>(
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
    passes: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let started = std::time::Instant::now();
    loop {
        match attempt().await {
            Err(error) if passes(&error) && started.elapsed() < PATIENCE => tokio::time::sleep(PAUSE).await,
            outcome => return outcome,
        }
    }
}
