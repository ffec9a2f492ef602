//! `gantry.engine.v1.Containers`, served by any implementation of the containers' interface.

use std::pin::Pin;

use futures::future::ready;
use futures::stream::{self, Stream, StreamExt};
use gantry_proto::gantry::engine::v1 as pb;
use gantry_rpc::{Code, carry, status};
use pb::containers_server::{Containers, ContainersServer};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{Before, Force, LIST_LIMIT, Samples as _, Sampling, Service, Sizes, Waiting as _};
use crate::engine::{Filter, StopSpec, Update, Window};
use crate::peers::MESSAGE_LIMIT;
use crate::to_the_end;

type Reply<T> = Result<Response<T>, Status>;
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

const DONE: pb::ContainerResponse = pb::ContainerResponse {};

/// The service over an implementation.
pub fn service<S: Service + Clone + 'static>(service: S) -> ContainersServer<Server<S>> {
    ContainersServer::new(Server(service))
        .max_decoding_message_size(MESSAGE_LIMIT)
        .max_encoding_message_size(LIST_LIMIT)
}

/// The error for a missing image, with the details by which [`lacks_image`](super::lacks_image) recognizes it.
pub fn lacking_image(reference: &str, code: Code, message: &str) -> Vec<u8> {
    let detail = pb::NoSuchImage { reference: reference.to_owned() };
    gantry_proto::details(tonic::Code::from(code).into(), message, &detail)
}

/// Parses requests, calls the implementation, converts answers. A change continues if its client disconnects, because
/// half a removal, or half a rename, would stay until the engine is started again.
#[derive(Debug, Clone)]
pub struct Server<S>(S);

fn is_so_already(before: Before) -> bool {
    before == Before::Already
}

