//! Removal of a task, by a client or after its shim's death.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gantry_failpoint::failpoint;
use gantry_proto::containerd::task::v3 as api;
use gantry_types::Namespace;
use tonic::Code;

use super::{Key, Tasks};
use crate::bundle;
use crate::error::Error;
use crate::shim::helper::Helper;
use crate::task::process::{Exit, Phase};
use crate::task::{self, Task};

/// How long a shim may take to exit after its task was removed.
const FAREWELL: Duration = Duration::from_secs(5);

impl Tasks {
    /// Removes a task that has ended or was not started.
    pub async fn delete(
        self: &Arc<Self>,
        namespace: &Namespace,
        id: &str,
    ) -> Result<api::DeleteResponse, Error> {
        let key = (namespace.to_string(), id.to_owned());
        let lock = self.locks.lock(key.clone()).await;
        let task = self.find(&key).ok_or_else(|| Error::TaskNotFound(id.to_owned()))?;
        let answer = match task.client().delete("").await {
            Ok(answer) => answer,
            Err(error @ Error::ShimAway { .. }) => {
                if !self.end_silent(&task).await {
                    return Err(error);
                }
                let exit = self.bury_locked(&key, &task).await;
                return Ok(answer(&task, &exit));
            }
            // An earlier call removed the process, and its answer was lost.
            Err(Error::Shim { status }) if status.code() == Code::NotFound => {
                let (pid, exit) = last_words(task.helper()).await;
                api::DeleteResponse { pid, exit_status: exit.status, exited_at: exit.at }
            }
            Err(error) => return Err(error),
        };
        let exit = Exit { status: answer.exit_status, at: answer.exited_at };
        failpoint!("tasks.delete.deleted", infallible);
        task.finish(task.init(), exit.clone()).await;
        self.live.write().remove(&key);
        task.tell_deleted(&exit);
        failpoint!("tasks.delete.told", infallible);
        // The task's lock is released when the shim is gone.
        let shared = self.shares_shim(&task);
        self.tracker.spawn(async move {
            if shared {
                // A shim with other containers stays. An error means that the shim is gone.
                let _ = task.client().shutdown().await;
            } else {
                farewell(&task).await;
            }
            drop(lock);
        });
        Ok(answer)
    }

    /// Whether the shim belongs to another task or to a sandbox too.
    pub(super) fn shares_shim(&self, task: &Task) -> bool {
        let socket = task.client().socket();
        let is_sandboxs = || {
            let sandboxes = bundle::scan(&self.places.sandboxes).unwrap_or_default().into_iter();
            let mut shims = sandboxes.filter_map(|found| bundle::bootstrap_in(&found.folder).ok().flatten());
            shims.any(|bootstrap| Path::new(bootstrap.socket()) == socket)
        };
        let same = |other: &Task| other.client().socket() == socket && other.id() != task.id();
        self.live.read().values().any(|other| same(other)) || is_sandboxs()
    }

    /// Cleans up after a shim that died.
    pub async fn bury(self: &Arc<Self>, task: &Arc<Task>) {
        let key = (task.namespace().to_owned(), task.id().to_owned());
        let _lock = self.locks.lock(key.clone()).await;
        if self.find(&key).is_some_and(|current| Arc::ptr_eq(&current, task)) {
            self.bury_locked(&key, task).await;
        }
    }

    async fn bury_locked(self: &Arc<Self>, key: &Key, task: &Arc<Task>) -> Exit {
        let (_, exit) = last_words(task.helper()).await;
        tracing::warn!(
            container = key.1,
            namespace = key.0,
            status = exit.status,
            "a shim died; its task is removed"
        );
        let exit = match task.init().phase() {
            Phase::Exited(known) => known,
            _ => exit,
        };
        task.finish_all(exit.clone()).await;
        self.live.write().remove(key);
        task.tell_deleted(&exit);
        exit
    }
}

fn answer(task: &Task, exit: &Exit) -> api::DeleteResponse {
    api::DeleteResponse { pid: task.init().pid(), exit_status: exit.status, exited_at: exit.at }
}

/// Runs `shim delete`. Returns init's pid and exit, as far as they are known.
pub async fn last_words(helper: &Helper) -> (u32, Exit) {
    match helper.delete().await {
        Ok(answer) => {
            let at = answer.exited_at.or_else(|| task::killed_now().at);
            (answer.pid, Exit { status: answer.exit_status, at })
        }
        Err(error) => {
            let error = gantry_rpc::chain(&error);
            tracing::warn!(container = helper.id, error, "clean-up after a dead shim failed");
            (0, task::killed_now())
        }
    }
}

/// Tells the shim to exit, and waits until nothing listens on its socket.
async fn farewell(task: &Task) {
    let client = task.client();
    let gone = async {
        // An error means that the shim is gone.
        let _ = client.shutdown().await;
        let mut pause = Duration::from_millis(1);
        while client.is_there().await {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    };
    if tokio::time::timeout(FAREWELL, gone).await.is_err() {
        tracing::warn!(container = task.id(), "the shim of a removed task does not go");
    }
}
