//! The local supervisor: what `gantry up` is while it runs.
//!
//! It starts `gantryd SERVICE` for each service, appends its output to
//! `<state>/log/<service>.log` ([`log`]), and restarts a service that ends, with backoff.
//! It holds `<run>/supervisor.lock` ([`mod@lock`]). When it is killed the services go on; the next supervisor takes over by ending
//! them first ([`replace`]). Containers do not notice, because no service is on their data path. Sockets that outlive their services
//! stay the same through all this ([`door`]).

mod child;
mod door;
pub mod failure;
mod lock;
pub mod log;
pub mod mounts;
pub mod process;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use gantry_daemon::Roots;
use gantry_descriptor::{SERVICES, names};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use lock::{holder, is_ready};

use door::Door;
use failure::Failure;
use lock::Lock;

/// How long a service may take to end after SIGTERM.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// How long a state must last to count as stable.
pub const SETTLED: Duration = Duration::from_millis(500);

/// Runs the services with `options` until SIGTERM or SIGINT. `ready` is called once, when all
/// answer their health check.
///
/// # Errors
///
/// A service does not start: then all of them are ended.
pub async fn run(roots: &Roots, options: &[OsString], ready: impl FnOnce()) -> Result<()> {
    let mut lock = Lock::take(roots)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    refuse_units(roots).await?;
    let binary = gantryd()?;
    let mut doors = Vec::new();
    for service in SERVICES {
        doors.push(match service.door {
            Some(socket) => Some(Door::open(roots, service.name, socket).await?),
            None => None,
        });
    }
    for service in names() {
        replace(roots, service).await?;
        // The file of an earlier start.
        let _ = std::fs::remove_file(roots.refusal(service));
    }

    let stop = CancellationToken::new();
    let (failures, mut failed) = mpsc::channel(1);
    let all_ready = Arc::new(AtomicBool::new(false));
    let children: Vec<_> = SERVICES
        .iter()
        .zip(doors)
        .map(|(service, door)| {
            let child = child::Child {
                binary: binary.clone(),
                service: service.name,
                roots: roots.clone(),
                options: options.to_vec(),
                door,
                failures: failures.clone(),
                ready: Arc::clone(&all_ready),
            };
            tokio::spawn(child.keep_running(stop.clone()))
        })
        .collect();

    let ended = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    tokio::pin!(ended);
    let mut outcome = Ok(());
    tokio::select! {
        () = &mut ended => {}
        failure = hopeless(roots, &mut failed) => {
            outcome = Err(anyhow!("{} does not start: {}", failure.service, failure.words));
        }
        () = healthy(roots) => {
            all_ready.store(true, Ordering::Relaxed);
            lock.note_ready()?;
            ready();
            ended.await;
        }
    }

    stop.cancel();
    for child in children {
        child.await?;
    }
    outcome
}

/// A service that does not start, for a reason that only a person can remove. While one service waits for a person's decision, the
/// services that need it may fail: the others work.
async fn hopeless(roots: &Roots, failed: &mut mpsc::Receiver<Failure>) -> Failure {
    while let Some(failure) = failed.recv().await {
        tokio::time::sleep(SETTLED).await;
        if refusals(roots).is_empty() {
            return failure;
        }
    }
    std::future::pending().await
}

/// Why services do not start, while only a person can change that.
pub fn refusals(roots: &Roots) -> Vec<String> {
    let text = |service| std::fs::read_to_string(roots.refusal(service)).ok();
    names().filter_map(|service| Some(format!("{service} does not start: {}", text(service)?))).collect()
}

/// Returns when every service answers its health check.
async fn healthy(roots: &Roots) {
    for service in names() {
        while !process::is_healthy(roots, service).await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Fails if systemd runs services of this root: it would restart what is ended here.
pub async fn refuse_units(roots: &Roots) -> Result<()> {
    let mut units = Vec::new();
    for service in names() {
        // A service that this user may not ask, this user may not end either.
        let serving = process::serving(&roots.socket(service)).await.ok().flatten();
        units
            .extend(serving.filter(|pid| process::is_unit(*pid)).map(|pid| format!("{service} (pid {pid})")));
    }
    if !units.is_empty() {
        bail!(
            "systemd runs these services, not `gantry up`: {}; stop them with `systemctl stop gantry.target`",
            units.join(", ")
        );
    }
    Ok(())
}

/// Ends a service that an earlier supervisor left behind.
pub async fn replace(roots: &Roots, service: &'static str) -> Result<()> {
    let end = async {
        match process::serving(&roots.socket(service)).await? {
            Some(unit) if process::is_unit(unit) => bail!("systemd runs it (pid {unit})"),
            Some(left) => process::end(left, PATIENCE).await,
            None => Ok(()),
        }
    };
    end.await.with_context(|| format!("end {service}, which was left running"))
}

/// `gantryd`: beside this program, or in the search path.
fn gantryd() -> Result<PathBuf> {
    let own = std::env::current_exe().context("find this program")?;
    let beside = own.with_file_name("gantryd");
    if beside.is_file() {
        return Ok(beside);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join("gantryd"))
        .find(|candidate| candidate.is_file())
        .with_context(|| format!("gantryd is neither beside {} nor in PATH", own.display()))
}
