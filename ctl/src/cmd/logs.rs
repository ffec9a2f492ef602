//! `gantry logs`.

use anyhow::{Context, Result};
use gantry_proto::gantry::engine::v1::{DataRequest, LogsReply, data_request};
use gantry_rpc::ending::Ending;
use prost::Message;

use crate::cli::command::Logs;
use crate::cmd::{Session, events};
use crate::stdio;

pub async fn run(session: &Session, arguments: Logs) -> Result<()> {
    let tail = match arguments.tail.as_deref() {
        None | Some("all") => -1,
        Some(text) => {
            text.parse().with_context(|| format!("--tail {text}: a number or `all` is expected"))?
        }
    };
    let logs = data_request::Logs {
        container: arguments.container,
        follow: arguments.follow,
        stdout: true,
        stderr: true,
        since: events::time(arguments.since.as_deref(), "since")?,
        until: events::time(arguments.until.as_deref(), "until")?,
        timestamps: arguments.timestamps,
        tail,
        ..data_request::Logs::default()
    };
    let request = DataRequest { action: Some(data_request::Action::Logs(logs)) };
    let (stream, detail, descriptors) = session.peers.data("engine", &request).await?;
    let ending = Ending::of(descriptors)?;
    let tty = LogsReply::decode(detail.as_slice())?.tty;
    if tty {
        stdio::copy(stream, true, false).await?
    } else {
        stdio::print_frames(stream).await?
    }
    ending.check().context("the log was cut: service engine went away while it sent it")
}
