//! The contract suites: tests for every implementation of a promise of `gantry-api`.
//!
//! A suite is a module named for its promise. Each of its functions tests one sentence of the promise, generic over
//! its traits. A macro of the same name makes a test of each function, on a world of its own. The macro takes an
//! async function that returns the implementation, and what has to live as long. The service's `tests/contract.rs`
//! runs the suite on the store and on the store through its socket, `gantry-fakes` on the fake. So what a caller's
//! test sees of the fake is what it would see of the service.
//!
//! A suite requires nothing that the traits do not promise: it compares codes of errors and not their texts, and
//! reads no files. It waits for what happens a little later (a writer that is dropped on one side of a socket frees
//! its ref on the other side).

pub mod containers;
pub mod content;
pub mod diff;
pub mod events;
pub mod execs;
pub mod files;
pub mod gc;
pub mod images;
pub mod leases;
pub mod network;
pub mod records;
pub mod snapshots;
pub mod system;
pub mod tasks;
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
