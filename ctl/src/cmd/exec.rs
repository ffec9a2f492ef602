//! `gantry exec`.

use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, bail};
use gantry_api::Failure;
use gantry_api::engine::execs::{Inspect as _, Manage as _, Start as _, StartSpec, Starting as _};
use gantry_api::engine::{ExecSpec, Window};
use tonic::Status;

use crate::cli::command::Exec;
use crate::cmd::foreground::check_terminal;
use crate::cmd::{Coded, Session, said};
use crate::options::environment::variables;
use crate::{output, stdio};

/// How long to wait for the exit code once the output has ended.
const EXIT_PATIENCE: Duration = Duration::from_secs(3);

pub async fn run(session: &Session, arguments: Exec) -> Result<u8> {
    let attached = !arguments.detach;
    let stdin = attached && arguments.interactive;
    check_terminal(stdin, arguments.tty)?;
    let client = session.execs();
    let (height, width) = stdio::size().filter(|_| arguments.tty).unwrap_or_default();
    let spec = ExecSpec {
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
        ..ExecSpec::default()
    };
    let id = client.create_exec(spec).await.map_err(said)?;

    let size = Window { height, width };
    let start = StartSpec { id: id.clone(), detach: arguments.detach, tty: arguments.tty, size };
    let started = async {
        let mut starting = client.start_exec(start).await?;
        let point = starting.point().await?;
        Ok::<_, Failure>((point, starting))
    };
    let (point, mut starting) = match started.await.map_err(said) {
        Ok(started) => started,
        Err(status) => return Err(failed(session, &id, &status).await),
    };
    let mut stream = None;
    if let Some(point) = point {
        stream = Some((stdio::connect(&point, stdin).await?, point.tty));
        let started = async {
            starting.connected().await?;
            starting.started().await
        };
        if let Err(status) = started.await.map_err(said) {
            return Err(failed(session, &id, &status).await);
        }
    }
    if !attached {
        return Ok(0);
    }
    let (stream, tty) = stream.context("the engine gave nothing to attach to")?;
    let resize = stdio::resized(tty, |height, width| {
        let (client, id) = (session.execs(), id.clone());
        // A process that has ended already has no terminal.
        async move { drop(client.resize_exec(&id, Window { height, width }).await) }
    });
    tokio::select! {
        copied = stdio::copy(stream, tty, stdin) => copied?,
        never = resize => never,
    }
    // The engine learns of the end a moment after the output ends.
    let deadline = Instant::now() + EXIT_PATIENCE;
    loop {
        let exec = client.exec(&id).await.map_err(said)?;
        match exec.exit_code {
            Some(code) => return Ok(code as u8),
            None if Instant::now() > deadline => bail!("the process has closed its output and runs on"),
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

/// The message and the exit code when the process does not start. The engine knows whether the program is the reason: 127 if it is
/// missing, 126 if it may not be run.
async fn failed(session: &Session, id: &str, status: &Status) -> Error {
    let exec = session.execs().exec(id).await;
    let code = exec.ok().and_then(|exec| exec.exit_code).unwrap_or_default();
    let code = if matches!(code, 126 | 127) { code as u8 } else { 1 };
    Coded { code, words: output::one_line(status.message()) }.into()
}
