//! Holds a container's first process by a pidfd, so that a process that gets its number later is not mistaken for it.

use gantry_host::process::Pinned;

use super::Container;
use crate::error::{Error, Result};
use crate::peers::Tasks;
use crate::root::kernel;

/// Opens the first process of a container.
///
/// # Errors
///
/// `NotRunning` if the container has no process.
pub(crate) async fn init_of(tasks: &Tasks, container: &Container) -> Result<Pinned> {
    let pid = container.running_pid()?;
    let init = Pinned::open(pid).map_err(kernel)?;
    // The process still has the number, so it also had it when the pidfd was opened.
    match tasks.get(&container.init()).await?.pid() {
        Some(now) if now == pid => Ok(init),
        _ => Err(Error::NotRunning(container.id().to_owned())),
    }
}
