//! The file in which a service that needs an operator's decision says so; its supervisor then does not wait for it.

use std::error::Error;
use std::path::Path;

use gantry_types::Remedy;

/// Writes why the service ended, if an operator has to act.
pub(crate) fn note(path: &Path, error: &(dyn Error + 'static)) {
    if Remedy::of(error).is_none() {
        return;
    }
    // The log has the reason too.
    if let Err(failure) = std::fs::write(path, gantry_rpc::chain(error)) {
        tracing::warn!(path = %path.display(), error = %failure, "the refusal is not noted");
    }
}

/// Removes the file.
pub(crate) fn clear(path: &Path) {
    let _ = std::fs::remove_file(path);
}