#[tonic::async_trait]
impl<S: Service + Clone + 'static> Containers for Server<S> {
    type WaitStream = Answers<pb::WaitResponse>;
    type AttachStream = Answers<pb::AttachResponse>;
    type StatsStream = Answers<pb::StatsResponse>;

    async fn create(&self, request: Request<pb::CreateRequest>) -> Reply<pb::CreateResponse> {
        let (service, spec) = (self.0.clone(), request.into_inner().into());
        let made = to_the_end(async move { service.create_container(spec).await }).await?;
        Ok(Response::new(made.into()))
    }

    async fn start(&self, request: Request<pb::StartRequest>) -> Reply<pb::StartResponse> {
        let (service, name) = (self.0.clone(), request.into_inner().container);
        let before = to_the_end(async move { service.start_container(&name).await }).await?;
        Ok(Response::new(pb::StartResponse { already_started: is_so_already(before) }))
    }

    async fn stop(&self, request: Request<pb::StopRequest>) -> Reply<pb::StopResponse> {
        let (service, spec) = (self.0.clone(), request.into_inner().into());
        let before = to_the_end(async move { service.stop_container(spec).await }).await?;
        Ok(Response::new(pb::StopResponse { already_stopped: is_so_already(before) }))
    }

    async fn restart(&self, request: Request<pb::StopRequest>) -> Reply<pb::StopResponse> {
        let (service, spec) = (self.0.clone(), StopSpec::from(request.into_inner()));
        to_the_end(async move { service.restart_container(spec).await }).await?;
        Ok(Response::new(pb::StopResponse { already_stopped: false }))
    }

    async fn kill(&self, request: Request<pb::KillRequest>) -> Reply<pb::ContainerResponse> {
        let (service, request) = (self.0.clone(), request.into_inner());
        to_the_end(async move { service.kill_container(&request.container, &request.signal).await }).await?;
        Ok(Response::new(DONE))
    }

    async fn pause(&self, request: Request<pb::ContainerRequest>) -> Reply<pb::ContainerResponse> {
        let (service, name) = (self.0.clone(), request.into_inner().container);
        to_the_end(async move { service.pause_container(&name).await }).await?;
        Ok(Response::new(DONE))
    }

    async fn unpause(&self, request: Request<pb::ContainerRequest>) -> Reply<pb::ContainerResponse> {
        let (service, name) = (self.0.clone(), request.into_inner().container);
        to_the_end(async move { service.unpause_container(&name).await }).await?;
        Ok(Response::new(DONE))
    }

    async fn rename(&self, request: Request<pb::RenameRequest>) -> Reply<pb::ContainerResponse> {
        let (service, request) = (self.0.clone(), request.into_inner());
        to_the_end(async move { service.rename_container(&request.container, &request.name).await }).await?;
        Ok(Response::new(DONE))
    }

    async fn update(&self, request: Request<pb::UpdateRequest>) -> Reply<pb::UpdateResponse> {
        let (service, mut request) = (self.0.clone(), request.into_inner());
        let (name, update) = (std::mem::take(&mut request.container), Update::from(request));
        let warnings = to_the_end(async move { service.update_container(&name, update).await }).await?;
        Ok(Response::new(pb::UpdateResponse { warnings }))
    }

    async fn remove(&self, request: Request<pb::RemoveRequest>) -> Reply<pb::ContainerResponse> {
        let (service, spec) = (self.0.clone(), request.into_inner().into());
        to_the_end(async move { service.remove_container(spec).await }).await?;
        Ok(Response::new(DONE))
    }

    async fn commit(&self, request: Request<pb::CommitRequest>) -> Reply<pb::CommitResponse> {
        let (service, spec) = (self.0.clone(), request.into_inner().into());
        let id = to_the_end(async move { service.commit_container(spec).await }).await?;
        Ok(Response::new(pb::CommitResponse { id }))
    }

    async fn prune(&self, request: Request<pb::PruneRequest>) -> Reply<pb::PruneResponse> {
        let filters: Vec<Filter> = request.into_inner().filters.into_iter().map(Into::into).collect();
        let service = self.0.clone();
        let pruned = to_the_end(async move { service.prune_containers(&filters).await }).await?;
        Ok(Response::new(pruned.into()))
    }

    async fn connect(&self, request: Request<pb::ConnectRequest>) -> Reply<pb::ContainerResponse> {
        let (service, request) = (self.0.clone(), request.into_inner());
        let settings = request.settings.unwrap_or_default().into();
        let work =
            async move { service.connect_container(&request.container, &request.network, settings).await };
        to_the_end(work).await?;
        Ok(Response::new(DONE))
    }

    async fn disconnect(&self, request: Request<pb::DisconnectRequest>) -> Reply<pb::ContainerResponse> {
        let (service, request) = (self.0.clone(), request.into_inner());
        let force = if request.force { Force::Yes } else { Force::No };
        let work =
            async move { service.disconnect_container(&request.container, &request.network, force).await };
        to_the_end(work).await?;
        Ok(Response::new(DONE))
    }

    async fn get(&self, request: Request<pb::GetRequest>) -> Reply<pb::Container> {
        let request = request.get_ref();
        let sizes = if request.size { Sizes::Measured } else { Sizes::Untold };
        let found = self.0.container(&request.container, sizes).await.map_err(status)?;
        Ok(Response::new(found.into()))
    }

    async fn list(&self, request: Request<pb::ListRequest>) -> Reply<pb::ListResponse> {
        let listing = self.0.containers(request.into_inner().into()).await.map_err(status)?;
        Ok(Response::new(listing.into()))
    }

    async fn top(&self, request: Request<pb::TopRequest>) -> Reply<pb::TopResponse> {
        let request = request.get_ref();
        let top = self.0.top(&request.container, &request.ps_args).await.map_err(status)?;
        Ok(Response::new(top.into()))
    }

    async fn changes(&self, request: Request<pb::ContainerRequest>) -> Reply<pb::ChangesResponse> {
        let changes = self.0.changes(&request.get_ref().container).await.map_err(status)?;
        let changes = changes.into_iter().map(Into::into).collect();
        Ok(Response::new(pb::ChangesResponse { changes }))
    }

    async fn resize(&self, request: Request<pb::ResizeRequest>) -> Reply<pb::ContainerResponse> {
        let request = request.get_ref();
        let size = Window { height: request.height, width: request.width };
        self.0.resize_container(&request.container, size).await.map_err(status)?;
        Ok(Response::new(DONE))
    }

    async fn wait(&self, request: Request<pb::WaitRequest>) -> Reply<Self::WaitStream> {
        use pb::wait_response::Event;
        let request = request.get_ref();
        let waiting = self.0.wait_for(&request.container, request.condition().into()).await;
        let exit = waiting.map_err(status)?.exit();
        let said = |event| pb::WaitResponse { event: Some(event) };
        let registered = stream::iter([Ok(said(Event::Registered(true)))]);
        let ended = stream::once(exit).filter_map(move |exit| {
            let exit = exit.map(|exit| exit.map(|exit| said(Event::Exit(exit.into()))));
            ready(exit.map_err(status).transpose())
        });
        Ok(Response::new(Box::pin(registered.chain(ended))))
    }

    async fn stats(&self, request: Request<pb::StatsRequest>) -> Reply<Self::StatsStream> {
        let request = request.get_ref();
        let sampling = match (request.stream, request.one_shot) {
            (true, _) => Sampling::Stream,
            (false, false) => Sampling::Once,
            (false, true) => Sampling::AtOnce,
        };
        let samples = self.0.stats(&request.container, sampling).await.map_err(status)?;
        let samples = stream::unfold(samples, |mut samples| async {
            let next = samples.next().await.transpose()?;
            Some((next.map(Into::into).map_err(status), samples))
        });
        Ok(Response::new(Box::pin(samples)))
    }

    async fn attach(&self, request: Request<Streaming<pb::AttachRequest>>) -> Reply<Self::AttachStream> {
        use pb::attach_request::Message as Asked;
        let mut requests = request.into_inner();
        let open = match requests.message().await? {
            Some(pb::AttachRequest { message: Some(Asked::Open(open)) }) => open,
            _ => return Err(Status::invalid_argument("the first message must be open")),
        };
        let follows = open.stream;
        let (opened, attachment) = self.0.attach(open.into()).await.map_err(status)?;
        let opened = pb::attach_response::Message::Opened(opened.into());
        let opened = stream::iter([Ok(pb::AttachResponse { message: Some(opened) })]);
        if !follows {
            return Ok(Response::new(Box::pin(opened)));
        }
        let (answers, rest) = mpsc::channel(1);
        carry::beside(follow(attachment, requests, answers));
        Ok(Response::new(Box::pin(opened.chain(ReceiverStream::new(rest)))))
    }
}

/// Tells an attaching client where to connect, and waits for its report that it is connected. Counts it as attached
/// until it has gone.
async fn follow<A: super::Attachment>(
    mut attachment: A,
    mut requests: Streaming<pb::AttachRequest>,
    answers: mpsc::Sender<Result<pb::AttachResponse, Status>>,
) {
    use pb::attach_request::Message as Asked;
    use pb::attach_response::Message as Said;
    let point = tokio::select! {
        point = attachment.point() => point,
        // The client sends nothing before it has the point, so any message means its end.
        _ = requests.message() => return,
        () = answers.closed() => return,
    };
    let answer = point.map(|point| point.map_or(Said::Closed(true), |point| Said::Point(point.into())));
    let answer = answer.map(|said| pb::AttachResponse { message: Some(said) }).map_err(status);
    if answers.send(answer).await.is_err() {
        return;
    }
    while let Ok(Some(message)) = requests.message().await {
        if matches!(message.message, Some(Asked::Connected(_))) {
            attachment.connected().await;
        }
    }
}
