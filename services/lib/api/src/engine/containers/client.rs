//! A client of the engine's containers, over its socket.

use futures::stream::{self, StreamExt};
use gantry_proto::gantry::engine::v1 as pb;
use gantry_proto::gantry::engine::v1::containers_client::ContainersClient;
use gantry_rpc::Channel;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::{Attach, Before, Connect, Force, Inspect, LIST_LIMIT, Manage, Run, Sampling, Sizes, Wait, Watch};
use crate::Failure;
use crate::call::Caller;
use crate::engine::{
    AttachPoint, AttachSpec, Change, CommitSpec, Condition, Container, CreateSpec, Created, EndpointSettings,
    Exit, Filter, ListQuery, Listing, Opened, Pruned, RemoveSpec, Stats, StopSpec, Top, Update, Window,
};

const WAIT: &str = "wait for a container";
const STATS: &str = "sample a container";
const ATTACH: &str = "attach to a container";

client!(
    /// A client of the engine's containers. Cheap to clone.
    "engine"
);

impl Client {
    fn rpc(&self) -> ContainersClient<Channel> {
        self.peers.containers().max_decoding_message_size(LIST_LIMIT).max_encoding_message_size(LIST_LIMIT)
    }
}

/// Whether a creation failed because the image does not exist.
pub fn lacks_image(failure: &Failure) -> bool {
    gantry_proto::detail::<pb::NoSuchImage>(failure.status.details()).is_some()
}

fn named(container: &str) -> pb::ContainerRequest {
    pb::ContainerRequest { container: container.to_owned() }
}

fn before(already: bool) -> Before {
    if already { Before::Already } else { Before::Otherwise }
}

impl Inspect for Client {
    async fn container(&self, name: &str, sizes: Sizes) -> Result<Container, Failure> {
        let request = pb::GetRequest { container: name.to_owned(), size: sizes == Sizes::Measured };
        self.caller.ask("look up a container", self.rpc().get(request)).await.map(Into::into)
    }

    async fn containers(&self, query: ListQuery) -> Result<Listing, Failure> {
        let request = pb::ListRequest::from(query);
        self.caller.ask("list containers", self.rpc().list(request)).await.map(Into::into)
    }

    async fn top(&self, name: &str, ps_args: &str) -> Result<Top, Failure> {
        let request = pb::TopRequest { container: name.to_owned(), ps_args: ps_args.to_owned() };
        self.caller.ask("tell a container's processes", self.rpc().top(request)).await.map(Into::into)
    }

    async fn changes(&self, name: &str) -> Result<Vec<Change>, Failure> {
        let answer = self.caller.ask("compare a container", self.rpc().changes(named(name))).await?;
        Ok(answer.changes.into_iter().map(Into::into).collect())
    }
}

impl Manage for Client {
    async fn create_container(&self, spec: CreateSpec) -> Result<Created, Failure> {
        let request = pb::CreateRequest::from(spec);
        self.caller.ask("create a container", self.rpc().create(request)).await.map(Into::into)
    }

    async fn rename_container(&self, name: &str, to: &str) -> Result<(), Failure> {
        let request = pb::RenameRequest { container: name.to_owned(), name: to.to_owned() };
        self.caller.ask("rename a container", self.rpc().rename(request)).await.map(drop)
    }

    async fn update_container(&self, name: &str, update: Update) -> Result<Vec<String>, Failure> {
        let request = pb::UpdateRequest {
            container: name.to_owned(),
            resources: update.resources.map(Into::into),
            restart_policy: update.restart_policy.map(Into::into),
        };
        Ok(self.caller.ask("update a container", self.rpc().update(request)).await?.warnings)
    }

    async fn remove_container(&self, spec: RemoveSpec) -> Result<(), Failure> {
        let request = pb::RemoveRequest::from(spec);
        self.caller.ask("remove a container", self.rpc().remove(request)).await.map(drop)
    }

    async fn prune_containers(&self, filters: &[Filter]) -> Result<Pruned, Failure> {
        let request = pb::PruneRequest { filters: filters.iter().cloned().map(Into::into).collect() };
        self.caller.ask("prune containers", self.rpc().prune(request)).await.map(Into::into)
    }

    async fn commit_container(&self, spec: CommitSpec) -> Result<String, Failure> {
        let request = pb::CommitRequest::from(spec);
        Ok(self.caller.ask("make an image of a container", self.rpc().commit(request)).await?.id)
    }
}

impl Run for Client {
    async fn start_container(&self, name: &str) -> Result<Before, Failure> {
        let request = pb::StartRequest { container: name.to_owned() };
        let started = self.caller.ask("start a container", self.rpc().start(request)).await?;
        Ok(before(started.already_started))
    }

    async fn stop_container(&self, spec: StopSpec) -> Result<Before, Failure> {
        let request = pb::StopRequest::from(spec);
        let stopped = self.caller.ask("stop a container", self.rpc().stop(request)).await?;
        Ok(before(stopped.already_stopped))
    }

    async fn restart_container(&self, spec: StopSpec) -> Result<(), Failure> {
        let request = pb::StopRequest::from(spec);
        self.caller.ask("restart a container", self.rpc().restart(request)).await.map(drop)
    }

    async fn kill_container(&self, name: &str, signal: &str) -> Result<(), Failure> {
        let request = pb::KillRequest { container: name.to_owned(), signal: signal.to_owned() };
        self.caller.ask("kill a container", self.rpc().kill(request)).await.map(drop)
    }

