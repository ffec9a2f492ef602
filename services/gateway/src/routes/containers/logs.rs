//! The log of a container, spliced from the engine's data socket.
//!
//! A followed log outlives its engine where the same request gives the same bytes again: what the client has is left out
//! then. That is not so for the last lines of a log, nor for one that is rotated: these are cut short, so that the client
//! sees that there is more.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use futures::{Stream, stream};
use gantry_proto::gantry::engine::v1 as engine;
use gantry_proto::gantry::engine::v1::data_request::{Action, Logs};
use http::StatusCode;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::time::Instant;
use tokio_util::io::ReaderStream;
use tonic::{Code, Status};

use super::watch::{ENGINE_CHECK, ENGINE_PATIENCE, is_loss};
use crate::call::Call;
use crate::error::Error;
use crate::moment;
use crate::peers::Peers;
use crate::reply::{self, BodyError, Reply};

const CHUNK: usize = 64 << 10;

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
    let action = Action::Logs(request.clone());
    let (log, answer) = call.peers().engine_data::<engine::LogsReply>(action).await?;
    let content_type = if answer.tty || !call.version.at_least(42) { reply::RAW } else { reply::MULTIPLEXED };
    if !request.follow {
        return Ok(reply::streamed(content_type, ReaderStream::with_capacity(log, CHUNK)));
    }
    let following = Following { peers: call.peers().clone(), request, log, sent: 0, skip: 0 };
    Ok(reply::streamed(content_type, following.chunks()))
}

/// A log that is followed over restarts of the engine.
struct Following {
    peers: Peers,
    request: Logs,
    log: UnixStream,
    /// What the client has, bytes.
    sent: u64,
    /// What of it comes again.
    skip: u64,
}

/// What is known when a log has come to an end.
enum End {
    /// It is whole.
    Whole,
    /// There is more of it.
    Cut(Box<engine::Container>),
}

impl Following {
    fn chunks(self) -> impl Stream<Item = Result<Bytes, BodyError>> {
        stream::try_unfold(self, |mut log| async move { Ok(log.next().await?.map(|chunk| (chunk, log))) })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            let mut chunk = BytesMut::with_capacity(CHUNK);
            // A connection that breaks is one whose engine has died: what that means is found out below.
            let read = self.log.read_buf(&mut chunk).await.unwrap_or(0);
            if read == 0 {
                match self.end().await? {
                    End::Whole if self.skip == 0 => return Ok(None),
                    End::Cut(container) if self.comes_again(&container) => self.reopen().await?,
                    _ => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                }
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

    /// Whether the engine has sent all, or died: then it is waited for.
    async fn end(&self) -> Result<End, Status> {
        let deadline = Instant::now() + ENGINE_PATIENCE;
        let mut was_away = false;
        loop {
            let request = engine::GetRequest { container: self.request.container.clone(), size: false };
            match self.peers.containers().get(request).await {
                Ok(container) => {
                    let container = container.into_inner();
                    let whole = !was_away && (!is_running(&container) || self.is_past());
                    return Ok(if whole { End::Whole } else { End::Cut(Box::new(container)) });
                }
                Err(status) if status.code() == Code::NotFound && !was_away => return Ok(End::Whole),
                Err(status) if is_loss(&status) && Instant::now() < deadline => was_away = true,
                Err(status) => return Err(status),
            }
            tokio::time::sleep(ENGINE_CHECK).await;
        }
    }

    /// Whether the client wants nothing of what is written from now on.
    fn is_past(&self) -> bool {
        let now = moment::now();
        let until = self.request.until.as_ref();
        until.is_some_and(|until| (until.seconds, until.nanos) <= (now.seconds, now.nanos))
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
            let action = Action::Logs(self.request.clone());
            match self.peers.engine_data::<engine::LogsReply>(action).await {
                Ok((log, _)) => {
                    (self.log, self.skip) = (log, self.sent);
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

fn is_running(container: &engine::Container) -> bool {
    let status = container.state.as_ref().map(engine::State::status);
    matches!(status, Some(engine::Status::Running | engine::Status::Paused))
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
