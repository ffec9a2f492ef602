//! A service as a process, found through the socket that it listens on.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use gantry_daemon::Roots;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// The process that listens on a socket (SO_PEERCRED, unix(7)), if one does.
pub async fn serving(socket: &Path) -> Option<Pid> {
    let stream = gantry_rpc::socket::connect(socket).await.ok()?;
    Pid::from_raw(stream.peer_cred().ok()?.pid()?)
}

/// Ends a process: SIGTERM, and SIGKILL after `patience`. Ending one that is gone is no error.
pub async fn end(pid: Pid, patience: Duration) -> Result<()> {
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return Ok(()) };
    let wait = move || {
        for signal in [Signal::TERM, Signal::KILL] {
            if pidfd_send_signal(&pidfd, signal).is_err() {
                return Ok(());
            }
            // A pidfd is readable when its process has ended (pidfd_open(2)).
            let timeout = Timespec::try_from(patience)?;
            if poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout))? > 0 {
                return Ok(());
            }
        }
        bail!("process {} does not end", pid.as_raw_nonzero())
    };
    tokio::task::spawn_blocking(wait).await?
}

/// Whether the service answers its health check with SERVING.
pub async fn is_healthy(roots: &Roots, service: &'static str) -> bool {
    let check = async {
        let mut client = HealthClient::new(gantry_rpc::Channel::unix(service, roots.socket(service)));
        client.check(HealthCheckRequest::default()).await
    };
    match tokio::time::timeout(Duration::from_secs(2), check).await {
        Ok(Ok(answer)) => answer.into_inner().status() == ServingStatus::Serving,
        _ => false,
    }
}

/// What the kernel knows of a process.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Proportional set size, bytes: shared pages divided among those who share them.
    pub pss: u64,
    /// Seconds since it was started.
    pub uptime: u64,
}

/// Reads a process's memory (proc_pid_smaps_rollup) and age (proc_pid_stat).
pub fn usage(pid: Pid) -> Option<Usage> {
    let folder = format!("/proc/{}", pid.as_raw_nonzero());
    let rollup = std::fs::read_to_string(format!("{folder}/smaps_rollup")).ok()?;
    let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let pss: u64 = pss.trim().strip_suffix("kB")?.trim().parse().ok()?;

    // The name may hold spaces and brackets: fields are counted after its end.
    let stat = std::fs::read_to_string(format!("{folder}/stat")).ok()?;
    let started: u64 = stat.rsplit(')').next()?.split_whitespace().nth(19)?.parse().ok()?;
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    let uptime: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    let ticks = rustix::param::clock_ticks_per_second();
    Some(Usage { pss: pss * 1024, uptime: (uptime as u64).saturating_sub(started / ticks) })
}