    async fn pause_container(&self, name: &str) -> Result<(), Failure> {
        self.caller.ask("pause a container", self.rpc().pause(named(name))).await.map(drop)
    }

    async fn unpause_container(&self, name: &str) -> Result<(), Failure> {
        self.caller.ask("unpause a container", self.rpc().unpause(named(name))).await.map(drop)
    }

    async fn resize_container(&self, name: &str, size: Window) -> Result<(), Failure> {
        let Window { height, width } = size;
        let request = pb::ResizeRequest { container: name.to_owned(), height, width };
        self.caller.ask("resize a container's terminal", self.rpc().resize(request)).await.map(drop)
    }
}

/// A wait in progress; dropping it ends the wait.
#[derive(Debug)]
pub struct Waiting {
    caller: Caller,
    stream: Streaming<pb::WaitResponse>,
}

impl Wait for Client {
    type Waiting = Waiting;

    async fn wait_for(&self, name: &str, condition: Condition) -> Result<Waiting, Failure> {
        let condition = pb::wait_request::Condition::from(condition).into();
        let request = pb::WaitRequest { container: name.to_owned(), condition };
        let mut stream = self.caller.ask(WAIT, self.rpc().wait(request)).await?;
        match self.caller.hear(WAIT, stream.message()).await?.and_then(|message| message.event) {
            Some(pb::wait_response::Event::Registered(_)) => Ok(Waiting { caller: self.caller, stream }),
            _ => Err(self.caller.failed(WAIT, Status::internal("the engine did not register the wait"))),
        }
    }
}

impl super::Waiting for Waiting {
    type Error = Failure;

    async fn exit(mut self) -> Result<Option<Exit>, Failure> {
        while let Some(message) = self.caller.hear(WAIT, self.stream.message()).await? {
            if let Some(pb::wait_response::Event::Exit(exit)) = message.event {
                return Ok(Some(exit.into()));
            }
        }
        Ok(None)
    }
}

/// A series of samples; dropping it ends the sampling.
#[derive(Debug)]
pub struct Samples {
    caller: Caller,
    stream: Streaming<pb::StatsResponse>,
}

impl Watch for Client {
    type Samples = Samples;

    async fn stats(&self, name: &str, sampling: Sampling) -> Result<Samples, Failure> {
        let (stream, one_shot) = (sampling == Sampling::Stream, sampling == Sampling::AtOnce);
        let request = pb::StatsRequest { container: name.to_owned(), stream, one_shot };
        let stream = self.caller.ask(STATS, self.rpc().stats(request)).await?;
        Ok(Samples { caller: self.caller, stream })
    }
}

impl super::Samples for Samples {
    type Error = Failure;

    async fn next(&mut self) -> Result<Option<Stats>, Failure> {
        Ok(self.caller.hear(STATS, self.stream.message()).await?.map(Into::into))
    }
}

/// An attachment, which lasts as long as the call is open.
#[derive(Debug)]
pub struct Attachment {
    caller: Caller,
    asks: mpsc::Sender<pb::AttachRequest>,
    answers: Streaming<pb::AttachResponse>,
}

impl Attach for Client {
    type Attachment = Attachment;

    async fn attach(&self, spec: AttachSpec) -> Result<(Opened, Attachment), Failure> {
        let open = pb::attach_request::Message::Open(spec.into());
        let (asks, rest) = mpsc::channel(1);
        let first = pb::AttachRequest { message: Some(open) };
        let requests = stream::iter([first]).chain(ReceiverStream::new(rest));
        let mut answers = self.caller.ask(ATTACH, self.rpc().attach(requests)).await?;
        match self.caller.hear(ATTACH, answers.message()).await?.and_then(|answer| answer.message) {
            Some(pb::attach_response::Message::Opened(opened)) => {
                Ok((opened.into(), Attachment { caller: self.caller, asks, answers }))
            }
            _ => {
                let status = Status::internal("the engine did not open the attachment");
                Err(self.caller.failed(ATTACH, status))
            }
        }
    }
}

impl super::Attachment for Attachment {
    type Error = Failure;

    async fn point(&mut self) -> Result<Option<AttachPoint>, Failure> {
        use pb::attach_response::Message;
        while let Some(answer) = self.caller.hear(ATTACH, self.answers.message()).await? {
            match answer.message {
                Some(Message::Point(point)) => return Ok(Some(point.into())),
                Some(Message::Closed(_)) => return Ok(None),
                Some(Message::Opened(_)) | None => {}
            }
        }
        Ok(None)
    }

    async fn connected(&mut self) {
        let connected = pb::attach_request::Message::Connected(true);
        let _ = self.asks.send(pb::AttachRequest { message: Some(connected) }).await;
    }
}

impl Connect for Client {
    async fn connect_container(
        &self,
        name: &str,
        network: &str,
        settings: EndpointSettings,
    ) -> Result<(), Failure> {
        let request = pb::ConnectRequest {
            container: name.to_owned(),
            network: network.to_owned(),
            settings: Some(settings.into()),
        };
        self.caller.ask("connect a container", self.rpc().connect(request)).await.map(drop)
    }

    async fn disconnect_container(&self, name: &str, network: &str, force: Force) -> Result<(), Failure> {
        let request = pb::DisconnectRequest {
            container: name.to_owned(),
            network: network.to_owned(),
            force: force == Force::Yes,
        };
        self.caller.ask("disconnect a container", self.rpc().disconnect(request)).await.map(drop)
    }
}
