//! `gantry exec`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use gantry_proto::gantry::engine::v1::{
    ExecCreateRequest, ExecRequest, ExecResizeRequest, ExecStartRequest, exec_start_request,
    exec_start_response,
};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use crate::cli::Exec;
use crate::cmd::Session;
use crate::stdio;

/// How long the exit code may take once the output has ended.
const EXIT_PATIENCE: Duration = Duration::from_secs(3);

pub async fn run(session: &Session, arguments: Exec) -> Result<u8> {
    let mut client = session.peers.execs();
    let create = ExecCreateRequest {
        container: arguments.container,
        attach_stdin: arguments.interactive,
        attach_stdout: true,
        attach_stderr: true,
        tty: arguments.tty,
        env: arguments.env,
        cmd: arguments.command,
        user: arguments.user.unwrap_or_default(),
        working_dir: arguments.workdir.unwrap_or_default(),
        ..ExecCreateRequest::default()
    };
    let id = client.create(create).await?.into_inner().id;

    let (say, said) = mpsc::channel(2);
    let (height, width) = stdio::size().filter(|_| arguments.tty).unwrap_or_default();
    let open = exec_start_request::Open {
        id: id.clone(),
        detach: false,
        tty: arguments.tty,
        console_height: height,
        console_width: width,
    };
    say.send(ExecStartRequest { message: Some(exec_start_request::Message::Open(open)) }).await?;
    let mut answers = client.start(ReceiverStream::new(said)).await?.into_inner();
    let mut stream = None;
    while let Some(answer) = answers.next().await {
        match answer?.message {
            Some(exec_start_response::Message::Point(point)) => {
                stream = Some((stdio::connect(&point, arguments.interactive).await?, point.tty));
                say.send(ExecStartRequest { message: Some(exec_start_request::Message::Connected(true)) })
                    .await?;
            }
            Some(exec_start_response::Message::Started(_)) => break,
            None => {}
        }
    }
    let (stream, tty) = stream.context("the engine gave nothing to attach to")?;
    if tty && height > 0 {
        // One that has ended already has no terminal; its output and its exit code are worth having.
        let _ = client.resize(ExecResizeRequest { id: id.clone(), height, width }).await;
    }
    stdio::copy(stream, tty, arguments.interactive).await?;
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
