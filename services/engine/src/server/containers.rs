//! `gantry.engine.v1.Containers`.

use std::time::Duration;

use gantry_api::engine::{Sample, Window};
use gantry_proto::gantry::engine::v1 as pb;
use gantry_rpc::status;
use pb::containers_server::Containers;
use tokio::sync::mpsc;
use tonic::{Request, Response, Status, Streaming};

use super::{Answers, Server, filters, stream, whole};
use crate::container::Container;

type Reply<T> = Result<Response<T>, Status>;

const DONE: pb::ContainerResponse = pb::ContainerResponse {};

#[tonic::async_trait]
impl Containers for Server {
    type WaitStream = Answers<pb::WaitResponse>;
    type AttachStream = Answers<pb::AttachResponse>;
    type StatsStream = Answers<pb::StatsResponse>;

    async fn create(&self, request: Request<pb::CreateRequest>) -> Reply<pb::CreateResponse> {
        let (engine, request) = (self.engine.clone(), request.into_inner());
        whole(async move { engine.create(request.into()).await }).await.map(|made| Response::new(made.into()))
    }

    async fn start(&self, request: Request<pb::StartRequest>) -> Reply<pb::StartResponse> {
        let (engine, name) = (self.engine.clone(), request.into_inner().container);
        let fresh = whole(async move { engine.start(&name).await }).await?;
        Ok(Response::new(pb::StartResponse { already_started: !fresh }))
    }

    async fn stop(&self, request: Request<pb::StopRequest>) -> Reply<pb::StopResponse> {
        let (engine, request) = (self.engine.clone(), request.into_inner());
        let stopped = whole(async move { engine.stop(&request.into()).await }).await?;
        Ok(Response::new(pb::StopResponse { already_stopped: !stopped }))
    }

    async fn restart(&self, request: Request<pb::StopRequest>) -> Reply<pb::StopResponse> {
        let (engine, request) = (self.engine.clone(), request.into_inner());
        whole(async move { engine.restart(&request.into()).await }).await?;
        Ok(Response::new(pb::StopResponse { already_stopped: false }))
    }

    async fn kill(&self, request: Request<pb::KillRequest>) -> Reply<pb::ContainerResponse> {
        let (engine, request) = (self.engine.clone(), request.into_inner());
        whole(async move { engine.kill(&request.container, &request.signal).await }).await?;
        Ok(Response::new(DONE))
    }

    async fn pause(&self, request: Request<pb::ContainerRequest>) -> Reply<pb::ContainerResponse> {
        let (engine, name) = (self.engine.clone(), request.into_inner().container);
        whole(async move { engine.pause(&name).await }).await?;
        Ok(Response::new(DONE))
    }

    async fn unpause(&self, request: Request<pb::ContainerRequest>) -> Reply<pb::ContainerResponse> {
        let (engine, name) = (self.engine.clone(), request.into_inner().container);
        whole(async move { engine.unpause(&name).await }).await?;
        Ok(Response::new(DONE))
    }

    async fn rename(&self, request: Request<pb::RenameRequest>) -> Reply<pb::ContainerResponse> {
        let (engine, request) = (self.engine.clone(), request.into_inner());
        whole(async move { engine.rename(&request.container, &request.name).await }).await?;
        Ok(Response::new(DONE))
    }

    async fn update(&self, request: Request<pb::UpdateRequest>) -> Reply<pb::UpdateResponse> {
        let (engine, mut request) = (self.engine.clone(), request.into_inner());
        let name = std::mem::take(&mut request.container);
        let warnings = whole(async move { engine.update(&name, request.into()).await }).await?;
        Ok(Response::new(pb::UpdateResponse { warnings }))
    }

    async fn remove(&self, request: Request<pb::RemoveRequest>) -> Reply<pb::ContainerResponse> {
        let (engine, request) = (self.engine.clone(), request.into_inner());
        whole(async move { engine.remove(&request.into()).await }).await?;
        Ok(Response::new(DONE))
    }

    async fn commit(&self, request: Request<pb::CommitRequest>) -> Reply<pb::CommitResponse> {
        let (engine, request) = (self.engine.clone(), request.into_inner());
        let id = whole(async move { engine.commit(request.into()).await }).await?;
        Ok(Response::new(pb::CommitResponse { id }))
    }

    async fn wait(&self, request: Request<pb::WaitRequest>) -> Reply<Self::WaitStream> {
        use pb::wait_response::Event;
        let request = request.get_ref();
        let waiting = self.engine.wait(&request.container, request.condition().into()).map_err(status)?;
        let (sender, receiver) = mpsc::channel(2);
        tokio::spawn(async move {
            let said = |event| Ok(pb::WaitResponse { event: Some(event) });
            if sender.send(said(Event::Registered(true))).await.is_err() {
                return;
            }
            tokio::select! {
                exit = waiting.result() => {
                    // A caller that has gone does not want to know.
                    let _ = sender.send(said(Event::Exit(exit.into()))).await;
                }
                () = sender.closed() => {}
            }
        });
        Ok(Response::new(stream(receiver)))
    }

