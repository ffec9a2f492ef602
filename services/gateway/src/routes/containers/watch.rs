//! Waiting for containers and watching what they use.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use gantry_proto::gantry::engine::v1 as engine;
use gantry_proto::gantry::engine::v1::wait_request::Condition;
use gantry_proto::gantry::engine::v1::wait_response::{Event, Exit};
use tonic::{Code, Status, Streaming};

use crate::call::Call;
use crate::error::Error;
use crate::peers::{ENGINE, Peers, of};
use crate::response::{self, Response};
use crate::wire::container::{WaitError, WaitResponse};
use crate::wire::stats::Stats;

/// How long an engine may be away before a wait, or a followed log, fails, and how often it is asked for.
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
        Waiting { peers: call.peers().clone(), container: id.to_owned(), condition, events: None };
    waiting.register().await.map_err(of(ENGINE))?;
    // The headers leave now: a client starts the container only after it has seen them.
    let result = stream::once(async move {
        let response = match waiting.exit().await {
            Ok(exit) => {
                // A failed start is told by its own answer; here clients would take the words for a failed wait.
                let failed_start = (126..=128).contains(&exit.status_code);
                let error =
                    (!exit.error.is_empty() && !failed_start).then_some(WaitError { message: exit.error });
                WaitResponse { error, status_code: exit.status_code }
            }
            Err(status) => {
                let message = Error::from_peer(ENGINE, &status).to_string();
                WaitResponse { error: Some(WaitError { message }), status_code: -1 }
            }
        };
        let mut line = serde_json::to_vec(&response)?;
        line.push(b'\n');
        Ok::<_, serde_json::Error>(Bytes::from(line))
    });
    Ok(response::streamed(response::JSON, result))
}

/// A wait that outlives a restart of the engine.
struct Waiting {
    peers: Peers,
    container: String,
    condition: Condition,
    events: Option<Streaming<engine::WaitResponse>>,
}

impl Waiting {
    async fn register(&mut self) -> Result<(), Status> {
        let request =
            engine::WaitRequest { container: self.container.clone(), condition: self.condition.into() };
        let mut events = self.peers.containers().wait(request).await?.into_inner();
        match events.message().await? {
            Some(engine::WaitResponse { event: Some(Event::Registered(_)) }) => {}
            _ => return Err(Status::internal("the engine did not register the wait")),
        }
        self.events = Some(events);
        Ok(())
    }

    async fn exit(&mut self) -> Result<Exit, Status> {
        loop {
            let lost = match self.next().await {
                Ok(Some(exit)) => return Ok(exit),
                Ok(None) => Status::unavailable("the engine ended the wait"),
                Err(status) if is_loss(&status) => status,
                Err(status) => return Err(status),
            };
            self.reconnect(lost).await?;
        }
    }

    async fn next(&mut self) -> Result<Option<Exit>, Status> {
        let Some(events) = &mut self.events else { return Ok(None) };
        while let Some(message) = events.message().await? {
            if let Some(Event::Exit(exit)) = message.event {
                return Ok(Some(exit));
            }
        }
        Ok(None)
    }

    async fn reconnect(&mut self, lost: Status) -> Result<(), Status> {
        // The exit that was waited for may have come while the engine was away.
        if self.condition == Condition::NextExit {
            self.condition = Condition::NotRunning;
        }
        let deadline = tokio::time::Instant::now() + ENGINE_PATIENCE;
        loop {
            tokio::time::sleep(ENGINE_CHECK).await;
            match self.register().await {
                Ok(()) => return Ok(()),
                Err(status) if is_loss(&status) && tokio::time::Instant::now() < deadline => {}
                Err(status) if is_loss(&status) => return Err(lost),
                Err(status) => return Err(status),
            }
        }
    }
}

/// Whether a peer went away, as opposed to having refused.
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
    let request = engine::StatsRequest { container: id.to_owned(), stream, one_shot };
    let mut samples = call.peers().containers().stats(request).await.map_err(of(ENGINE))?.into_inner();
    if !stream {
        let sample = samples.message().await.map_err(of(ENGINE))?.unwrap_or_default();
        return response::ok(&Stats::from(sample));
    }
    // A sample that cannot be taken is that of a container that has gone: the end, for a client.
    let samples = samples.take_while(|sample| std::future::ready(sample.is_ok()));
    Ok(response::json_lines(samples.map_ok(Stats::from)))
}
