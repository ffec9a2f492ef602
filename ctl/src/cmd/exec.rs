//! `gantry exec`.

use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, bail};
use gantry_proto::gantry::engine::v1::{
    ExecCreateRequest, ExecRequest, ExecResizeRequest, ExecStartRequest, exec_start_request,
    exec_start_response,
};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::cli::command::Exec;
use crate::cmd::foreground::check_terminal;
use crate::cmd::{Coded, Session};
use crate::options::environment::variables;
use crate::{output, stdio};

/// How long the exit code may take once the output has ended.
const EXIT_PATIENCE: Duration = Duration::from_secs(3);

pub async fn run(session: &Session, arguments: Exec) -> Result<u8> {
    let attached = !arguments.detach;
    let stdin = attached && arguments.interactive;
    check_terminal(stdin, arguments.tty)?;
    let mut client = session.peers.execs();
    let (height, width) = stdio::size().filter(|_| arguments.tty).unwrap_or_default();
    let create = ExecCreateRequest {
        container: arguments.container,
        attach_stdin: stdin,
        attach_stdout: attached,
        attach_stderr: attached,
        tty: arguments.tty,
        env: variables(&arguments.env_file, &arguments.env)?,
        cmd: arguments.command,
        privileged: arguments.privileged,
        user: arguments.user.unwrap_or_default(),
        working_dir: arguments.workdir.unwrap_or_default(),
        console_height: height,
        console_width: width,
        ..ExecCreateRequest::default()
    };
    let id = client.create(create).await?.into_inner().id;

    let (say, said) = mpsc::channel(2);
    let open = exec_start_request::Open {
        id: id.clone(),
        detach: arguments.detach,
        tty: arguments.tty,
        console_height: height,
        console_width: width,
    };
    say.send(ExecStartRequest { message: Some(exec_start_request::Message::Open(open)) }).await?;
    let mut answers = match client.start(ReceiverStream::new(said)).await {
        Ok(answers) => answers.into_inner(),
        Err(status) => return Err(failed(session, &id, &status).await),
    };
    let mut stream = None;
    while let Some(answer) = answers.next().await {
        let answer = match answer {
            Ok(answer) => answer,
            Err(status) => return Err(failed(session, &id, &status).await),
        };
        match answer.message {
            Some(exec_start_response::Message::Point(point)) => {
                stream = Some((stdio::connect(&point, stdin).await?, point.tty));
                say.send(ExecStartRequest { message: Some(exec_start_request::Message::Connected(true)) })
                    .await?;
            }
            Some(exec_start_response::Message::Started(_)) => break,
            None => {}
        }
    }
    if !attached {
        return Ok(0);
    }
    let (stream, tty) = stream.context("the engine gave nothing to attach to")?;
    let resize = stdio::resized(tty, |height, width| {
        let mut client = session.peers.execs();
        let request = ExecResizeRequest { id: id.clone(), height, width };
        // One that has ended already has no terminal.
        async move { drop(client.resize(request).await) }
    });
    tokio::select! {
        copied = stdio::copy(stream, tty, stdin) => copied?,
        never = resize => never,
    }
    // The engine hears of the end a moment after the output's.
    let deadline = Instant::now() + EXIT_PATIENCE;
    loop {
        let exec = client.get(ExecRequest { id: id.clone() }).await?.into_inner();
        match exec.exit_code {
            Some(code) => return Ok(code as u8),
            None if Instant::now() > deadline => bail!("the process has closed its output and runs on"),
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

/// What to say, and how to end, when the process does not start. The engine knows whether it is for its program: 127 when
/// there is none, 126 when it may not be run.
async fn failed(session: &Session, id: &str, status: &Status) -> Error {
    let exec = session.peers.execs().get(ExecRequest { id: id.to_owned() }).await;
    let code = exec.ok().and_then(|exec| exec.into_inner().exit_code).unwrap_or_default();
    let code = if matches!(code, 126 | 127) { code as u8 } else { 1 };
    Coded { code, words: output::one_line(status.message()) }.into()
}