    async fn get(&self, request: Request<pb::GetRequest>) -> Reply<pb::Container> {
        let request = request.get_ref();
        let found = self.engine.get(&request.container, request.size).await.map_err(status)?;
        Ok(Response::new(found.into()))
    }

    async fn list(&self, request: Request<pb::ListRequest>) -> Reply<pb::ListResponse> {
        let listing = self.engine.list(&request.into_inner().into()).await.map_err(status)?;
        Ok(Response::new(listing.into()))
    }

    async fn attach(&self, request: Request<Streaming<pb::AttachRequest>>) -> Reply<Self::AttachStream> {
        use pb::attach_request::Message as Asked;
        use pb::attach_response::Message as Said;
        let mut requests = request.into_inner();
        let open = match requests.message().await? {
            Some(pb::AttachRequest { message: Some(Asked::Open(open)) }) => open,
            _ => return Err(Status::invalid_argument("the first message must be open")),
        };
        let follows = open.stream;
        let (opened, mut attachment) = self.engine.attach(&open.into()).map_err(status)?;
        let (sender, receiver) = mpsc::channel(4);
        let said = |message| Ok(pb::AttachResponse { message: Some(message) });
        // The channel has room: this does not wait.
        let _ = sender.send(said(Said::Opened(opened.into()))).await;
        if !follows {
            return Ok(Response::new(stream(receiver)));
        }
        tokio::spawn(async move {
            let point = tokio::select! {
                point = attachment.point() => point,
                // Nothing is expected before the point: whatever comes is the caller's end.
                _ = requests.message() => return,
                () = sender.closed() => return,
            };
            let answer = match point {
                Some(point) => Said::Point(point.into()),
                None => Said::Closed(true),
            };
            if sender.send(said(answer)).await.is_err() {
                return;
            }
            while let Ok(Some(message)) = requests.message().await {
                if matches!(message.message, Some(Asked::Connected(_))) {
                    attachment.announced.arrived();
                }
            }
        });
        Ok(Response::new(stream(receiver)))
    }

    async fn resize(&self, request: Request<pb::ResizeRequest>) -> Reply<pb::ContainerResponse> {
        let request = request.get_ref();
        let size = Window { height: request.height, width: request.width };
        self.engine.resize(&request.container, size).await.map_err(status)?;
        Ok(Response::new(DONE))
    }

    async fn top(&self, request: Request<pb::TopRequest>) -> Reply<pb::TopResponse> {
        let request = request.get_ref();
        let top = self.engine.top(&request.container, &request.ps_args).await.map_err(status)?;
        Ok(Response::new(top.into()))
    }

    async fn stats(&self, request: Request<pb::StatsRequest>) -> Reply<Self::StatsStream> {
        let request = request.into_inner();
        let container = self.engine.index.find(&request.container).map_err(status)?;
        let engine = self.engine.clone();
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            let mut previous = None;
            // Without a stream one message is wanted, and it is of two samples unless the caller is in a hurry.
            let mut hold_back = !request.stream && !request.one_shot;
            loop {
                let current = match engine.sample(&container).await {
                    Ok(current) => current,
                    Err(error) => {
                        let _ = sender.send(Err(status(error))).await;
                        return;
                    }
                };
                let running = current.is_some();
                if !(hold_back && running) {
                    let message = message(&container, current.clone(), previous.take());
                    if sender.send(Ok(message)).await.is_err() || !request.stream {
                        return;
                    }
                }
                if container.life().is_removed() {
                    return;
                }
                hold_back = false;
                previous = current;
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_secs(1)) => {}
                    () = sender.closed() => return,
                }
            }
        });
        Ok(Response::new(stream(receiver)))
    }

    async fn changes(&self, request: Request<pb::ContainerRequest>) -> Reply<pb::ChangesResponse> {
        let changes = self.engine.changes(&request.get_ref().container).await.map_err(status)?;
        let changes = changes.into_iter().map(Into::into).collect();
        Ok(Response::new(pb::ChangesResponse { changes }))
    }

    async fn prune(&self, request: Request<pb::PruneRequest>) -> Reply<pb::PruneResponse> {
        let (engine, filters) = (self.engine.clone(), filters(request.into_inner().filters));
        let pruned = whole(async move { engine.prune(&filters).await }).await?;
        Ok(Response::new(pruned.into()))
    }

    async fn connect(&self, request: Request<pb::ConnectRequest>) -> Reply<pb::ContainerResponse> {
        let (engine, request) = (self.engine.clone(), request.into_inner());
        let settings = request.settings.unwrap_or_default().into();
        whole(async move { engine.connect(&request.container, &request.network, settings).await }).await?;
        Ok(Response::new(DONE))
    }

    async fn disconnect(&self, request: Request<pb::DisconnectRequest>) -> Reply<pb::ContainerResponse> {
        let (engine, request) = (self.engine.clone(), request.into_inner());
        whole(async move { engine.disconnect(&request.container, &request.network, request.force).await })
            .await?;
        Ok(Response::new(DONE))
    }
}

fn message(container: &Container, current: Option<Sample>, previous: Option<Sample>) -> pb::StatsResponse {
    pb::StatsResponse {
        id: container.id().to_owned(),
        name: container.name(),
        current: current.map(Into::into),
        previous: previous.map(Into::into),
    }
}
