//! Execs: further processes in containers.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gantry_api::Failure;
use gantry_api::engine::execs::{Inspect as _, Manage as _, Start as _, StartSpec, Starting, client};
use gantry_api::engine::{AttachPoint, Exec, ExecSpec, Streams, Window};
use gantry_http::upgrade::Client;
use http::StatusCode;

use super::containers;
use crate::call::Call;
use crate::detach::{self, Keys};
use crate::error::Error;
use crate::hijack::{self, Ended, InputEnd, Terminal};
use crate::multiplex;
use crate::peers::{Peers, failed};
use crate::response::{self, Response};
use crate::wire::IdResponse;
use crate::wire::exec::{ExecRequest, Inspect, ProcessConfig, StartRequest};

/// How long the gateway waits until the engine knows the exit code, after the output has ended. A client asks for the code then.
const EXIT_PATIENCE: Duration = Duration::from_secs(3);

/// `POST /containers/{id}/exec`
pub async fn create(mut call: Call, id: &str) -> Result<Response, Error> {
    let exec: ExecRequest = call.json().await?;
    let cmd = exec.cmd.unwrap_or_default();
    if cmd.is_empty() {
        return Err(Error::bad("No exec command specified"));
    }
    Keys::parse(&exec.detach_keys)
        .map_err(|_| Error::refused(format!("Invalid escape keys ({}) provided", exec.detach_keys)))?;
    let [console_height, console_width] = exec.console_size.unwrap_or_default();
    let spec = ExecSpec {
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
    let id = call.peers().execs().create_exec(spec).await.map_err(failed)?;
    response::json(StatusCode::CREATED, &IdResponse { id })
}

/// `POST /exec/{id}/start`
pub async fn start(mut call: Call, id: &str) -> Result<Response, Error> {
    let start: StartRequest = call.json_or_default().await?;
    let [height, width] = start.console_size.unwrap_or_default();
    let size = Window { height, width };
    let spec = StartSpec { id: id.to_owned(), detach: start.detach, tty: start.tty, size };
    let exec = if start.detach { Exec::default() } else { get(call.peers(), id).await? };
    let terminal = Terminal::from(start.tty);
    if exec.running || exec.exit_code.is_some() {
        // dockerd checks this after it has hijacked the connection.
        let ran = if exec.running { "is already running" } else { "has already run" };
        let message = format!("exec command {id} {ran}");
        return hijack::take_over(&mut call, terminal, move |mut client| async move {
            // The client may be gone.
            let _ = hijack::tell(&mut client, terminal, &message).await;
            client.close().await;
        });
    }
    let mut starting = call.peers().execs().start_exec(spec).await.map_err(failed)?;
    let point = match starting.point().await.map_err(failed)? {
        Some(point) => point,
        None if start.detach => return Ok(response::empty(StatusCode::OK)),
        None => return Err(Error::internal("the engine did not say where to attach")),
    };
    let (container_id, spec) = (exec.container_id, exec.spec);
    let keys = if spec.tty { Some(Keys::parse(&spec.detach_keys)?) } else { None };
    let (peers, id) = (call.peers().clone(), id.to_owned());
    let attachment = Attachment { peers, id, container_id, spec, point, keys, starting };
    hijack::take_over(&mut call, terminal, move |client| attachment.run(client, terminal))
}

async fn get(peers: &Peers, id: &str) -> Result<Exec, Error> {
    peers.execs().exec(id).await.map_err(failed)
}

/// A client that waits for its process to start.
struct Attachment {
    peers: Peers,
    id: String,
    container_id: String,
    spec: ExecSpec,
    point: AttachPoint,
    keys: Option<Keys>,
    /// The engine counts the client as attached as long as this is open.
    starting: client::Starting,
}

impl Attachment {
    async fn run(mut self, mut client: Client, terminal: Terminal) {
        match self.serve(&mut client, terminal).await {
            Ok(Ended::Output) => self.wait_for_exit().await,
            Ok(Ended::Detached) => detach::publish(&self.peers, &self.container_id, Some(&self.id)).await,
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(exec = self.id, %error, "exec did not start");
                // The client may be gone, too.
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
            // A client with a terminal reads a single stream.
            stderr: spec.attach_stderr && terminal == Terminal::No,
            stdin_once: true,
        };
        let input_end = match (spec.attach_stdin, spec.tty) {
            (false, _) => InputEnd::Ignored,
            (true, false) => InputEnd::EndsInput,
            (true, true) => InputEnd::EndsAttachment,
        };
        let shim = self.point.connect(streams).await.map_err(failed)?;
        self.starting.connected().await.map_err(failed)?;
        let keys = self.keys.take().filter(|_| spec.attach_stdin);
        let mut verdict = std::pin::pin!(verdict(&mut self.starting));
        let mut splice = std::pin::pin!(hijack::splice_as(client, shim, form, input_end, keys));
        tokio::select! {
            verdict = &mut verdict => {
                verdict?;
                Ok(splice.await)
            }
            ended = &mut splice => {
                // A process that could not start has no output; the engine is about to give the reason.
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

/// Waits until the process runs or cannot start. If the engine goes away meanwhile, the shim's socket tells whether it runs; if
/// the engine answers that the shim is away, the process does not run.
async fn verdict(starting: &mut impl Starting<Error = Failure>) -> Result<(), Error> {
    match starting.started().await {
        Err(failure) if !failure.is_unanswered() => Err(failed(failure)),
        _ => Ok(()),
    }
}

/// `POST /exec/{id}/resize`
pub async fn resize(call: &Call, id: &str) -> Result<Response, Error> {
    let (height, width) = containers::dimensions(call)?;
    call.peers().execs().resize_exec(id, Window { height, width }).await.map_err(failed)?;
    Ok(response::empty(StatusCode::OK))
}

/// `GET /exec/{id}/json`
pub async fn inspect(call: &Call, id: &str) -> Result<Response, Error> {
    let exec = get(call.peers(), id).await?;
    let spec = exec.spec;
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tonic::Status;

    use super::*;

    /// A start that fails.
    struct Failing(Option<Status>);

    impl Starting for Failing {
        type Error = Failure;

        async fn point(&mut self) -> Result<Option<AttachPoint>, Failure> {
            Ok(None)
        }

        async fn connected(&mut self) -> Result<(), Failure> {
            Ok(())
        }

        async fn started(&mut self) -> Result<u32, Failure> {
            let status = Box::new(self.0.take().expect("asked once"));
            Err(Failure { service: "engine", call: "start a process", status })
        }

        async fn ended(&mut self) -> Result<(), Failure> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn an_engine_that_is_away_says_nothing_of_the_process_and_a_shim_that_is_does() {
        let mut away = Status::unavailable("service engine is away");
        away.set_source(Arc::new(std::io::Error::other("its answer broke off")));
        verdict(&mut Failing(Some(away))).await.expect("the shim's socket tells");
        let answer = Status::unavailable("start process: shim is away");
        let error = verdict(&mut Failing(Some(answer))).await.expect_err("it does not run");
        assert_eq!(error.to_string(), "start process: shim is away");
    }
}
