//! A service that will not start until a person has decided says so in a file: whoever starts it then need not wait.

use std::error::Error;
use std::path::Path;

use gantry_types::Remedy;

/// Writes down why the service ended, if a person has to do something about it.
pub(crate) fn note(path: &Path, error: &(dyn Error + 'static)) {
    if Remedy::of(error).is_none() {
        return;
    }
    // It is in the log in any case.
    if let Err(failure) = std::fs::write(path, gantry_rpc::chain(error)) {
        tracing::warn!(path = %path.display(), error = %failure, "the refusal is not noted");
    }
}

/// Forgets it.
pub(crate) fn clear(path: &Path) {
    let _ = std::fs::remove_file(path);
}
