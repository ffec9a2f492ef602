//! Logging programs (`binary://`): they read the container's output from descriptors 3 and 4, and close descriptor 5
//! when they are ready.

#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::io::unix::AsyncFd;

use super::{Owner, pipe, watched};
use crate::error::{Error, Result};

/// A running logging program.
pub struct Logger {
    pid: u32,
}

/// Starts `program`, and waits until it is ready, ten seconds at most. Returns the ends to write to.
pub async fn start(
    program: &Path,
    arguments: &[String],
    owner: &Owner<'_>,
) -> Result<(Logger, [OwnedFd; 2])> {
    let failed = |reason: String| Error::Stdio { uri: format!("binary://{}", program.display()), reason };
    let (out_reader, out_writer) = pipe()?;
    let (err_reader, err_writer) = pipe()?;
    let (ready_reader, ready_writer) = pipe()?;
    let given = [out_reader.as_raw_fd(), err_reader.as_raw_fd(), ready_writer.as_raw_fd()];
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("CONTAINER_ID", owner.container)
        .env("CONTAINER_NAMESPACE", owner.namespace)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // SAFETY: the closure only calls dup2 and fcntl, which are async-signal-safe, on
    // descriptors that stay open until spawn has returned.
    unsafe {
        command.pre_exec(move || {
            // Moved to high numbers first: a source may have the number of a target.
            let mut moved = [0; 3];
            for (slot, descriptor) in moved.iter_mut().zip(given) {
                *slot = libc::fcntl(descriptor, libc::F_DUPFD, 10);
                if *slot == -1 {
                    return Err(std::io::Error::last_os_error());
                }
            }
            for (target, descriptor) in (3..).zip(moved) {
                if libc::dup2(descriptor, target) == -1 {
                    return Err(std::io::Error::last_os_error());
                }
                libc::close(descriptor);
            }
            Ok(())
        });
    }
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    drop((out_reader, err_reader, ready_writer));
    let ready = watched(ready_reader)?;
    if tokio::time::timeout(Duration::from_secs(10), until_closed(&ready)).await.is_err() {
        // The reaper reaps the child.
        let _ = child.kill();
        return Err(failed("did not become ready".into()));
    }
    Ok((Logger { pid: child.id() }, [out_writer, err_writer]))
}

/// Waits for a byte or the end; both mean ready.
async fn until_closed(ready: &AsyncFd<OwnedFd>) {
    loop {
        let Ok(mut guard) = ready.readable().await else {
            return;
        };
        match rustix::io::read(ready.get_ref(), &mut [0; 1]) {
            Err(rustix::io::Errno::AGAIN) => guard.clear_ready(),
            _ => return,
        }
    }
}

impl Logger {
    /// Waits for the program, which ends at the end of its input.
    pub async fn finish(self, patience: Duration) {
        let deadline = tokio::time::Instant::now() + patience;
        let process = format!("/proc/{}", self.pid);
        while Path::new(&process).exists() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
