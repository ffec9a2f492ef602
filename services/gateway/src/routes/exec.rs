//! Further processes in containers.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::{StreamExt, stream};
use gantry_http::upgrade::Client;
use gantry_proto::gantry::engine::v1 as engine;
use gantry_proto::gantry::engine::v1::exec_start_request::{Message as Ask, Open};
use gantry_proto::gantry::engine::v1::exec_start_response::Message as Answer;
use http::StatusCode;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::containers;
use crate::attach_point::{self, Streams};
use crate::call::Call;
use crate::detach::{self, Keys};
use crate::error::Error;
use crate::hijack::{self, Ended, InputEnd, Terminal};
use crate::multiplex;
use crate::peers::{ENGINE, Peers, of};
use crate::response::{self, Response};
use crate::wire::IdResponse;
use crate::wire::exec::{ExecRequest, Inspect, ProcessConfig, StartRequest};

/// A client asks for the exit code as soon as the output has ended: so long we wait for the engine to know it.
const EXIT_PATIENCE: Duration = Duration::from_secs(3);

/// `POST /containers/{id}/exec`
pub async fn create(mut call: Call, id: &str) -> Result<Response, Error> {
    let exec: ExecRequest = call.json().await?;
    let cmd = exec.cmd.unwrap_or_default();
    if cmd.is_empty() {
        return Err(Error::bad("No exec command specified"));
    }
    Keys::parse(&exec.detach_keys)
        .map_err(|_| Error::internal(format!("Invalid escape keys ({}) provided", exec.detach_keys)))?;
    let [console_height, console_width] = exec.console_size.unwrap_or_default();
    let request = engine::ExecCreateRequest {
        container: id.to_owned(),
        attach_stdin: exec.attach_stdin,
        attach_stdout: exec.attach_stdout,
        attach_stderr: exec.attach_stderr,
        detach_keys: exec.detach_keys,
        tty: exec.tty,
        env: exec.env,
        cmd,
        privileged: exec.privileged,
        user: exec.user,
        working_dir: exec.working_dir,
        console_height,
        console_width,
    };
    let created = call.peers().execs().create(request).await.map_err(of(ENGINE))?.into_inner();
    response::json(StatusCode::CREATED, &IdResponse { id: created.id })
}

/// `POST /exec/{id}/start`
pub async fn start(mut call: Call, id: &str) -> Result<Response, Error> {
    let start: StartRequest = call.json_or_default().await?;
    let [console_height, console_width] = start.console_size.unwrap_or_default();
    let open =
        Open { id: id.to_owned(), detach: start.detach, tty: start.tty, console_height, console_width };
    let exec = if start.detach { engine::Exec::default() } else { get(call.peers(), id).await? };
    let terminal = Terminal::from(start.tty);
    if exec.running || exec.exit_code.is_some() {
        // dockerd looks at it after it has taken the connection over.
        let ran = if exec.running { "is already running" } else { "has already run" };
        let message = format!("exec command {id} {ran}");
        return hijack::take_over(&mut call, terminal, move |mut client| async move {
            // The client may be gone.
            let _ = hijack::tell(&mut client, terminal, &message).await;
            client.close().await;
        });
    }
    let (container_id, spec) = (exec.container_id, exec.spec.unwrap_or_default());

    let (asks, receiver) = mpsc::channel(2);
    let first = engine::ExecStartRequest { message: Some(Ask::Open(open)) };
    let requests = stream::iter([first]).chain(ReceiverStream::new(receiver));
    let mut answers = call.peers().execs().start(requests).await.map_err(of(ENGINE))?.into_inner();
    let answer = answers.message().await.map_err(of(ENGINE))?.and_then(|answer| answer.message);
    let point = match answer {
        Some(Answer::Point(point)) => point,
        Some(Answer::Started(_)) if start.detach => return Ok(response::empty(StatusCode::OK)),
        _ if start.detach => return Ok(response::empty(StatusCode::OK)),
        _ => return Err(Error::internal("the engine did not say where to attach")),
    };
    let keys = if spec.tty { Some(Keys::parse(&spec.detach_keys)?) } else { None };
    let (peers, id) = (call.peers().clone(), id.to_owned());
    let attachment = Attachment { peers, id, container_id, spec, point, keys, asks, answers };
    hijack::take_over(&mut call, terminal, move |client| attachment.run(client, terminal))
}

async fn get(peers: &Peers, id: &str) -> Result<engine::Exec, Error> {
    let request = engine::ExecRequest { id: id.to_owned() };
    Ok(peers.execs().get(request).await.map_err(of(ENGINE))?.into_inner())
}

