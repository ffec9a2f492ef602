//! Gives memory back after work: a service that rests is as small as one that never did anything.

use std::time::Duration;

use gantry_host::process::own_processor_time;

/// How often a service looks whether it has worked.
const PERIOD: Duration = Duration::from_secs(10);
/// Work, in processor time, after which trimming may be worth its millisecond.
const WORK: Duration = Duration::from_millis(20);

/// Trims the heap after each period in which the service has worked; for ever.
pub async fn keep_small() {
    let mut seen = Duration::ZERO;
    loop {
        tokio::time::sleep(PERIOD).await;
        let now = own_processor_time();
        if now.saturating_sub(seen) > WORK {
            // It holds the allocator's locks: not on a thread that others' tasks wait for.
            let _ = tokio::task::spawn_blocking(gantry_host::memory::trim).await;
            seen = own_processor_time();
        }
    }
}
