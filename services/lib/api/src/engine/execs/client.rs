//! A client of the engine's execs, over its socket.

use std::sync::Arc;

use futures::stream::{self, StreamExt};
use gantry_proto::gantry::engine::v1 as pb;
use pb::exec_start_request::Message as Asked;
use pb::exec_start_response::Message as Said;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::{Inspect, Manage, Start, StartSpec};
use crate::Failure;
use crate::call::Caller;
use crate::engine::{AttachPoint, Exec, ExecSpec, Window};

const START: &str = "start a process";

client!(
    /// A client of the engine's execs. Cheap to clone.
    "engine"
);

impl Inspect for Client {
    async fn exec(&self, id: &str) -> Result<Exec, Failure> {
        let request = pb::ExecRequest { id: id.to_owned() };
        self.caller.ask("look up a process", self.peers.execs().get(request)).await.map(Into::into)
    }
}

impl Manage for Client {
    async fn create_exec(&self, spec: ExecSpec) -> Result<String, Failure> {
        let request = pb::ExecCreateRequest::from(spec);
        Ok(self.caller.ask("note a process", self.peers.execs().create(request)).await?.id)
    }

    async fn resize_exec(&self, id: &str, size: Window) -> Result<(), Failure> {
        let Window { height, width } = size;
        let request = pb::ExecResizeRequest { id: id.to_owned(), height, width };
        self.caller.ask("resize a process's terminal", self.peers.execs().resize(request)).await.map(drop)
    }
}

/// A start in progress, which lasts as long as the call is open.
#[derive(Debug)]
pub struct Starting {
    caller: Caller,
    asks: mpsc::Sender<pb::ExecStartRequest>,
    answers: Streaming<pb::ExecStartResponse>,
    /// Process id, once the process runs.
    pid: Option<u32>,
}

impl Start for Client {
    type Starting = Starting;

    async fn start_exec(&self, spec: StartSpec) -> Result<Starting, Failure> {
        let (asks, rest) = mpsc::channel(1);
        let first = pb::ExecStartRequest { message: Some(Asked::Open(spec.into())) };
        let requests = stream::iter([first]).chain(ReceiverStream::new(rest));
        let answers = self.caller.ask(START, self.peers.execs().start(requests)).await?;
        Ok(Starting { caller: self.caller, asks, answers, pid: None })
    }
}

impl Starting {
    /// The engine has gone, and has not said how the start went.
    fn cut(&self) -> Failure {
        let mut status = Status::unavailable("service engine ended the exec");
        // It is a connection's loss as any other: no answer of the engine's.
        status.set_source(Arc::new(std::io::Error::from(std::io::ErrorKind::UnexpectedEof)));
        self.caller.failed(START, status)
    }

    async fn next(&mut self) -> Result<Option<Said>, Failure> {
        loop {
            match self.caller.hear(START, self.answers.message()).await? {
                None => return Ok(None),
                Some(pb::ExecStartResponse { message: Some(said) }) => return Ok(Some(said)),
                Some(_) => {}
            }
        }
    }
}

impl super::Starting for Starting {
    type Error = Failure;

    async fn point(&mut self) -> Result<Option<AttachPoint>, Failure> {
        match self.next().await? {
            Some(Said::Point(point)) => Ok(Some(point.into())),
            Some(Said::Started(pid)) => {
                self.pid = Some(pid);
                Ok(None)
            }
            None => Err(self.cut()),
        }
    }

    async fn connected(&mut self) -> Result<(), Failure> {
        let connected = pb::ExecStartRequest { message: Some(Asked::Connected(true)) };
        self.asks.send(connected).await.map_err(|_| self.cut())
    }

    async fn started(&mut self) -> Result<u32, Failure> {
        loop {
            if let Some(pid) = self.pid {
                return Ok(pid);
            }
            match self.next().await? {
                Some(Said::Started(pid)) => self.pid = Some(pid),
                Some(Said::Point(_)) => {}
                None => return Err(self.cut()),
            }
        }
    }

    async fn ended(&mut self) -> Result<(), Failure> {
        while self.next().await?.is_some() {}
        Ok(())
    }
}
