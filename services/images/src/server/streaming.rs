//! `containerd.services.streaming.v1.Streaming`.

use std::pin::Pin;

use futures::Stream;
use gantry_proto::containerd::services::streaming::v1::StreamInit;
use gantry_proto::containerd::services::streaming::v1::streaming_server::Streaming as Api;
use gantry_rpc::{carry, context, status};
use prost_types::Any;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::streams::{Opened, Streams};

/// Serves the streams that transfers take.
pub struct Streaming {
    streams: Streams,
}

impl Streaming {
    /// Makes streams of these.
    pub fn new(streams: Streams) -> Self {
        Self { streams }
    }
}

type Answers = mpsc::Sender<Result<Any, Status>>;

#[tonic::async_trait]
impl Api for Streaming {
    type StreamStream = Pin<Box<dyn Stream<Item = Result<Any, Status>> + Send>>;

    async fn stream(
        &self,
        request: Request<tonic::Streaming<Any>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        // Streams are kept by namespace, but none is insisted on.
        let namespace =
            context::namespace(&request).map(|namespace| namespace.to_string()).unwrap_or_default();
        let streams = self.streams.clone();
        let mut messages = request.into_inner();
        let (answers, answered) = mpsc::channel(1);
        let conversation = async move {
            match begin(&streams, &namespace, &mut messages).await {
                Ok(Some(opened)) => converse(opened, messages, &answers).await,
                Ok(None) => {}
                Err(status) => drop(answers.send(Err(status)).await),
            }
        };
        carry::start(conversation);
        Ok(Response::new(Box::pin(ReceiverStream::new(answered))))
    }
}

/// Reads which stream the client wants; none when it went away before it said so.
async fn begin(
    streams: &Streams,
    namespace: &str,
    messages: &mut tonic::Streaming<Any>,
) -> Result<Option<Opened>, Status> {
    let Some(first) = messages.message().await? else { return Ok(None) };
    let init = gantry_proto::unpack::<StreamInit>(&first)
        .ok_or_else(|| Status::invalid_argument(format!("a stream begins with no {:?}", first.type_url)))?
        .map_err(|error| Status::invalid_argument(format!("a stream's beginning: {error}")))?;
    streams.open(namespace, &init.id).map(Some).map_err(status)
}

/// Passes messages on until the user of the stream drops it, or the client is gone.
async fn converse(mut opened: Opened, mut messages: tonic::Streaming<Any>, answers: &Answers) {
    let there = Any { type_url: "google.protobuf.Empty".into(), value: Vec::new() };
    if answers.send(Ok(there)).await.is_err() {
        return;
    }
    let to = opened.take_input();
    let inwards = async {
        while let Ok(message) = messages.message().await {
            match (&to, message) {
                // The user of the stream may have dropped its receiver.
                (Some(to), Some(message)) => drop(to.send(message).await),
                _ => {
                    // The client has no more to say, but listens.
                    drop(to);
                    return std::future::pending().await;
                }
            }
        }
    };
    let outwards = async {
        while let Some(message) = opened.from.recv().await {
            if answers.send(Ok(message)).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = inwards => {}
        () = outwards => {}
        () = answers.closed() => {}
    }
}
