//! `gantry.engine.v1.Execs`.

use std::time::Duration;

use gantry_api::engine::Window;
use gantry_proto::gantry::engine::v1 as pb;
use gantry_rpc::status;
use pb::execs_server::Execs;
use tokio::sync::{mpsc, oneshot};
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument;

use super::{Answers, Server, stream, whole};

type Reply<T> = Result<Response<T>, Status>;

/// How long a caller has to connect before the process starts without it.
const PATIENCE: Duration = Duration::from_secs(10);

#[tonic::async_trait]
impl Execs for Server {
    type StartStream = Answers<pb::ExecStartResponse>;

    async fn create(&self, request: Request<pb::ExecCreateRequest>) -> Reply<pb::ExecCreateResponse> {
        let (engine, request) = (self.engine.clone(), request.into_inner());
        let id = whole(async move { engine.create_exec(request.into()).await }).await?;
        Ok(Response::new(pb::ExecCreateResponse { id }))
    }

    /// The stream stays open until the process has ended and its exit code can be asked for.
    async fn start(&self, request: Request<Streaming<pb::ExecStartRequest>>) -> Reply<Self::StartStream> {
        use pb::exec_start_request::Message as Asked;
        use pb::exec_start_response::Message as Said;
        let mut requests = request.into_inner();
        let open = match requests.message().await? {
            Some(pb::ExecStartRequest { message: Some(Asked::Open(open)) }) => open,
            _ => return Err(Status::invalid_argument("the first message must be open")),
        };
        let said = |message| Ok(pb::ExecStartResponse { message: Some(message) });
        let engine = self.engine.clone();
        let (sender, receiver) = mpsc::channel(2);
        if open.detach {
            let start = async move {
                let (container, exec) = engine.add_exec(&open.id).await?;
                engine.start_exec(&container, &exec).await
            };
            let pid = whole(start).await?;
            let _ = sender.send(said(Said::Started(pid))).await;
            return Ok(Response::new(stream(receiver)));
        }
        let (adding, added) = oneshot::channel();
        let work = async move {
            let (container, exec) = match engine.add_exec(&open.id).await {
                Ok(found) => found,
                Err(error) => {
                    let _ = adding.send(Err(status(error)));
                    return;
                }
            };
            // The channel has room: this does not wait.
            let _ = sender.send(said(Said::Point(engine.exec_point(&container, &exec).into()))).await;
            let _ = adding.send(Ok(()));
            let connected = async {
                while let Ok(Some(message)) = requests.message().await {
                    if matches!(message.message, Some(Asked::Connected(_))) {
                        return;
                    }
                }
            };
            // One who has gone away is treated as Docker does: the process starts all the same.
            let _ = tokio::time::timeout(PATIENCE, connected).await;
            if open.console_width > 0 && open.console_height > 0 {
                let size = Window { height: open.console_height, width: open.console_width };
                // A terminal without its size is better than none.
                let _ = engine.resize_exec(&open.id, size).await;
            }
            match engine.start_exec(&container, &exec).await {
                Ok(pid) => {
                    if sender.send(said(Said::Started(pid))).await.is_err() {
                        return;
                    }
                    tokio::select! {
                        _ = exec.ended() => {}
                        () = sender.closed() => {}
                    }
                }
                Err(error) => {
                    let _ = sender.send(Err(status(error))).await;
                }
            }
        };
        tokio::spawn(work.in_current_span());
        added.await.map_err(|_| Status::internal("the exec's start ended early"))??;
        Ok(Response::new(stream(receiver)))
    }

    async fn get(&self, request: Request<pb::ExecRequest>) -> Reply<pb::Exec> {
        let exec = self.engine.get_exec(&request.get_ref().id).await.map_err(status)?;
        Ok(Response::new(exec.into()))
    }

    async fn resize(&self, request: Request<pb::ExecResizeRequest>) -> Reply<pb::ContainerResponse> {
        let request = request.get_ref();
        let size = Window { height: request.height, width: request.width };
        self.engine.resize_exec(&request.id, size).await.map_err(status)?;
        Ok(Response::new(pb::ContainerResponse {}))
    }
}
