//! The processes of a container, in the columns of ps(1).

mod format;
mod process;

use std::collections::BTreeSet;

use gantry_api::engine::Top;

use self::process::{Process, System};
use crate::blocking::blocking;
use crate::containers::Containers;
use crate::error::Result;
use crate::events::Events;
use crate::peers::Tasks;

/// Lists processes as `ps` does with these arguments.
pub async fn top(
    containers: &Containers,
    tasks: &Tasks,
    events: &Events,
    name: &str,
    arguments: &str,
) -> Result<Top> {
    let container = containers.find(name)?;
    container.running_pid()?;
    let columns = format::columns(arguments)?;
    let pids = tasks.pids(container.task()).await?;
    let mut found: Vec<Process> =
        blocking(move || Ok(pids.into_iter().filter_map(Process::read).collect())).await?;
    // Leaves out numbers whose process has ended: another process may have had the number when it was read.
    let still: BTreeSet<u32> = tasks.pids(container.task()).await?.into_iter().collect();
    found.retain(|process| still.contains(&process.pid));
    found.sort_by_key(|process| process.pid);
    let answer = blocking(move || {
        let system = System::read();
        let row =
            |process: &Process| columns.iter().map(|column| process.column(column.key, &system)).collect();
        let processes = found.iter().map(row).collect();
        let titles = columns.into_iter().map(|column| column.title).collect();
        Ok(Top { titles, processes })
    })
    .await?;
    events.publish_container(&container, "top", Default::default());
    Ok(answer)
}
