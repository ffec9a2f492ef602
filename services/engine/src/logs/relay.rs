//! Sends a log that its driver reads.
//!
//! The driver is a plugin and may never end the log. A followed log therefore also ends when its container has ended
//! and the driver has sent nothing for a while.

use std::sync::Arc;
use std::time::Duration;

use gantry_api::engine::LogQuery;
use gantry_rpc::ending::Teller;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use super::Logs;
use super::follow::{is_closed, send};
use super::frame::Format;
use crate::container::Container;
use crate::error::Result;
use crate::shipping::plugin::reading::Theirs;

/// After the container's end, a driver's silence of this length ends the log.
const SILENCE: Duration = Duration::from_secs(5);

/// Sends a log that its driver reads.
pub struct Relay {
    pub(super) logs: Logs,
    pub(super) container: Arc<Container>,
    pub(super) theirs: Box<Theirs>,
    pub(super) query: LogQuery,
    pub(super) format: Format,
}

impl Relay {
    /// Sends until the log or the client ends. An error is reported in the middle of the log, as Docker does.
    pub(super) async fn run(self, mut stream: UnixStream, teller: &Teller) -> Result<()> {
        let mut out = Vec::new();
        match self.theirs.ask(&self.query).await {
            Err(why) => self.format.write_failure(&why, &mut out),
            Ok(mut told) => {
                let over = self.over();
                tokio::pin!(over);
                let mut is_over = false;
                loop {
                    let next = tokio::select! {
                        next = told.next() => next,
                        () = &mut over, if !is_over => {
                            is_over = true;
                            continue;
                        }
                        () = tokio::time::sleep(SILENCE), if is_over => break,
                        // The client sends nothing, so a readable socket means that the client has closed it.
                        _ = stream.readable() => {
                            if is_closed(&stream) {
                                return Ok(());
                            }
                            continue;
                        }
                    };
                    match next {
                        Ok(Some(entry)) => self.format.write_entry(&entry, &mut out),
                        Ok(None) => break,
                        Err(why) => {
                            self.format.write_failure(&why, &mut out);
                            break;
                        }
                    }
                    if send(&mut stream, &out).await.is_err() {
                        return Ok(());
                    }
                    out.clear();
                }
            }
        }
        if send(&mut stream, &out).await.is_ok() {
            teller.is_whole();
            // The client may have gone already; a failure changes nothing.
            let _ = stream.shutdown().await;
        }
        Ok(())
    }

    /// Waits until the container is removed or has no process.
    async fn over(&self) {
        if !self.query.follow {
            return std::future::pending().await;
        }
        let mut watch = self.container.watch();
        // An error means that the container is removed.
        let _ = watch.wait_for(|life| life.is_removed() || !life.has_process()).await;
        self.logs.shipped(&self.container).await;
    }
}
