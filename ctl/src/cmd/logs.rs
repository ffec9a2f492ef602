//! `gantry logs`.

use anyhow::{Context, Result};
use gantry_api::engine::LogQuery;
use gantry_api::engine::containers::Log;
use gantry_api::time::nanoseconds;

use crate::cli::command::Logs;
use crate::cmd::{Session, events, said};
use crate::stdio;

pub async fn run(session: &Session, arguments: Logs) -> Result<()> {
    let tail = match arguments.tail.as_deref() {
        None | Some("all") => -1,
        Some(text) => {
            text.parse().with_context(|| format!("--tail {text}: a number or `all` is expected"))?
        }
    };
    let query = LogQuery {
        container: arguments.container,
        follow: arguments.follow,
        stdout: true,
        stderr: true,
        since: nanoseconds(events::time(arguments.since.as_deref(), "since")?),
        until: nanoseconds(events::time(arguments.until.as_deref(), "until")?),
        timestamps: arguments.timestamps,
        tail,
        ..LogQuery::default()
    };
    let Log { stream, tty, ending } = session.containers().log(query).await.map_err(said)?;
    if tty {
        stdio::copy(stream, true, false).await?
    } else {
        stdio::print_frames(stream).await?
    }
    ending.check().context("the log was cut: service engine went away while it sent it")
}
