//! The processes of a container, in the columns of ps(1).

mod format;
mod process;

use std::collections::BTreeSet;

use gantry_api::engine::Top;

use self::process::{Process, System};
use super::create::blocking;
use crate::engine::Engine;
use crate::error::Result;

impl Engine {
    /// Lists processes as `ps` with these arguments would.
    pub async fn top(&self, name: &str, arguments: &str) -> Result<Top> {
        let container = self.index.find(name)?;
        container.running_pid()?;
        let columns = format::columns(arguments)?;
        let pids = self.peers.pids(container.id()).await?;
        let mut found: Vec<Process> =
            blocking(move || Ok(pids.into_iter().filter_map(Process::read).collect())).await?;
        // A number whose process has ended meanwhile may have been another's when it was read.
        let still: BTreeSet<u32> = self.peers.pids(container.id()).await?.into_iter().collect();
        found.retain(|process| still.contains(&process.pid));
        found.sort_by_key(|process| process.pid);
        let answer = blocking(move || {
            let system = System::read();
            let row = |process: &Process| {
                columns.iter().map(|column| process.column(column.key, &system)).collect()
            };
            let processes = found.iter().map(row).collect();
            let titles = columns.into_iter().map(|column| column.title).collect();
            Ok(Top { titles, processes })
        })
        .await?;
        self.publish_container(&container, "top", Default::default());
        Ok(answer)
    }
}
