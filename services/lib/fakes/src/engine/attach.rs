//! Attachments to the fake engine's processes.

use gantry_api::engine::containers::{self as api, Attach};
use gantry_api::engine::{AttachPoint, AttachSpec, Opened, Streams, receive_attachment};
use tokio::net::UnixStream;

use super::Engine;
use super::container::Phase;
use super::state::conflict;
use crate::Refused;

/// A client that has attached to a process. The test plays the process.
#[derive(Debug)]
pub struct Attached {
    /// The id of the exec; `None` for a container's own process.
    pub exec: Option<String>,
    /// The streams that the client attaches to.
    pub streams: Streams,
    /// Receives the client's input and sends it the process's output.
    pub stream: UnixStream,
}

/// Passes a connection on to the test.
pub(super) async fn take(engine: Engine, mut stream: UnixStream) {
    let terminal =
        |exec: &str| engine.edit(|state| state.exec(exec).map(|exec| exec.view.spec.tty).unwrap_or_default());
    let Ok(Some((exec, streams))) = receive_attachment(&mut stream, terminal).await else { return };
    let exec = Some(exec).filter(|exec| !exec.is_empty());
    // An error means that the test has ended.
    let _ = engine.0.arrivals.send(Attached { exec, streams, stream });
}

/// An attachment, or a wait for one.
#[derive(Debug)]
pub struct Attachment {
    engine: Engine,
    id: String,
    /// Whether a start waits for this client.
    is_awaited: bool,
    ends: u64,
    failures: u64,
}

impl Attach for Engine {
    type Attachment = Attachment;

    async fn attach(&self, spec: AttachSpec) -> Result<(Opened, Attachment), Refused> {
        self.edit(|state| {
            let container = state.find(&spec.container)?;
            if container.phase == Phase::Paused {
                return conflict(&spec.container, "it is paused");
            }
            let config = &container.spec.config;
            let opened = Opened {
                id: container.id.clone(),
                tty: config.tty,
                open_stdin: config.open_stdin,
                stdin_once: config.stdin_once,
            };
            container.attaching += 1;
            let (id, ends, failures) = (container.id.clone(), container.ends, container.failures);
            state.tell(&id, "attach", &self.0.live);
            Ok((opened, Attachment { engine: self.clone(), id, is_awaited: true, ends, failures }))
        })
    }
}

impl Attachment {
    fn arrived(&mut self) {
        if std::mem::take(&mut self.is_awaited) {
            self.engine.edit(|state| {
                if let Some(container) = state.by_id(&self.id) {
                    container.attaching -= 1;
                }
            });
        }
    }
}

impl api::Attachment for Attachment {
    type Error = Refused;

    async fn point(&mut self) -> Result<Option<AttachPoint>, Refused> {
        let (ends, failures) = (self.ends, self.failures);
        let point = self.engine.until(|state| {
            let socket = state.attach.display().to_string();
            let Some(container) = state.by_id(&self.id) else { return Some(None) };
            if container.is_attachable() {
                let config = &container.spec.config;
                let (tty, stdin_once) = (config.tty, config.stdin_once);
                return Some(Some(AttachPoint { socket, exec_id: String::new(), tty, stdin_once }));
            }
            (container.ends > ends || container.failures > failures).then_some(None)
        });
        Ok(point.await)
    }

    async fn connected(&mut self) {
        self.arrived();
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.arrived();
    }
}