/// A client of a process that is about to start.
struct Attachment {
    peers: Peers,
    id: String,
    container_id: String,
    spec: engine::ExecCreateRequest,
    point: engine::AttachPoint,
    keys: Option<Keys>,
    /// Open as long as we are attached.
    asks: mpsc::Sender<engine::ExecStartRequest>,
    answers: Streaming<engine::ExecStartResponse>,
}

impl Attachment {
    async fn run(mut self, mut client: Client, terminal: Terminal) {
        match self.serve(&mut client, terminal).await {
            Ok(Ended::Output) => self.wait_for_exit().await,
            Ok(Ended::Detached) => detach::publish(&self.peers, &self.container_id, Some(&self.id)).await,
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(exec = self.id, %error, "exec did not start");
                // The client may be gone as well.
                let _ = hijack::tell(&mut client, terminal, &error.to_string()).await;
            }
        }
        client.close().await;
    }

    async fn serve(&mut self, client: &mut Client, terminal: Terminal) -> Result<Ended, Error> {
        let spec = &self.spec;
        let form = multiplex::Output::between(spec.tty, terminal == Terminal::Yes);
        let streams = Streams {
            stdin: spec.attach_stdin,
            stdout: spec.attach_stdout,
            // A client on a terminal has no second stream.
            stderr: spec.attach_stderr && terminal == Terminal::No,
        };
        let input_end = match (spec.attach_stdin, spec.tty) {
            (false, _) => InputEnd::Ignored,
            (true, false) => InputEnd::EndsInput,
            (true, true) => InputEnd::EndsAttachment,
        };
        let shim = attach_point::connect(&self.point, streams, true).await?;
        let connected = engine::ExecStartRequest { message: Some(Ask::Connected(true)) };
        self.asks.send(connected).await.map_err(|_| Error::unavailable("service engine ended the exec"))?;
        let keys = self.keys.take().filter(|_| spec.attach_stdin);
        let mut verdict = std::pin::pin!(verdict(&mut self.answers));
        let mut splice = std::pin::pin!(hijack::splice_as(client, shim, form, input_end, keys));
        tokio::select! {
            verdict = &mut verdict => {
                verdict?;
                Ok(splice.await)
            }
            ended = &mut splice => {
                // A process that could not start has no output: its reason is on its way.
                if ended == Ended::Output && let Ok(verdict) = tokio::time::timeout(EXIT_PATIENCE, verdict).await {
                    verdict?;
                }
                Ok(ended)
            }
        }
    }

    async fn wait_for_exit(&self) {
        let mut pause = Duration::from_millis(1);
        let wait = async {
            while get(&self.peers, &self.id).await.is_ok_and(|exec| exec.running || exec.exit_code.is_none())
            {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(50));
            }
        };
        if tokio::time::timeout(EXIT_PATIENCE, wait).await.is_err() {
            tracing::debug!(exec = self.id, "output ended before the process did");
        }
    }
}

/// Waits until the process runs or was refused. An engine that goes away meanwhile decides nothing: the shim's socket
/// tells the rest.
async fn verdict(answers: &mut Streaming<engine::ExecStartResponse>) -> Result<(), Error> {
    loop {
        match answers.message().await {
            Ok(Some(engine::ExecStartResponse { message: Some(Answer::Started(_)) }) | None) => return Ok(()),
            Ok(Some(_)) => {}
            Err(status) if status.code() == tonic::Code::Unavailable => return Ok(()),
            Err(status) => return Err(Error::from_peer(ENGINE, &status)),
        }
    }
}

/// `POST /exec/{id}/resize`
pub async fn resize(call: &Call, id: &str) -> Result<Response, Error> {
    let (height, width) = containers::dimensions(call)?;
    call.peers()
        .execs()
        .resize(engine::ExecResizeRequest { id: id.to_owned(), height, width })
        .await
        .map_err(of(ENGINE))?;
    Ok(response::empty(StatusCode::OK))
}

/// `GET /exec/{id}/json`
pub async fn inspect(call: &Call, id: &str) -> Result<Response, Error> {
    let exec = get(call.peers(), id).await?;
    let spec = exec.spec.unwrap_or_default();
    let mut words = spec.cmd.into_iter();
    let detach_keys = match spec.detach_keys.as_str() {
        "" => String::new(),
        text => STANDARD.encode(Keys::parse(text)?.sequence()),
    };
    response::ok(&Inspect {
        id: exec.id,
        running: exec.running,
        exit_code: exec.exit_code.map(i64::from),
        process_config: ProcessConfig {
            tty: spec.tty,
            entrypoint: words.next().unwrap_or_default(),
            arguments: words.collect(),
            privileged: Some(spec.privileged),
            user: spec.user,
        },
        open_stdin: spec.attach_stdin,
        open_stderr: spec.attach_stderr,
        open_stdout: spec.attach_stdout,
        can_remove: exec.can_remove,
        container_id: exec.container_id,
        detach_keys,
        pid: exec.pid,
    })
}
