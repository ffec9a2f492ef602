//! `gantry exec`.

use anyhow::{Context, Result};
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
        client.resize(ExecResizeRequest { id: id.clone(), height, width }).await?;
    }
    stdio::copy(stream, tty, arguments.interactive).await?;
    let exec = client.get(ExecRequest { id }).await?.into_inner();
    Ok(exec.exit_code.context("the process has not ended")? as u8)
}
