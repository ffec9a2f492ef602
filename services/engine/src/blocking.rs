//! Runs blocking work, such as on files and the database.

use gantry_rpc::carry;

use crate::error::{Error, Result};

/// Runs blocking work on a thread where it does not block other tasks.
///
/// # Errors
///
/// The work's own; `Broken` when the service ends first.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    carry::blocking(work).await.unwrap_or_else(|| Err(Error::Broken("the service is ending".to_owned())))
}
