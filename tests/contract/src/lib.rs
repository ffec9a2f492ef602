//! What each promise of `gantry-api` means, as suites for all who keep it.
//!
//! A suite is a module named for its promise: functions, each a sentence of the promise, generic over its traits. A macro
//! of the same name makes tests of them all, each on a world of its own: it is given an async function whose answer is
//! what keeps the promise, and what has to live as long. It is run by the service's `tests/contract.rs` on its store and
//! on that store through its socket, and by `gantry-fakes` on the fake, so that what a test of a caller sees of the fake is
//! what it would see of the service.
//!
//! A suite asks for nothing that the traits do not promise: no texts of errors, only their codes; no files; and it waits
//! for what only follows in time (a writer that was dropped on one side of a socket frees its ref on the other).

pub mod content;
pub mod diff;
pub mod events;
pub mod gc;
pub mod leases;
pub mod network;
pub mod snapshots;
pub mod unpack;
pub mod volumes;
mod wait;

/// Makes a test of each function of a suite.
#[doc(hidden)]
#[macro_export]
macro_rules! suite {
    ($suite:ident, $world:expr, [$($case:ident),* $(,)?]) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            let (subject, _world) = $world().await;
            $crate::$suite::$case(&subject).await;
        })*
    };
}
