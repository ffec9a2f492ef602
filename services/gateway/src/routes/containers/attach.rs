//! Attaching to a container: the log so far, the running process, or both.
//!
//! A client attaches before it starts the container, and waits for our `101` first. So the response leaves as soon as the
//! engine knows the container, and the shim is connected to when it is there; the engine holds the start back until then.

use futures::{StreamExt, stream};
use gantry_http::upgrade::Client;
use gantry_proto::gantry::engine::v1 as engine;
use gantry_proto::gantry::engine::v1::attach_request::{Message as Ask, Open};
use gantry_proto::gantry::engine::v1::attach_response::{Message as Answer, Opened};
use gantry_proto::gantry::engine::v1::data_request::Logs;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::attach_point::{self, Streams};
use crate::call::Call;
use crate::detach::{self, Keys};
use crate::error::Error;
use crate::hijack::{self, Ended, InputEnd, Terminal};
use crate::peers::{ENGINE, Peers, of};
use crate::response::{self, Response};
use crate::websocket;

/// `POST /containers/{id}/attach`
pub async fn attach(mut call: Call, id: &str) -> Response {
    match open(&mut call, id).await {
        Ok(response) => response,
        Err(error) => response::stream_error(&error),
    }
}

/// `GET /containers/{id}/attach/ws`
pub async fn attach_websocket(mut call: Call, id: &str) -> Result<Response, Error> {
    let response = websocket::accept(call.headers())?;
    let mut wish = wish(&call, id);
    if !call.version.at_least(42) {
        (wish.stdin, wish.stdout, wish.stderr) = (true, true, true);
    }
    let attachment = Attachment::open(&call, wish).await?;
    let terminal = Terminal::from(attachment.opened.tty);
    hijack::take_over_by(&mut call, response, move |client| async move {
        let carried = websocket::carry(client, terminal, |inside| attachment.run(inside));
        if let Err(error) = carried.await {
            tracing::warn!(%error, "a WebSocket was not served");
        }
    })
}

async fn open(call: &mut Call, id: &str) -> Result<Response, Error> {
    let attachment = Attachment::open(call, wish(call, id)).await?;
    let terminal = Terminal::from(attachment.opened.tty);
    hijack::take_over(call, terminal, move |client| attachment.run(client))
}

/// What a client wants to be attached to.
fn wish(call: &Call, id: &str) -> Open {
    let query = &call.query;
    Open {
        container: id.to_owned(),
        stdin: query.flag("stdin"),
        stdout: query.flag("stdout"),
        stderr: query.flag("stderr"),
        logs: query.flag("logs"),
        stream: query.flag("stream"),
    }
}

/// A client that is or will be attached.
struct Attachment {
    peers: Peers,
    wish: Open,
    opened: Opened,
    keys: Keys,
    /// Open as long as we are attached.
    asks: mpsc::Sender<engine::AttachRequest>,
    answers: Streaming<engine::AttachResponse>,
}

impl Attachment {
    async fn open(call: &Call, wish: Open) -> Result<Self, Error> {
        let keys = Keys::parse(call.query.text("detachKeys"))?;
        let (asks, receiver) = mpsc::channel(2);
        let first = engine::AttachRequest { message: Some(Ask::Open(wish.clone())) };
        let requests = stream::iter([first]).chain(ReceiverStream::new(receiver));
        let mut answers = call.peers().containers().attach(requests).await.map_err(of(ENGINE))?.into_inner();
        let Some(Answer::Opened(opened)) =
            answers.message().await.map_err(of(ENGINE))?.and_then(|answer| answer.message)
        else {
            return Err(Error::internal("the engine did not open the attachment"));
        };
        Ok(Self { peers: call.peers().clone(), wish, opened, keys, asks, answers })
    }

    async fn run(mut self, mut client: Client) {
        let terminal = Terminal::from(self.opened.tty);
        match self.serve(&mut client).await {
            Ok(Some(Ended::Detached)) => detach::publish(&self.peers, &self.opened.id, None).await,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(container = self.opened.id, %error, "attachment failed");
                // The client may be gone as well.
                let _ = hijack::tell(&mut client, terminal, &error.to_string()).await;
            }
        }
        client.close().await;
    }

    async fn serve(&mut self, client: &mut Client) -> Result<Option<Ended>, Error> {
        if self.wish.logs && (self.wish.stdout || self.wish.stderr) {
            self.send_log(client).await?;
        }
        if !self.wish.stream {
            return Ok(None);
        }
        let point = tokio::select! {
            point = next_point(&mut self.answers) => point?,
            () = client.output.gone() => return Ok(None),
        };
        let Some(point) = point else { return Ok(None) };
        let streams = Streams {
            stdin: self.wish.stdin && self.opened.open_stdin,
            stdout: self.wish.stdout,
            stderr: self.wish.stderr,
        };
        let input_end = match (streams.stdin, self.opened.stdin_once && !self.opened.tty) {
            (false, _) => InputEnd::Ignored,
            (true, true) => InputEnd::EndsInput,
            (true, false) => InputEnd::EndsAttachment,
        };
        let shim = attach_point::connect(&point, streams, input_end == InputEnd::EndsInput).await?;
        // A start waits for this word; an engine that is gone by now needs none.
        let _ = self.asks.send(engine::AttachRequest { message: Some(Ask::Connected(true)) }).await;
        let keys = (self.opened.tty && streams.stdin).then(|| self.keys.clone());
        Ok(Some(hijack::splice(client, shim, input_end, keys).await))
    }

    async fn send_log(&self, client: &mut Client) -> Result<(), Error> {
        let request = Logs {
            container: self.opened.id.clone(),
            stdout: self.wish.stdout,
            stderr: self.wish.stderr,
            tail: -1,
            ..Logs::default()
        };
        let (mut log, _, ending) = self.peers.log(request).await?;
        client
            .copy_from(&mut log)
            .await
            .and_then(|()| ending.check())
            .map_err(|error| Error::internal(format!("cannot send the log: {error}")))
    }
}

/// Waits until there is a process to attach to; `None` when there will be none.
async fn next_point(
    answers: &mut Streaming<engine::AttachResponse>,
) -> Result<Option<engine::AttachPoint>, Error> {
    while let Some(answer) = answers.message().await.map_err(of(ENGINE))? {
        match answer.message {
            Some(Answer::Point(point)) => return Ok(Some(point)),
            Some(Answer::Closed(_)) => return Ok(None),
            Some(Answer::Opened(_)) | None => {}
        }
    }
    Ok(None)
}
