//! The log of a container, spliced from the engine's data socket.

use gantry_proto::gantry::engine::v1 as engine;
use gantry_proto::gantry::engine::v1::data_request::{Action, Logs};
use tokio_util::io::ReaderStream;

use crate::call::Call;
use crate::error::Error;
use crate::moment;
use crate::reply::{self, Reply};

/// `GET /containers/{id}/logs`
pub async fn logs(call: &Call, id: &str) -> Result<Reply, Error> {
    let query = &call.query;
    let request = Logs {
        container: id.to_owned(),
        follow: query.flag("follow"),
        stdout: query.flag("stdout"),
        stderr: query.flag("stderr"),
        since: moment::parse(query.text("since"), &moment::now())
            .map_err(Error::bad)?
            .filter(|at| at.seconds != 0 || at.nanos != 0),
        until: moment::parse(query.text("until"), &moment::now())
            .map_err(Error::bad)?
            .filter(|at| at.seconds != 0 || at.nanos != 0),
        timestamps: query.flag("timestamps"),
        details: query.flag("details"),
        tail: tail(query.text("tail")),
    };
    if !request.stdout && !request.stderr {
        return Err(Error::bad("Bad parameters: you must choose at least one stream"));
    }
    let (log, answer) = call.peers().engine_data::<engine::LogsReply>(Action::Logs(request)).await?;
    let content_type = if answer.tty || !call.version.at_least(42) { reply::RAW } else { reply::MULTIPLEXED };
    Ok(reply::streamed(content_type, ReaderStream::with_capacity(log, 64 << 10)))
}

/// `all` and everything that is no number mean all.
fn tail(text: &str) -> i64 {
    text.parse::<i64>().ok().filter(|lines| *lines >= 0).unwrap_or(-1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails() {
        for (text, lines) in [("", -1), ("all", -1), ("5", 5), ("0", 0), ("-3", -1), ("x", -1)] {
            assert_eq!(tail(text), lines, "{text}");
        }
    }
}
