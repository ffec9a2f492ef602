//! Remembers execs and deletes them again.
//!
//! An exec is recorded when it is created and when it ends, so that its exit code is available after a restart of the
//! engine. An exec that has ended is deleted after a while, or with its container. An exec that was never started is
//! deleted when its container's process ends, as dockerd does, because it can never be started again; it is deleted
//! earlier if its container has too many others that were never started.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gantry_api::engine as api;
use parking_lot::Mutex;
use tokio::sync::RwLock;

use super::{Exec, Execs, Kept, State};
use crate::container::Container;
use crate::error::{Error, Result};
use crate::peers::Task;
use crate::time;

/// How long the outcome of an exec is kept.
const REMEMBERED: Duration = Duration::from_secs(300);
/// Time between two searches for execs to delete.
const SWEEP: Duration = Duration::from_secs(300);
/// Most execs of a container that were not started; the oldest is deleted for a further one.
const MOST_WAITING: usize = 1000;

/// The execs of a container by id, including those that have ended.
#[derive(Default)]
pub struct Known {
    execs: Mutex<BTreeMap<String, Arc<Exec>>>,
    /// Shared by those who write an exec's record, and held alone by the removal of the container, which deletes all
    /// of them.
    records: RwLock<Records>,
}

/// Whether execs of a container are recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Records {
    /// They are.
    #[default]
    Open,
    /// They are deleted with the container, and none may be written any more.
    Closed,
}

impl Known {
    /// Adds an exec.
    pub fn insert(&self, exec: Arc<Exec>) {
        self.execs.lock().insert(exec.id.to_string(), exec);
    }

    /// Returns an exec.
    pub fn get(&self, id: &str) -> Option<Arc<Exec>> {
        self.execs.lock().get(id).cloned()
    }

    /// Deletes an exec.
    pub fn remove(&self, id: &str) {
        self.execs.lock().remove(id);
    }

    /// Deletes all execs with their container. `delete` gets the ids of those that may be recorded. If it succeeds,
    /// no record of an exec is written afterwards, and none is on its way.
    pub async fn close<F>(&self, delete: impl FnOnce(Vec<String>) -> F) -> Result<()>
    where
        F: Future<Output = Result<()>>,
    {
        let mut records = self.records.write().await;
        delete(self.ids()).await?;
        *records = Records::Closed;
        self.execs.lock().clear();
        Ok(())
    }

    /// Keeps the container's records from being deleted while one of an exec is written; `None` if they are deleted.
    pub(super) async fn recording(&self) -> Option<impl Drop + use<'_>> {
        Some(self.records.read().await).filter(|records| **records == Records::Open)
    }

    /// The ids of all execs.
    fn ids(&self) -> Vec<String> {
        self.execs.lock().keys().cloned().collect()
    }

    /// The ids of the execs that run.
    pub fn running(&self) -> Vec<String> {
        self.chosen(Exec::is_running).iter().map(|exec| exec.id.to_string()).collect()
    }

    /// Takes out execs that ended a while ago, and the oldest ones beyond `most_waiting` that were not started.
    fn take_surplus(&self, most_waiting: usize) -> Vec<Arc<Exec>> {
        let mut execs = self.execs.lock();
        let (mut surplus, mut waiting) = (Vec::new(), Vec::new());
        for exec in execs.values() {
            match *exec.state.borrow() {
                State::Made => waiting.push(Arc::clone(exec)),
                State::Ended { at, .. } if time::elapsed(at) > REMEMBERED => surplus.push(Arc::clone(exec)),
                State::Started { .. } | State::Ended { .. } => {}
            }
        }
        waiting.sort_by_key(|exec| exec.made_at);
        waiting.truncate(waiting.len().saturating_sub(most_waiting));
        surplus.append(&mut waiting);
        for exec in &surplus {
            execs.remove(exec.id());
        }
        surplus
    }

    fn chosen(&self, is_chosen: impl Fn(&Exec) -> bool) -> Vec<Arc<Exec>> {
        self.execs.lock().values().filter(|exec| is_chosen(exec)).cloned().collect()
    }
}

impl Execs {
    /// Finds an exec and its container by the exec's id.
    pub(crate) fn find(&self, id: &str) -> Result<(Arc<Container>, Arc<Exec>)> {
        let mut all = self.containers.all().into_iter();
        let found = all.find_map(|container| container.execs.get(id).map(|exec| (container, exec)));
        found.ok_or_else(|| Error::NoSuchExec(id.to_owned()))
    }

    /// An exec as clients see it. If the tasks service says that it has ended, it has ended.
    pub async fn get(&self, id: &str) -> Result<api::Exec> {
        let (container, exec) = self.find(id)?;
        if exec.is_running()
            && let Ok(Task::Stopped(exit)) = self.tasks.get(&exec.process()).await
        {
            self.ended(&container, &exec, exit).await;
        }
        Ok(exec.view())
    }

    /// Records how an exec ended. Returns whether this is the first record of its end.
    pub(super) async fn record_end(&self, container: &Container, exec: &Exec, code: i32) -> bool {
        let first = exec.end(code);
        if first
            && exec.kept == Kept::Durable
            && let Some(_recording) = container.execs.recording().await
            && let Err(error) = self.containers.store.put_exec(&exec.record()).await
        {
            tracing::warn!(exec = %exec.id, error = %gantry_rpc::chain(&error), "exit code not recorded");
        }
        first
    }

