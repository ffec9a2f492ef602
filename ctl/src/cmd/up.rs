//! `gantry up`.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use gantry_daemon::Roots;
use tokio::process::Command;

use crate::cli::Up;
use crate::cmd::Session;
use crate::supervisor::log::Log;
use crate::supervisor::{SETTLED, failure};
use crate::{output, supervisor};

/// How long all services may take until they answer.
const START: Duration = Duration::from_secs(60);

pub async fn run(session: &Session, arguments: &Up) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("`gantry up` needs root: it mounts, and makes namespaces");
    }
    let begun = if arguments.detach {
        detach(session, arguments).await
    } else {
        // The supervisor continues even if its output is no longer read.
        let ready = || drop(tell_ready(&session.roots));
        supervisor::run(&session.roots, &arguments.options(), ready).await
    };
    let Err(error) = begun else { return Ok(()) };
    // When the disk is full, the first error seldom says so.
    match failure::full_disk(&session.roots) {
        Some(full) if !output::explain(&error).contains(&full) => Err(error.context(full)),
        _ => Err(error),
    }
}

/// Prints where clients connect.
fn tell_ready(roots: &Roots) -> Result<()> {
    let socket = roots.run.join("docker.sock");
    output::line("ready")?;
    output::line(format_args!("Docker's clients connect to {}:", socket.display()))?;
    output::line(format_args!("    export DOCKER_HOST=unix://{}", socket.display()))
}

/// Returns what services say that a person must decide about, once one has said it and the others have started or failed.
async fn refused(roots: &Roots) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        let now = supervisor::refusals(roots);
        if !now.is_empty() && now == found {
            return now;
        }
        found = now;
        tokio::time::sleep(SETTLED).await;
    }
}

/// Starts a supervisor that does not get the terminal's signals, and returns when the services answer.
async fn detach(session: &Session, arguments: &Up) -> Result<()> {
    let roots = &session.roots;
    if supervisor::holder(roots).is_some() {
        bail!("Gantry is already up on {}", roots.run.display());
    }
    for service in gantry_descriptor::names() {
        // The file of an earlier start.
        let _ = std::fs::remove_file(roots.refusal(service));
    }
    let log = Log::of(roots, "supervisor");
    let log_file = log.open()?;
    let length = log.length();
    let mut child = Command::new("/proc/self/exe")
        .arg0("gantry")
        .arg("up")
        .args(arguments.options())
        .arg("--state")
        .arg(&roots.state)
        .arg("--run")
        .arg(&roots.run)
        .stdin(Stdio::null())
        .stdout(log_file.try_clone()?)
        .stderr(log_file)
        .process_group(0)
        .spawn()
        .context("start the supervisor")?;

    let pid = child.id().context("the supervisor has ended")?;
    let ready = async {
        while !supervisor::is_ready(roots, pid) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        status = child.wait() => {
            let status = status?;
            match failure::last_words(&log.since(length), "gantry: ") {
                Some(words) => bail!("{words}"),
                None => bail!("the supervisor ended ({status})"),
            }
        }
        () = tokio::time::sleep(START) => {
            let mut silent = Vec::new();
            for service in gantry_descriptor::names() {
                if !supervisor::process::is_healthy(roots, service).await {
                    silent.push(service);
                }
            }
            bail!(
                "no answer from {} after {} s; the supervisor goes on trying, `gantry down` ends it; see {}",
                silent.join(", "),
                START.as_secs(),
                log.path().with_file_name("").display()
            )
        }
        refusals = refused(roots) => bail!(
            "{}; what else there is serves, and `gantry down` ends it",
            refusals.join("; ")
        ),
        () = ready => {}
    }
    tell_ready(roots)
}
