//! Changes that outlive their callers.

use gantry_rpc::Coded;
use tonic::Status;
use tracing::Instrument;

/// Carries a change through to its end even if its caller goes away in the middle.
///
/// # Errors
///
/// What the change fails with; `UNAVAILABLE` when the service ends first.
pub async fn to_the_end<T: Send + 'static, E: Coded + Send + 'static>(
    work: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Result<T, Status> {
    match tokio::spawn(work.in_current_span()).await {
        Ok(outcome) => outcome.map_err(gantry_rpc::status),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(Status::unavailable("the service is ending")),
    }
}
