//! Attaching to a container. The engine only returns the shim's socket; the bytes go directly between the client and
//! the shim.
//!
//! A client that attaches before the process has started is counted, and the start waits until the client reports
//! `connected`, so that it gets all output. However the call ends, the client is no longer counted.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use gantry_api::engine::{AttachPoint, AttachSpec, Opened, Status};

use super::Container;
use crate::containers::Containers;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::peers::Shims;

/// Counts a client for which a start waits, until it is dropped.
pub struct Announced {
    container: Option<Arc<Container>>,
}

impl Announced {
    fn new(container: &Arc<Container>) -> Announced {
        container.attaching.send_modify(|waiting| *waiting += 1);
        Announced { container: Some(Arc::clone(container)) }
    }

    /// Records that the client is connected: the start no longer waits for it.
    pub fn arrived(&mut self) {
        if let Some(container) = self.container.take() {
            container.attaching.send_modify(|waiting| *waiting = waiting.saturating_sub(1));
        }
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        self.arrived();
    }
}

/// A requested attachment.
pub struct Attachment {
    /// The path of the shim's socket.
    socket: PathBuf,
    container: Arc<Container>,
    /// The count for which a start waits.
    pub announced: Announced,
    failures: u64,
    run: u64,
}

/// Announces a client. The first value is what the client needs at once.
pub fn attach(
    containers: &Containers,
    shims: &Shims,
    events: &Events,
    open: &AttachSpec,
) -> Result<(Opened, Attachment)> {
    let container = containers.find(&open.container)?;
    match container.status() {
        Status::Paused => {
            return Err(Error::Conflict(format!(
                "container {} is paused, unpause the container before attach",
                open.container
            )));
        }
        Status::Restarting => {
            return Err(Error::Conflict(format!(
                "container {} is restarting, wait until the container is running",
                open.container
            )));
        }
        _ => {}
    }
    let record = container.record();
    let opened = Opened {
        id: container.id().to_owned(),
        tty: record.config.tty,
        open_stdin: record.config.open_stdin,
        stdin_once: record.config.stdin_once,
    };
    let (failures, run) = {
        let life = container.life();
        (life.failures(), life.run())
    };
    events.publish_container(&container, "attach", BTreeMap::new());
    let attachment = Attachment {
        socket: shims.attach_socket(container.id()),
        announced: Announced::new(&container),
        container,
        failures,
        run,
    };
    Ok((opened, attachment))
}

impl Attachment {
    /// Waits until the client can connect, and returns where. `None` if the container will not run.
    pub async fn point(&self) -> Option<AttachPoint> {
        let mut watch = self.container.watch();
        let (failures, run) = (self.failures, self.run);
        let life = watch
            .wait_for(|life| {
                life.is_attachable() || life.is_removed() || life.failures() > failures || life.run() > run
            })
            .await
            .ok()?;
        if !life.is_attachable() {
            return None;
        }
        drop(life);
        let config = &self.container.record().config;
        Some(AttachPoint {
            socket: self.socket.display().to_string(),
            exec_id: String::new(),
            tty: config.tty,
            stdin_once: config.stdin_once,
        })
    }
}
