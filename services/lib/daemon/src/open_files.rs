//! How many files may be open: as many as are permitted, not the few that every process begins with for the sake
//! of programs that use select(2). A service has descriptors for each container; what it starts begins with those few.

use std::sync::OnceLock;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

/// What this process began with; unset where it was not raised.
static BEGUN_WITH: OnceLock<Rlimit> = OnceLock::new();

/// Raises the limit of the calling process to what it may be; the limit, where there is one.
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

/// Gives a child of this process the limit that this process began with. The child may not have been waited for.
///
/// # Errors
///
/// When the kernel refuses.
pub fn hand_on(child: u32) -> std::io::Result<()> {
    let Some(limit) = BEGUN_WITH.get() else { return Ok(()) };
    let child = child.try_into().ok().and_then(Pid::from_raw);
    // Without one, prlimit(2) would mean this process.
    let Some(child) = child else { return Ok(()) };
    prlimit(Some(child), Resource::Nofile, *limit)?;
    Ok(())
}
