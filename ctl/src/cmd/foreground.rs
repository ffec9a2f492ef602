//! Starts a container and stays attached to its end, with this process's terminal.

use std::io::IsTerminal;

use anyhow::{Error, Result, bail};
use gantry_api::engine::containers::{
    Attach as _, Attachment as _, Inspect as _, Run as _, Sizes, Wait as _, Waiting as _,
};
use gantry_api::engine::{AttachSpec, Condition, Window};
use tokio::sync::oneshot;
use tonic::{Code, Status};

use crate::cmd::{Coded, Session, said};
use crate::signals::Signals;
use crate::{output, stdio};

/// How to attach to a container.
#[derive(Debug, Clone, Copy)]
pub struct Attached {
    /// Passes standard input on.
    pub stdin: bool,
    pub tty: bool,
    /// The container is removed at its end: wait until it is gone.
    pub removed: bool,
    /// The exit code if it does not start for another reason than its program.
    pub failure: u8,
}

/// Refuses a terminal if standard input is none, because the user would wait for a prompt that does not come.
pub fn check_terminal(stdin: bool, tty: bool) -> Result<()> {
    if stdin && tty && !std::io::stdin().is_terminal() {
        return Err(Coded { code: 1, words: "the input device is not a TTY".to_owned() }.into());
    }
    Ok(())
}

/// The message and the exit code when a container does not start. The engine knows whether the program is the reason: 127 if it is
/// missing, 126 if it may not be run.
pub async fn failed_start(session: &Session, id: &str, status: &Status, otherwise: u8) -> Error {
    let client = session.containers();
    let code = match client.container(id, Sizes::Untold).await {
        Ok(found) => found.state.exit_code.into(),
        // The container is removed; the engine remembers for a while how it ended.
        Err(_) => match client.wait_for(id, Condition::Removed).await {
            Ok(waiting) => waiting.exit().await.ok().flatten().map_or(0, |exit| exit.status_code),
            Err(_) => 0,
        },
    };
    let code = if matches!(code, 126 | 127) && otherwise != 1 { code as u8 } else { otherwise };
    Coded { code, words: output::one_line(status.message()) }.into()
}

/// Runs the container to its end. Once it has started, it gets the signals that would end this tool.
pub async fn run(session: &Session, id: &str, attached: Attached) -> Result<u8> {
    let mut signals = Signals::listen()?;
    let (started, starts) = oneshot::channel();
    let run = run_to_end(session, id, attached, started);
    let forward = async {
        // Before the start no process gets the signals, and the tool ends.
        if starts.await.is_err() {
            return std::future::pending().await;
        }
        let client = session.containers();
        loop {
            let signal = signals.next().await.to_owned();
            match client.kill_container(id, &signal).await.map_err(said) {
                Err(status) if !is_over(&status) => {
                    output::note(format_args!("pass SIG{signal} on: {}", status.message()));
                }
                _ => {}
            }
        }
    };
    let resize = stdio::resized(attached.tty, |height, width| {
        let client = session.containers();
        // A container that has ended already has no terminal.
        async move { drop(client.resize_container(id, Window { height, width }).await) }
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

/// Attaches, waits, starts: in this order, so that it misses nothing.
async fn run_to_end(
    session: &Session,
    id: &str,
    attached: Attached,
    started: oneshot::Sender<()>,
) -> Result<u8> {
    let client = session.containers();
    let condition = if attached.removed { Condition::Removed } else { Condition::NextExit };
    let waiting = client.wait_for(id, condition).await.map_err(said)?;

    let spec = AttachSpec {
        container: id.to_owned(),
        stdin: attached.stdin,
        stdout: true,
        stderr: true,
        logs: false,
        stream: true,
    };
    let (_, mut attachment) = client.attach(spec).await.map_err(said)?;
    let output = async {
        if let Some(point) = attachment.point().await.map_err(said)? {
            let stream = stdio::connect(&point, attached.stdin).await?;
            attachment.connected().await;
            return stdio::copy(stream, point.tty, attached.stdin).await;
        }
        Ok(())
    };
    let start = async {
        let client = session.containers();
        if let Err(status) = client.start_container(id).await.map_err(said) {
            return Err(failed_start(session, id, &status, attached.failure).await);
        }
        // The listener ends with this process.
        let _ = started.send(());
        if let (true, Some((height, width))) = (attached.tty, stdio::size()) {
            // A container that has ended already has no terminal, but its output and exit code are of use.
            let _ = client.resize_container(id, Window { height, width }).await;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(start, output)?;

    match waiting.exit().await.map_err(said)? {
        Some(exit) if !exit.error.is_empty() => bail!("{}", exit.error),
        Some(exit) => Ok(exit.status_code as u8),
        None => bail!("the engine went away while {} ran", output::short(id)),
    }
}
