//! A container that is started and watched to its end, with our terminal as its own.

use std::io::IsTerminal;

use anyhow::{Context, Error, Result, bail};
use gantry_proto::gantry::engine::v1::{
    AttachRequest, GetRequest, KillRequest, ResizeRequest, StartRequest, WaitRequest, WaitResponse,
    attach_request, attach_response, wait_request, wait_response,
};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::cmd::{Coded, Session};
use crate::signals::Signals;
use crate::{output, stdio};

/// How a container is attached to.
#[derive(Debug, Clone, Copy)]
pub struct Attached {
    /// It gets our input.
    pub stdin: bool,
    pub tty: bool,
    /// It removes itself: its end is waited for to the end of that.
    pub removed: bool,
    /// The exit code when it does not start, and not because of its program.
    pub failure: u8,
}

/// Refuses to make a terminal of what is none, as somebody would wait for a prompt that does not come.
pub fn check_terminal(stdin: bool, tty: bool) -> Result<()> {
    if stdin && tty && !std::io::stdin().is_terminal() {
        return Err(Coded { code: 1, words: "the input device is not a TTY".to_owned() }.into());
    }
    Ok(())
}

/// What to say, and how to end, when a container does not start. The engine knows whether it is for its program: 127 when
/// there is none, 126 when it may not be run.
pub async fn failed_start(session: &Session, id: &str, status: &Status, otherwise: u8) -> Error {
    let mut client = session.peers.containers();
    let request = GetRequest { container: id.to_owned(), size: false };
    let code = match client.get(request).await {
        Ok(found) => found.into_inner().state.unwrap_or_default().exit_code.into(),
        // It removes itself; how it ended is known for a while.
        Err(_) => {
            let condition = wait_request::Condition::Removed.into();
            match client.wait(WaitRequest { container: id.to_owned(), condition }).await {
                Ok(exit) => {
                    exit_of(exit.into_inner()).await.ok().flatten().map_or(0, |exit| exit.status_code)
                }
                Err(_) => 0,
            }
        }
    };
    let code = if matches!(code, 126 | 127) && otherwise != 1 { code as u8 } else { otherwise };
    Coded { code, words: output::one_line(status.message()) }.into()
}

/// How a container has ended, as soon as it has.
pub async fn exit_of(mut exit: Streaming<WaitResponse>) -> Result<Option<wait_response::Exit>, Status> {
    while let Some(message) = exit.message().await? {
        if let Some(wait_response::Event::Exit(exit)) = message.event {
            return Ok(Some(exit));
        }
    }
    Ok(None)
}

/// Runs the container to its end. The signals that are meant to end the tool are the container's once it has started.
pub async fn run(session: &Session, id: &str, attached: Attached) -> Result<u8> {
    let mut signals = Signals::listen()?;
    let (started, starts) = oneshot::channel();
    let run = run_to_end(session, id, attached, started);
    let forward = async {
        // One that does not start takes none, and the tool ends.
        if starts.await.is_err() {
            return std::future::pending().await;
        }
        let mut client = session.peers.containers();
        loop {
            let signal = signals.next().await.to_owned();
            match client.kill(KillRequest { container: id.to_owned(), signal: signal.clone() }).await {
                Err(status) if !is_over(&status) => {
                    output::note(format_args!("pass SIG{signal} on: {}", status.message()));
                }
                _ => {}
            }
        }
    };
    let resize = stdio::resized(attached.tty, |height, width| {
        let mut client = session.peers.containers();
        let request = ResizeRequest { container: id.to_owned(), height, width };
        // One that has ended already has no terminal.
        async move { drop(client.resize(request).await) }
    });
    tokio::select! {
        result = run => result,
        never = forward => never,
        never = resize => never,
    }
}

/// The container has ended meanwhile.
fn is_over(status: &Status) -> bool {
    matches!(status.code(), Code::NotFound | Code::FailedPrecondition | Code::Aborted)
}

/// Attaches, waits, starts: in this order, so that nothing is missed.
async fn run_to_end(
    session: &Session,
    id: &str,
    attached: Attached,
    started: oneshot::Sender<()>,
) -> Result<u8> {
    let mut client = session.peers.containers();
    let condition =
        if attached.removed { wait_request::Condition::Removed } else { wait_request::Condition::NextExit };
    let wait = WaitRequest { container: id.to_owned(), condition: condition.into() };
    let mut exit = client.wait(wait).await?.into_inner();
    exit.next().await.context("the engine went away")??;

    let (say, said) = mpsc::channel(2);
    let open = attach_request::Open {
        container: id.to_owned(),
        stdin: attached.stdin,
        stdout: true,
        stderr: true,
        logs: false,
        stream: true,
    };
    say.send(AttachRequest { message: Some(attach_request::Message::Open(open)) }).await?;
    let mut answers = client.attach(ReceiverStream::new(said)).await?.into_inner();
    let output = async {
        while let Some(message) = answers.next().await {
            match message?.message {
                Some(attach_response::Message::Point(point)) => {
                    let stream = stdio::connect(&point, attached.stdin).await?;
                    say.send(AttachRequest { message: Some(attach_request::Message::Connected(true)) })
                        .await?;
                    return stdio::copy(stream, point.tty, attached.stdin).await;
                }
                Some(attach_response::Message::Closed(_)) => break,
                _ => {}
            }
        }
        Ok(())
    };
    let start = async {
        let mut client = session.peers.containers();
        if let Err(status) = client.start(StartRequest { container: id.to_owned() }).await {
            return Err(failed_start(session, id, &status, attached.failure).await);
        }
        // Whoever listens for it goes away with us.
        let _ = started.send(());
        if let (true, Some((height, width))) = (attached.tty, stdio::size()) {
            // One that has ended already has no terminal; its output and its exit code are worth having.
            let _ = client.resize(ResizeRequest { container: id.to_owned(), height, width }).await;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(start, output)?;

    match exit_of(exit).await? {
        Some(exit) if !exit.error.is_empty() => bail!("{}", exit.error),
        Some(exit) => Ok(exit.status_code as u8),
        None => bail!("the engine went away while {} ran", output::short(id)),
    }
}
