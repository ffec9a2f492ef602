//! A container's log, which the gateway splices from the engine's data socket.
//!
//! When the engine dies, the gateway asks the next engine for the same log and leaves out what the client already has. That is possible only
//! if the same request gives the same bytes again: not for the last lines of a log, nor for a log that is rotated. The gateway breaks off
//! the responses to those, so that the client sees that there is more.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use futures::{Stream, stream};
use gantry_api::engine::containers::{Inspect as _, Log, Sizes};
use gantry_api::engine::{Container, LogQuery};
use gantry_api::{Failure, time};
use gantry_rpc::ending::Ending;
use http::StatusCode;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::time::Instant;

use super::watch::{ENGINE_CHECK, ENGINE_PATIENCE, is_loss};
use crate::call::Call;
use crate::error::Error;
use crate::moment;
use crate::peers::{Peers, failed};
use crate::response::{self, BodyError, Response};

const CHUNK: usize = 64 << 10;

/// `GET /containers/{id}/logs`
pub async fn logs(call: &Call, id: &str) -> Result<Response, Error> {
    let query = &call.query;
    let wanted = LogQuery {
        container: id.to_owned(),
        follow: query.flag("follow"),
        stdout: query.flag("stdout"),
        stderr: query.flag("stderr"),
        since: time::nanoseconds(moment::parse(query.text("since"), &moment::now()).map_err(Error::bad)?),
        until: time::nanoseconds(moment::parse(query.text("until"), &moment::now()).map_err(Error::bad)?),
        timestamps: query.flag("timestamps"),
        details: query.flag("details"),
        tail: tail(query.text("tail")),
    };
    if !wanted.stdout && !wanted.stderr {
        return Err(Error::bad("Bad parameters: you must choose at least one stream"));
    }
    let Log { stream: log, tty, ending } =
        call.peers().containers().log(wanted.clone()).await.map_err(failed)?;
    let content_type = if tty || !call.version.at_least(42) { response::RAW } else { response::MULTIPLEXED };
    let reading =
        Reading { peers: call.peers().clone(), wanted, log, ending, sent: 0, skip: 0, reopened_at: None };
    Ok(response::streamed(content_type, reading.chunks()))
}

/// A log whose reading goes on when the engine restarts.
struct Reading {
    peers: Peers,
    wanted: LogQuery,
    log: UnixStream,
    ending: Ending,
    /// How many bytes the client has.
    sent: u64,
    /// How many of them come again.
    skip: u64,
    /// How many bytes the client had when the gateway last opened the log again.
    reopened_at: Option<u64>,
}

impl Reading {
    fn chunks(self) -> impl Stream<Item = Result<Bytes, BodyError>> {
        stream::try_unfold(self, |mut log| async move { Ok(log.next().await?.map(|chunk| (chunk, log))) })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            let mut chunk = BytesMut::with_capacity(CHUNK);
            // A connection breaks, or ends without the end's mark, because its engine has died.
            let read = self.log.read_buf(&mut chunk).await.unwrap_or(0);
            if read == 0 {
                let whole = self.ending.is_whole();
                if whole && self.skip == 0 {
                    return Ok(None);
                }
                // A log that ended twice at the same byte would do so again and again.
                let stuck = whole || self.reopened_at == Some(self.sent);
                if stuck || !self.comes_again(&self.container().await?) {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                }
                self.reopen().await?;
                continue;
            }
            let known = usize::try_from(self.skip).map_or(read, |skip| skip.min(read));
            chunk.advance(known);
            self.skip -= known as u64;
            self.sent += chunk.len() as u64;
            if !chunk.is_empty() {
                return Ok(Some(chunk.freeze()));
            }
        }
    }

    /// Gets the container from the next engine.
    async fn container(&self) -> Result<Container, Failure> {
        let deadline = Instant::now() + ENGINE_PATIENCE;
        loop {
            match self.peers.containers().container(&self.wanted.container, Sizes::Untold).await {
                Ok(container) => return Ok(container),
                Err(failure) if is_loss(&failure.status) && Instant::now() < deadline => {}
                Err(failure) => return Err(failure),
            }
            tokio::time::sleep(ENGINE_CHECK).await;
        }
    }

    /// Whether the same request gives the same bytes again, and then the rest.
    fn comes_again(&self, container: &Container) -> bool {
        let log = container.host.log_config.as_ref();
        let is_kept =
            log.is_some_and(|log| log.r#type == "json-file" && !log.config.contains_key("max-size"));
        is_kept && self.wanted.tail < 0
    }

    async fn reopen(&mut self) -> Result<(), BodyError> {
        let deadline = Instant::now() + ENGINE_PATIENCE;
        loop {
            match self.peers.containers().log(self.wanted.clone()).await.map_err(failed) {
                Ok(log) => {
                    (self.log, self.ending, self.skip) = (log.stream, log.ending, self.sent);
                    self.reopened_at = Some(self.sent);
                    return Ok(());
                }
                Err(error)
                    if error.status() == StatusCode::SERVICE_UNAVAILABLE && Instant::now() < deadline =>
                {
                    tokio::time::sleep(ENGINE_CHECK).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// `all`, and everything else that is no number, means all lines.
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
