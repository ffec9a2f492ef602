//! Waits for what happens a little later.

use std::time::Duration;

/// How long something may take that needs only a peer's reaction.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);

/// Repeats a call until it succeeds, or fails for a reason that stays.
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
