//! Changes that outlive their callers.

use gantry_rpc::Coded;
use tonic::Status;

/// Runs a change to its end even if its caller cancels.
///
/// # Errors
///
/// The change's own; `UNAVAILABLE` when the service ends first.
pub async fn to_the_end<T: Send + 'static, E: Coded + Send + 'static>(
    work: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Result<T, Status> {
    match gantry_rpc::carry::to_its_end(work).await {
        Some(outcome) => outcome.map_err(gantry_rpc::status),
        None => Err(Status::unavailable("the service is ending")),
    }
}
