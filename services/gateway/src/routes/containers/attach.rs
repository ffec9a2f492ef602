//! Attach to a container: to its log so far, to its running process, or both.
//!
//! A client attaches before it starts the container, and first waits for the `101`. So the gateway responds as soon as the engine has
//! found the container, and connects to the shim once that runs; the engine delays the process's start until then.

use gantry_api::engine::containers::{Attach as _, Attachment as _, client};
use gantry_api::engine::{AttachSpec, LogQuery, Opened, Streams};
use gantry_http::upgrade::Client;

use crate::call::Call;
use crate::detach::{self, Keys};
use crate::error::Error;
use crate::hijack::{self, Ended, InputEnd, Terminal};
use crate::peers::{Peers, failed};
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

/// What a client wants to attach to.
fn wish(call: &Call, id: &str) -> AttachSpec {
    let query = &call.query;
    AttachSpec {
        container: id.to_owned(),
        stdin: query.flag("stdin"),
        stdout: query.flag("stdout"),
        stderr: query.flag("stderr"),
        logs: query.flag("logs"),
        stream: query.flag("stream"),
    }
}

/// A client that is attached or waits for it.
struct Attachment {
    peers: Peers,
    wish: AttachSpec,
    opened: Opened,
    keys: Keys,
    /// The engine counts the client as attached as long as this is open.
    attached: client::Attachment,
}

impl Attachment {
    async fn open(call: &Call, wish: AttachSpec) -> Result<Self, Error> {
        let keys = Keys::parse(call.query.text("detachKeys"))?;
        let (opened, attached) = call.peers().containers().attach(wish.clone()).await.map_err(failed)?;
        Ok(Self { peers: call.peers().clone(), wish, opened, keys, attached })
    }

    async fn run(mut self, mut client: Client) {
        let terminal = Terminal::from(self.opened.tty);
        match self.serve(&mut client).await {
            Ok(Some(Ended::Detached)) => detach::publish(&self.peers, &self.opened.id, None).await,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(container = self.opened.id, %error, "attachment failed");
                // The client may be gone, too.
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
            point = self.attached.point() => point.map_err(failed)?,
            () = client.output.gone() => return Ok(None),
        };
        let Some(point) = point else { return Ok(None) };
        let stdin = self.wish.stdin && self.opened.open_stdin;
        let input_end = match (stdin, self.opened.stdin_once && !self.opened.tty) {
            (false, _) => InputEnd::Ignored,
            (true, true) => InputEnd::EndsInput,
            (true, false) => InputEnd::EndsAttachment,
        };
        let (stdout, stderr) = (self.wish.stdout, self.wish.stderr);
        let streams = Streams { stdin, stdout, stderr, stdin_once: input_end == InputEnd::EndsInput };
        let shim = point.connect(streams).await.map_err(failed)?;
        // The engine waits for this message before it starts the process; if the engine is gone, the error does not
        // matter.
        self.attached.connected().await;
        let keys = (self.opened.tty && streams.stdin).then(|| self.keys.clone());
        Ok(Some(hijack::splice(client, shim, input_end, keys).await))
    }

    async fn send_log(&self, client: &mut Client) -> Result<(), Error> {
        let request = LogQuery {
            container: self.opened.id.clone(),
            stdout: self.wish.stdout,
            stderr: self.wish.stderr,
            tail: -1,
            ..LogQuery::default()
        };
        let mut log = self.peers.containers().log(request).await.map_err(failed)?;
        client
            .copy_from(&mut log.stream)
            .await
            .and_then(|()| log.ending.check())
            .map_err(|error| Error::internal(format!("cannot send the log: {error}")))
    }
}
