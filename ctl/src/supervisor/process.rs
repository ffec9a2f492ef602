//! A service's process, found by the socket on which it listens.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use gantry_daemon::Roots;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// The process that listens on a socket (SO_PEERCRED, unix(7)), if one does.
///
/// # Errors
///
/// Any other error of connect(2), such as a lack of permission.
pub async fn serving(socket: &Path) -> io::Result<Option<Pid>> {
    match gantry_rpc::socket::connect(socket).await {
        Ok(stream) => Ok(stream.peer_cred()?.pid().and_then(Pid::from_raw)),
        Err(error) => match error.kind() {
            // The process that listened last: it ended before it took the connection.
            ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => Ok(None),
            _ => Err(error),
        },
    }
}

/// Whether systemd itself started the process, rather than one of its children: SYSTEMD_EXEC_PID, which children
/// inherit, has the process's own pid (systemd.exec(5), since version 248). A service that an earlier supervisor left
/// has no such variable, or one with another pid, whoever its parent is now.
pub fn is_unit(pid: Pid) -> bool {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let own = format!("SYSTEMD_EXEC_PID={pid}");
    environment.split(|byte| *byte == 0).any(|variable| variable == own.as_bytes())
}

/// Ends a process: SIGTERM, and SIGKILL after `patience`. A process that is gone is no error.
pub async fn end(pid: Pid, patience: Duration) -> Result<()> {
    let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
        Err(Errno::SRCH) => return Ok(()),
        pidfd => pidfd.with_context(|| format!("open process {pid}"))?,
    };
    let wait = move || {
        for signal in [Signal::TERM, Signal::KILL] {
            // If a supervisor died while it moved a log away, the service is still stopped, and gets no other signal.
            for signal in [signal, Signal::CONT] {
                match pidfd_send_signal(&pidfd, signal) {
                    Err(Errno::SRCH) => return Ok(()),
                    sent => sent.with_context(|| format!("end process {pid}"))?,
                }
            }
            // A pidfd is readable when its process has ended (pidfd_open(2)).
            let timeout = Timespec::try_from(patience)?;
            if poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout))? > 0 {
                return Ok(());
            }
        }
        bail!("process {pid} does not end")
    };
    tokio::task::spawn_blocking(wait).await?
}

/// Whether the service answers its health check with SERVING.
pub async fn is_healthy(roots: &Roots, service: &'static str) -> bool {
    let check = async {
        let mut client = HealthClient::new(gantry_rpc::Channel::unix(
            service,
            roots.socket(service),
            gantry_api::terms::of,
        ));
        client.check(HealthCheckRequest::default()).await
    };
    match tokio::time::timeout(Duration::from_secs(2), check).await {
        Ok(Ok(answer)) => answer.into_inner().status() == ServingStatus::Serving,
        _ => false,
    }
}

/// Returns if the service does not answer for `patience`.
pub async fn silent(roots: &Roots, service: &'static str, patience: Duration) {
    let mut heard = Instant::now();
    while heard.elapsed() < patience {
        if is_healthy(roots, service).await {
            heard = Instant::now();
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// The kernel's facts about a process.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Proportional set size in bytes: shared pages are divided among the processes that share them.
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

    // The name may have spaces and brackets, so count the fields after its end.
    let stat = std::fs::read_to_string(format!("{folder}/stat")).ok()?;
    let started: u64 = stat.rsplit(')').next()?.split_whitespace().nth(19)?.parse().ok()?;
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    let uptime: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    let ticks = rustix::param::clock_ticks_per_second();
    Some(Usage { pss: pss * 1024, uptime: (uptime as u64).saturating_sub(started / ticks) })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;

    use rustix::process::{Uid, geteuid};
    use rustix::thread::set_thread_uid;

    use super::*;

    fn look(socket: &Path) -> io::Result<Option<Pid>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(serving(socket))
    }

    #[test]
    fn a_process_that_was_left_stopped_ends_at_the_first_signal() {
        use std::os::unix::process::ExitStatusExt;

        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("started");
        let pid = Pid::from_child(&child);
        rustix::process::kill_process(pid, Signal::STOP).expect("ours");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(end(pid, Duration::from_secs(30))).expect("it ends");
        let status = child.wait().expect("ours");
        assert_eq!(status.signal(), Some(Signal::TERM.as_raw()));
    }

    #[test]
    fn a_socket_that_is_not_ours_is_told_from_one_without_a_listener() {
        let folder = std::env::temp_dir().join(format!("gantry-serving-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let socket = folder.join("content.sock");
        assert!(matches!(look(&socket), Ok(None)));
        let listener = UnixListener::bind(&socket).expect("bound");
        assert_eq!(
            look(&socket).expect("ours").map(|pid| pid.as_raw_pid()),
            Some(std::process::id().cast_signed())
        );
        std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o000)).expect("ours");
        let path = socket.clone();
        // Credentials belong to threads; root may always.
        let refused = std::thread::spawn(move || {
            if geteuid().is_root() {
                set_thread_uid(Uid::from_raw(65534)).expect("anybody");
            }
            look(&path).expect_err("not ours").kind()
        });
        assert_eq!(refused.join().expect("it looks"), ErrorKind::PermissionDenied);
        std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o600)).expect("ours");
        drop(listener);
        assert!(matches!(look(&socket), Ok(None)));
        std::fs::remove_dir_all(folder).expect("removed");
    }
}
