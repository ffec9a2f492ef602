//! The log of a container, spliced from the engine's data socket.
//!
//! A log outlives its engine where the same request gives the same bytes again: what the client has is left out then. That
//! is not so for the last lines of a log, nor for one that is rotated: these are cut short, so that the client sees that
//! there is more.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use futures::{Stream, stream};
use gantry_proto::gantry::engine::v1 as engine;
use gantry_proto::gantry::engine::v1::data_request::Logs;
use gantry_rpc::ending::Ending;
use http::StatusCode;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::time::Instant;
use tonic::Status;

use super::watch::{ENGINE_CHECK, ENGINE_PATIENCE, is_loss};
use crate::call::Call;
use crate::error::Error;
use crate::moment;
use crate::peers::Peers;
use crate::response::{self, BodyError, Response};

const CHUNK: usize = 64 << 10;

/// `GET /containers/{id}/logs`
pub async fn logs(call: &Call, id: &str) -> Result<Response, Error> {
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
    let (log, answer, ending) = call.peers().log(request.clone()).await?;
    let content_type =
        if answer.tty || !call.version.at_least(42) { response::RAW } else { response::MULTIPLEXED };
    let reading =
        Reading { peers: call.peers().clone(), request, log, ending, sent: 0, skip: 0, reopened_at: None };
    Ok(response::streamed(content_type, reading.chunks()))
}

/// A log that is read over restarts of the engine.
struct Reading {
    peers: Peers,
    request: Logs,
    log: UnixStream,
    ending: Ending,
    /// What the client has, bytes.
    sent: u64,
    /// What of it comes again.
    skip: u64,
    /// What the client had when the log was last opened again.
    reopened_at: Option<u64>,
}

impl Reading {
    fn chunks(self) -> impl Stream<Item = Result<Bytes, BodyError>> {
        stream::try_unfold(self, |mut log| async move { Ok(log.next().await?.map(|chunk| (chunk, log))) })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            let mut chunk = BytesMut::with_capacity(CHUNK);
            // A connection that breaks is one whose engine has died, as one that ends without a word.
            let read = self.log.read_buf(&mut chunk).await.unwrap_or(0);
            if read == 0 {
                let whole = self.ending.is_whole();
                if whole && self.skip == 0 {
                    return Ok(None);
                }
                // One that ends at the same byte again would do so for ever.
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

    /// The container, from the next engine.
    async fn container(&self) -> Result<engine::Container, Status> {
        let deadline = Instant::now() + ENGINE_PATIENCE;
        loop {
            let request = engine::GetRequest { container: self.request.container.clone(), size: false };
            match self.peers.containers().get(request).await {
                Ok(container) => return Ok(container.into_inner()),
                Err(status) if is_loss(&status) && Instant::now() < deadline => {}
                Err(status) => return Err(status),
            }
            tokio::time::sleep(ENGINE_CHECK).await;
        }
    }

    /// Whether the same request gives what was sent, byte for byte, and then what was not.
    fn comes_again(&self, container: &engine::Container) -> bool {
        let log = container.host_config.as_ref().and_then(|host| host.log_config.as_ref());
        let is_kept =
            log.is_some_and(|log| log.r#type == "json-file" && !log.config.contains_key("max-size"));
        is_kept && self.request.tail < 0
    }

    async fn reopen(&mut self) -> Result<(), BodyError> {
        let deadline = Instant::now() + ENGINE_PATIENCE;
        loop {
            match self.peers.log(self.request.clone()).await {
                Ok((log, _, ending)) => {
                    (self.log, self.ending, self.skip) = (log, ending, self.sent);
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
