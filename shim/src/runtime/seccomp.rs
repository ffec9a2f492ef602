//! The seccomp filter of further processes. libcontainer gives it to a container's
//! init only, so an exec takes it from the container's spec.

use std::path::Path;

use oci_spec::runtime::LinuxSeccomp;
use serde::Deserialize;

use super::Failure;

#[derive(Deserialize)]
struct SpecOnlySeccomp {
    linux: Option<LinuxOnlySeccomp>,
}

#[derive(Deserialize)]
struct LinuxOnlySeccomp {
    seccomp: Option<LinuxSeccomp>,
}

/// The filter of the container in `bundle`, if it has one.
pub fn of_bundle(bundle: &Path) -> Result<Option<LinuxSeccomp>, Failure> {
    let spec: SpecOnlySeccomp = super::read_json(&bundle.join("config.json"))?;
    Ok(spec.linux.and_then(|linux| linux.seccomp))
}

/// Applies `filter` to the calling process, for good.
pub fn apply(filter: &LinuxSeccomp) -> Result<(), Failure> {
    if libcontainer::seccomp::is_notify(filter) {
        return Err("a seccomp notify listener is not supported for exec".into());
    }
    libcontainer::seccomp::initialize_seccomp(filter)
        .map(drop)
        .map_err(|error| format!("seccomp: {}", super::libcontainer::chain(&error)))
}
