//! Attaching: the engine only says where; the bytes go between the caller and the shim.
//!
//! A caller that comes before the process is started is counted, and the start waits until it says `connected`, so that not
//! a byte of output is missed. The count goes down however the call ends.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_api::engine::{AttachPoint, AttachSpec, Opened, Status};

use super::Container;
use crate::engine::Engine;
use crate::error::{Error, Result};

/// A caller who is counted among those that a start waits for.
pub struct Announced {
    container: Option<Arc<Container>>,
}

impl Announced {
    fn new(container: &Arc<Container>) -> Announced {
        container.attaching.send_modify(|waiting| *waiting += 1);
        Announced { container: Some(Arc::clone(container)) }
    }

    /// It is connected: the start need not wait for it any more.
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

/// An attachment that has been asked for.
pub struct Attachment {
    engine: Engine,
    container: Arc<Container>,
    /// What a start waits for.
    pub announced: Announced,
    failures: u64,
    run: u64,
}

impl Engine {
    /// Announces a caller; the first value is what it has to know at once.
    pub fn attach(&self, open: &AttachSpec) -> Result<(Opened, Attachment)> {
        let container = self.index.find(&open.container)?;
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
        self.publish_container(&container, "attach", BTreeMap::new());
        let attachment = Attachment {
            engine: self.clone(),
            announced: Announced::new(&container),
            container,
            failures,
            run,
        };
        Ok((opened, attachment))
    }
}

impl Attachment {
    /// Where to connect, as soon as there is something to connect to; `None` when there will not be.
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
            socket: self.engine.peers.attach_socket(self.container.id()).display().to_string(),
            exec_id: String::new(),
            tty: config.tty,
            stdin_once: config.stdin_once,
        })
    }
}
