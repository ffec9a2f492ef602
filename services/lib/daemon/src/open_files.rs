//! The limit of open files. A service raises it to the hard limit, because it has descriptors for each container.
//! Every process begins with a low soft limit for the sake of select(2), and so do the processes that the service
//! starts.

use std::sync::OnceLock;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

/// The limit at the start of this process; unset when it was not raised.
static BEGUN_WITH: OnceLock<Rlimit> = OnceLock::new();

/// Raises the limit of the calling process to the hard limit. Returns the limit, if there is one.
///
/// # Errors
///
/// When the kernel refuses.
pub fn raise() -> Result<Option<u64>, gantry_host::Error> {
    let now = getrlimit(Resource::Nofile);
    gantry_host::process::raise_open_files()?;
    let begun_with = BEGUN_WITH.get_or_init(|| now);
    Ok(begun_with.maximum)
}

/// Sets a child's limit to the one at the start of this process. The caller has not waited for the child yet.
///
/// # Errors
///
/// When the kernel refuses.
pub fn hand_on(child: u32) -> std::io::Result<()> {
    let Some(limit) = BEGUN_WITH.get() else { return Ok(()) };
    let child = child.try_into().ok().and_then(Pid::from_raw);
    // prlimit(2) takes pid 0 for the calling process.
    let Some(child) = child else { return Ok(()) };
    prlimit(Some(child), Resource::Nofile, *limit)?;
    Ok(())
}