    /// Determines the state of execs whose end is not recorded, and watches those that were started. A start is not
    /// recorded in the database, because the tasks service knows it.
    pub(crate) async fn adopt(&self, container: &Arc<Container>) -> Result<()> {
        let is_made = |exec: &Exec| *exec.state.borrow() == State::Made;
        for exec in container.execs.chosen(is_made) {
            let pid = match self.tasks.get(&exec.process()).await? {
                Task::Running(pid) | Task::Paused(pid) => pid,
                Task::Stopped(_) => 0,
                // The start was never acknowledged to a client, so the exec may be started again.
                Task::Created if !is_made(&exec) => continue,
                Task::Created => {
                    self.tasks.delete_exec(container.task(), &exec.id).await?;
                    continue;
                }
                Task::Absent => continue,
            };
            exec.runs(pid);
            self.monitor(container, &exec);
        }
        Ok(())
    }

    /// Deletes the records of the execs of a run that has ended, and the execs that were not started. The exit codes
    /// of the others stay available.
    pub(crate) async fn forget(&self, container: &Container) {
        let all = container.execs.chosen(|_| true);
        container.execs.take_surplus(0);
        self.forget_records(container, &all).await;
    }

    /// Deletes execs in the background, at regular intervals.
    pub(crate) fn forget_in_time(&self) {
        let execs = self.clone();
        self.context.spawn("forget ended execs", async move {
            loop {
                tokio::time::sleep(SWEEP).await;
                for container in execs.containers.all() {
                    execs.forget_surplus(&container, MOST_WAITING).await;
                }
            }
        });
    }

    /// Makes room for one more exec.
    pub(super) async fn make_room(&self, container: &Container) {
        self.forget_surplus(container, MOST_WAITING - 1).await;
    }

    async fn forget_surplus(&self, container: &Container, most_waiting: usize) {
        let surplus = container.execs.take_surplus(most_waiting);
        self.forget_records(container, &surplus).await;
    }

    async fn forget_records(&self, container: &Container, execs: &[Arc<Exec>]) {
        let durable = execs.iter().filter(|exec| exec.kept == Kept::Durable);
        let ids: Vec<String> = durable.map(|exec| exec.id.to_string()).collect();
        if let Err(error) = self.containers.store.delete_execs(&ids).await {
            tracing::warn!(container = %container.id(), error = %gantry_rpc::chain(&error), "execs not forgotten");
        }
    }
}

#[cfg(test)]
mod tests {
    use gantry_api::engine::ExecSpec;

    use super::*;
    use crate::peers::Exit;
    use crate::stage::Stage;

    #[test]
    fn the_oldest_of_many_that_nobody_starts_are_forgotten() {
        let execs = Known::default();
        let of = |made_at| {
            let container = "1".repeat(64).parse().expect("an id");
            let exec = Exec::new(&container, ExecSpec::default(), Kept::InMemory).expect("valid");
            Arc::new(Exec { made_at, ..exec })
        };
        let all: Vec<Arc<Exec>> = (0..5).map(of).collect();
        for exec in &all {
            execs.insert(Arc::clone(exec));
        }
        all[0].take().expect("not started before");
        assert!(all[1].end(3));
        let made_at = |execs: Vec<Arc<Exec>>| execs.iter().map(|exec| exec.made_at).collect::<Vec<_>>();
        assert_eq!(made_at(execs.take_surplus(2)), [2]);
        assert!(execs.get(all[2].id()).is_none());
        all[1].state.send_replace(State::Ended { code: 3, at: time::now() - 301_000_000_000 });
        assert_eq!(made_at(execs.take_surplus(0)), [1, 3, 4]);
        assert_eq!(execs.ids(), [all[0].id()], "it runs");
    }

    #[test]
    fn an_exec_is_started_once() {
        let container = "1".repeat(64).parse().expect("an id");
        let exec = Exec::new(&container, ExecSpec::default(), Kept::InMemory).expect("valid");
        exec.take().expect("not started before");
        let again = exec.take().expect_err("started").to_string();
        assert_eq!(again, format!("exec command {} is already running", exec.id()));
        assert!(exec.end(7) && !exec.end(8), "the first end counts");
        exec.runs(12);
        assert_eq!((exec.view().exit_code, exec.view().pid), (Some(7), 0), "it is over");
        assert!(exec.take().expect_err("over").to_string().ends_with("has already run"));
    }
    #[tokio::test]
    async fn nothing_is_recorded_of_the_execs_of_a_container_that_is_deleted() {
        let stage = Stage::new();
        let container = stage.running("web").await;
        let facts = gantry_spec::Facts::detect();
        let execs = Execs::new(&stage.containers, &stage.peers, &stage.events, &facts, &stage.context());
        let spec = || ExecSpec { cmd: vec!["sleep".to_owned()], ..ExecSpec::default() };
        let exec = execs.make(&container, spec(), Kept::Durable).await.expect("made");
        execs.add(exec.id()).await.expect("added");
        let store = &stage.containers.store;
        assert_eq!(store.execs().await.expect("readable").len(), 1);
        let cut = container.execs.close(async |_| Err(Error::ExecNotStarted)).await;
        cut.expect_err("the deletion failed");
        assert!(container.execs.recording().await.is_some(), "so the container is still there");
        let delete = async |ids: Vec<String>| store.delete(container.id(), &ids).await;
        container.execs.close(delete).await.expect("deleted");
        let ended = Exit { code: 3, at: 0 };
        execs.ended(&container, &exec, ended).await;
        assert_eq!(exec.ended().await, 3, "those who wait hear of it");
        let late = execs.make(&container, spec(), Kept::Durable).await.map(drop).expect_err("it is gone");
        assert!(matches!(late, Error::NoSuchContainer(_)), "{late}");
        stage.flush().await;
        assert!(store.execs().await.expect("readable").is_empty(), "no record outlives its container");
    }
}
