//! `gantry.engine.v1.Execs`, served by any implementation of the execs' interface.

use std::pin::Pin;

use futures::stream::{self, Stream, StreamExt};
use gantry_proto::gantry::engine::v1 as pb;
use gantry_rpc::{carry, status};
use pb::exec_start_request::Message as Asked;
use pb::exec_start_response::Message as Said;
use pb::execs_server::{Execs, ExecsServer};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{Service, StartSpec, Starting};
use crate::engine::{ExecSpec, Window};
use crate::peers::MESSAGE_LIMIT;
use crate::to_the_end;

type Answer = Result<pb::ExecStartResponse, Status>;

/// The service over an implementation.
pub fn service<S: Service + Clone + 'static>(service: S) -> ExecsServer<Server<S>> {
    ExecsServer::new(Server(service)).max_decoding_message_size(MESSAGE_LIMIT)
}

/// Parses requests, calls the implementation, converts answers. A change continues if its client disconnects.
#[derive(Debug, Clone)]
pub struct Server<S>(S);

fn said(message: Said) -> Answer {
    Ok(pb::ExecStartResponse { message: Some(message) })
}

#[tonic::async_trait]
impl<S: Service + Clone + 'static> Execs for Server<S> {
    type StartStream = Pin<Box<dyn Stream<Item = Answer> + Send>>;

    async fn create(
        &self,
        request: Request<pb::ExecCreateRequest>,
    ) -> Result<Response<pb::ExecCreateResponse>, Status> {
        let (service, spec) = (self.0.clone(), ExecSpec::from(request.into_inner()));
        let id = to_the_end(async move { service.create_exec(spec).await }).await?;
        Ok(Response::new(pb::ExecCreateResponse { id }))
    }

    /// The stream of an exec that is not detached stays open until the process has ended and its exit code is
    /// available.
    async fn start(
        &self,
        request: Request<Streaming<pb::ExecStartRequest>>,
    ) -> Result<Response<Self::StartStream>, Status> {
        let mut requests = request.into_inner();
        let open = match requests.message().await? {
            Some(pb::ExecStartRequest { message: Some(Asked::Open(open)) }) => open,
            _ => return Err(Status::invalid_argument("the first message must be open")),
        };
        let (service, spec) = (self.0.clone(), StartSpec::from(open));
        let mut starting = to_the_end(async move { service.start_exec(spec).await }).await?;
        let Some(point) = starting.point().await.map_err(status)? else {
            let pid = starting.started().await.map_err(status)?;
            return Ok(Response::new(Box::pin(stream::iter([said(Said::Started(pid))]))));
        };
        let (answers, rest) = mpsc::channel(1);
        carry::beside(follow(starting, requests, answers));
        let point = stream::iter([said(Said::Point(point.into()))]);
        Ok(Response::new(Box::pin(point.chain(ReceiverStream::new(rest)))))
    }

    async fn get(&self, request: Request<pb::ExecRequest>) -> Result<Response<pb::Exec>, Status> {
        let exec = self.0.exec(&request.get_ref().id).await.map_err(status)?;
        Ok(Response::new(exec.into()))
    }

    async fn resize(
        &self,
        request: Request<pb::ExecResizeRequest>,
    ) -> Result<Response<pb::ContainerResponse>, Status> {
        let request = request.get_ref();
        let size = Window { height: request.height, width: request.width };
        self.0.resize_exec(&request.id, size).await.map_err(status)?;
        Ok(Response::new(pb::ContainerResponse {}))
    }
}

/// Waits for the client's report that it is connected, and tells it the outcome of the start.
async fn follow<S: Starting>(
    mut starting: S,
    mut requests: Streaming<pb::ExecStartRequest>,
    answers: mpsc::Sender<Answer>,
) {
    let started = tokio::select! {
        connected = connected(&mut requests) => match connected {
            true => starting.connected().await.map(|()| None),
            false => return,
        },
        // The implementation limits the wait for the client.
        started = starting.started() => started.map(Some),
    };
    let started = match started {
        Ok(None) => starting.started().await,
        Ok(Some(pid)) => Ok(pid),
        Err(error) => Err(error),
    };
    let runs = started.is_ok();
    let answer = started.map_err(status).and_then(|pid| said(Said::Started(pid)));
    if answers.send(answer).await.is_ok() && runs {
        tokio::select! {
            _ = starting.ended() => {}
            () = answers.closed() => {}
        }
    }
}

/// Whether the client reports that it is connected; false if it disconnects instead.
async fn connected(requests: &mut Streaming<pb::ExecStartRequest>) -> bool {
    while let Ok(Some(message)) = requests.message().await {
        if matches!(message.message, Some(Asked::Connected(_))) {
            return true;
        }
    }
    false
}
