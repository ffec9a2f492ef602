//! Containers: wait and stats.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures::stream as streams;
use gantry_api::Failure;
use gantry_api::engine::containers::client;
use gantry_api::engine::containers::{Samples as _, Sampling, Wait as _, Waiting as _, Watch as _};
use gantry_api::engine::{Condition, Exit};
use tonic::{Code, Status};

use crate::call::Call;
use crate::error::Error;
use crate::peers::{Peers, failed};
use crate::response::{self, Response};
use crate::wire::container::{WaitError, WaitResponse};
use crate::wire::stats::Stats;

/// How long the engine may be away before a wait or a followed log fails, and how often the gateway tries it again.
pub(super) const ENGINE_PATIENCE: Duration = Duration::from_secs(60);
pub(super) const ENGINE_CHECK: Duration = Duration::from_millis(100);

/// `POST /containers/{id}/wait`
pub async fn wait(call: &Call, id: &str) -> Result<Response, Error> {
    let condition = match call.query.text("condition") {
        "" | "not-running" => Condition::NotRunning,
        "next-exit" => Condition::NextExit,
        "removed" => Condition::Removed,
        other => return Err(Error::bad(format!("invalid condition: {other:?}"))),
    };
    let mut waiting =
        Waiting { peers: call.peers().clone(), container: id.to_owned(), condition, wait: None };
    waiting.register().await.map_err(failed)?;
    // Send the headers now: a client starts the container only after it has got them.
    let result = streams::once(async move {
        let response = match waiting.exit().await {
            Ok(exit) => {
                // The start's own answer says why it failed; clients would take a message here for a failure of the wait.
                let failed_start = (126..=128).contains(&exit.status_code);
                let error =
                    (!exit.error.is_empty() && !failed_start).then_some(WaitError { message: exit.error });
                WaitResponse { error, status_code: exit.status_code }
            }
            Err(failure) => {
                let message = failed(failure).to_string();
                WaitResponse { error: Some(WaitError { message }), status_code: -1 }
            }
        };
        let mut line = serde_json::to_vec(&response)?;
        line.push(b'\n');
        Ok::<_, serde_json::Error>(Bytes::from(line))
    });
    Ok(response::streamed(response::JSON, result))
}

/// A wait that goes on when the engine restarts.
struct Waiting {
    peers: Peers,
    container: String,
    condition: Condition,
    wait: Option<client::Waiting>,
}

impl Waiting {
    async fn register(&mut self) -> Result<(), Failure> {
        self.wait = Some(self.peers.containers().wait_for(&self.container, self.condition).await?);
        Ok(())
    }

    async fn exit(&mut self) -> Result<Exit, Failure> {
        loop {
            let ended = match self.wait.take() {
                Some(wait) => wait.exit().await,
                None => Ok(None),
            };
            let lost = match ended {
                Ok(Some(exit)) => return Ok(exit),
                Ok(None) => {
                    let status = Box::new(Status::unavailable("the engine ended the wait"));
                    Failure { service: "engine", call: "wait for a container", status }
                }
                Err(failure) if is_loss(&failure.status) => failure,
                Err(failure) => return Err(failure),
            };
            self.reconnect(lost).await?;
        }
    }

    async fn reconnect(&mut self, lost: Failure) -> Result<(), Failure> {
        // The container may have ended while the engine was away.
        if self.condition == Condition::NextExit {
            self.condition = Condition::NotRunning;
        }
        let deadline = tokio::time::Instant::now() + ENGINE_PATIENCE;
        loop {
            tokio::time::sleep(ENGINE_CHECK).await;
            match self.register().await {
                Ok(()) => return Ok(()),
                Err(failure) if is_loss(&failure.status) && tokio::time::Instant::now() < deadline => {}
                Err(failure) if is_loss(&failure.status) => return Err(lost),
                Err(failure) => return Err(failure),
            }
        }
    }
}

/// Whether the service went away, rather than refused.
pub(super) fn is_loss(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::Cancelled)
}

/// `GET /containers/{id}/stats`
pub async fn stats(call: &Call, id: &str) -> Result<Response, Error> {
    let stream = call.query.flag_or("stream", true);
    let one_shot = call.query.flag("one-shot");
    if stream && one_shot {
        return Err(Error::bad("cannot have stream=true and one-shot=true"));
    }
    let sampling = match (stream, one_shot) {
        (true, _) => Sampling::Stream,
        (false, false) => Sampling::Once,
        (false, true) => Sampling::AtOnce,
    };
    let mut samples = call.peers().containers().stats(id, sampling).await.map_err(failed)?;
    if !stream {
        let sample = samples.next().await.map_err(failed)?.unwrap_or_default();
        return response::ok(&Stats::from(sample));
    }
    // No sample can be taken once the container is gone, which ends the client's stream.
    let samples = streams::unfold(samples, |mut samples| async move {
        let sample = samples.next().await.ok()??;
        Some((Ok::<_, Infallible>(Stats::from(sample)), samples))
    });
    Ok(response::json_lines(samples))
}
