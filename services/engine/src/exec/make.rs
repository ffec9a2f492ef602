//! Creates execs. The tasks service is told of them only when they start.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_api::engine::{ExecSpec, Status};
use gantry_failpoint::failpoint;

use super::{Exec, Execs, Kept, user};
use crate::archive::place::{Places, Purpose};
use crate::blocking::blocking;
use crate::container::Container;
use crate::error::{Error, Result};

impl Execs {
    /// Creates an exec at a user's request, who may be named in files that `places` shows. Returns its id.
    pub async fn create(&self, places: &Places, request: ExecSpec) -> Result<String> {
        let container = self.containers.find(&request.container)?;
        if request.cmd.is_empty() {
            return Err(Error::Invalid("No exec command specified".to_owned()));
        }
        if container.status() == Status::Paused {
            return Err(paused(&request.container));
        }
        container.running_pid()?;
        if user::needs_files(&request.user)? {
            let place = places.open(&container, "/", Purpose::Read).await?;
            let user = request.user.clone();
            blocking(move || user::check(&user, &place.view)).await?;
        }
        let exec = self.make(&container, request, Kept::Durable).await?;
        Ok(exec.id().to_owned())
    }

    /// Creates an exec.
    pub(crate) async fn make(
        &self,
        container: &Arc<Container>,
        spec: ExecSpec,
        kept: Kept,
    ) -> Result<Arc<Exec>> {
        self.make_room(container).await;
        let mut exec = Exec::new(container.task(), spec, kept)?;
        let gone = || Error::NoSuchContainer(container.id().to_owned());
        let recording = container.execs.recording().await.ok_or_else(gone)?;
        if kept == Kept::Durable {
            match self.containers.store.put_exec(&exec.record()).await {
                // On a full disk execs still work, because users need them to look at the container and clean it up.
                Err(error) if error.is_disk_full() => exec.kept = Kept::InMemory,
                written => written?,
            }
        }
        failpoint!("engine.exec.recorded");
        let exec = Arc::new(exec);
        container.execs.insert(Arc::clone(&exec));
        drop(recording);
        self.publish(container, &exec, &told("exec_create", &exec.spec.cmd), None);
        Ok(exec)
    }

    /// Sends an event about an exec, with its exit code if it has ended.
    pub(super) fn publish(&self, container: &Container, exec: &Exec, action: &str, exit: Option<i32>) {
        let mut more = BTreeMap::from([("execID".to_owned(), exec.id.to_string())]);
        if let Some(code) = exit {
            more.insert("exitCode".to_owned(), code.to_string());
        }
        match exec.kept {
            Kept::ForProbe => self.events.publish_probe(container, action, more),
            Kept::Durable | Kept::InMemory => self.events.publish_container(container, action, more),
        }
    }
}

/// Docker's error for a container whose processes are frozen.
pub(super) fn paused(container: &str) -> Error {
    Error::Conflict(format!("Container {container} is paused, unpause the container before exec"))
}

/// The action of an exec's event: the program, a space, and the arguments, of which there may be none.
pub(super) fn told(action: &str, cmd: &[String]) -> String {
    let (program, arguments) =
        cmd.split_first().map_or(("", &[][..]), |(program, rest)| (program.as_str(), rest));
    format!("{action}: {program} {}", arguments.join(" "))
}
