//! Returns free memory to the kernel after work, so that an idle service is as small as a new one.

use std::time::Duration;

use gantry_host::process::own_processor_time;
use gantry_rpc::carry;

/// How often a service checks whether it has worked.
const PERIOD: Duration = Duration::from_secs(10);
/// How much processor time makes a trim worth its millisecond.
const WORK: Duration = Duration::from_millis(20);

/// Trims the heap after each period in which the service has worked; never returns.
pub async fn keep_small() {
    let mut seen = Duration::ZERO;
    loop {
        tokio::time::sleep(PERIOD).await;
        let now = own_processor_time();
        if now.saturating_sub(seen) > WORK {
            // The trim holds the allocator's locks, so it does not run on a thread of the async runtime.
            carry::blocking(gantry_host::memory::trim).await;
            seen = own_processor_time();
        }
    }
}
