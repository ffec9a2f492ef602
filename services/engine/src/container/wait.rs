//! Waits for a container to stop running, to end once more, or to be removed.

use gantry_api::engine::{Condition, Exit, Status};
use tokio::sync::watch;

use super::life::Life;
use crate::containers::Containers;
use crate::error::Result;

/// A wait that has begun: it takes in everything that happens from its creation on.
pub struct Waiting {
    watch: watch::Receiver<Life>,
    condition: Condition,
    exits: u64,
}

/// Begins a wait. For a container that was removed not long ago the wait is over at once.
pub fn wait(containers: &Containers, name: &str, condition: Condition) -> Result<Waiting> {
    let watch = match containers.find(name) {
        Ok(container) => container.watch(),
        Err(error) => removed(containers.tombstones.exit_code(name).ok_or(error)?),
    };
    let exits = watch.borrow().ends();
    Ok(Waiting { watch, condition, exits })
}

/// Whether no process runs and the restart policy will start none.
fn stands_still(life: &Life) -> bool {
    let moving = matches!(life.status(), Status::Restarting | Status::Removing);
    !life.has_process() && !moving
}

/// The life of a removed container that ended with this exit code.
fn removed(exit_code: i32) -> watch::Receiver<Life> {
    watch::channel(Life::removed_after(exit_code)).1
}

impl Waiting {
    /// Returns the container's exit code once the condition is met.
    pub async fn result(mut self) -> Exit {
        let (condition, exits) = (self.condition, self.exits);
        let holds = |life: &Life| {
            life.is_removed()
                || match condition {
                    // A container that waits for its restart counts as running; its next end meets the condition.
                    Condition::NotRunning => life.ends() > exits || stands_still(life),
                    Condition::NextExit => life.ends() > exits,
                    Condition::Removed => false,
                }
        };
        let life = self.watch.wait_for(holds).await.map(|life| life.clone());
        let life = life.unwrap_or_else(|_| self.watch.borrow().clone());
        // A failed start was reported to the client that asked for it; a removal that succeeded has no error.
        let error = if life.is_removed() { String::new() } else { life.past().error.clone() };
        Exit { status_code: i64::from(life.past().exit_code), error }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::container::Container;
    use crate::container::life::{Past, Phase, Running};
    use crate::record::Record;

    fn container(phase: Phase) -> Arc<Container> {
        let life = Life::at(phase, Past { started_at: 1, ..Past::default() });
        let record = Record { id: "c".to_owned(), ..Record::default() };
        Arc::new(Container::new(record, life, &Arc::default()).expect("an id"))
    }

    fn waiting(container: &Container, condition: Condition) -> Waiting {
        let watch = container.watch();
        let exits = watch.borrow().ends();
        Waiting { watch, condition, exits }
    }

    /// Starts the container if it does not run, and ends it.
    fn end(container: &Container, code: i32, restarts: bool) {
        container.change(|life| {
            if !life.has_process() {
                life.adopt(Running::default(), 2).expect("at rest");
            }
            life.end(code, 3, |_| restarts).expect("running")
        });
    }

    #[tokio::test]
    async fn the_next_exit_is_not_the_last_one() {
        let container = container(Phase::Running(Running::default()));
        end(&container, 1, false);
        let next = tokio::spawn(waiting(&container, Condition::NextExit).result());
        let still = tokio::spawn(waiting(&container, Condition::NotRunning).result());
        assert_eq!(still.await.expect("joined").status_code, 1);
        assert!(!next.is_finished());
        end(&container, 7, false);
        assert_eq!(next.await.expect("joined").status_code, 7);
    }

    #[tokio::test]
    async fn a_restarting_container_does_not_stand_still() {
        let container = container(Phase::Restarting { held: false });
        let still = tokio::spawn(waiting(&container, Condition::NotRunning).result());
        tokio::task::yield_now().await;
        assert!(!still.is_finished());
        end(&container, 3, false);
        assert_eq!(still.await.expect("joined").status_code, 3);
    }

    #[tokio::test]
    async fn each_end_answers_though_the_policy_restarts() {
        let container = container(Phase::Running(Running::default()));
        let still = tokio::spawn(waiting(&container, Condition::NotRunning).result());
        tokio::task::yield_now().await;
        end(&container, 5, true);
        container.change(|life| life.adopt(Running::default(), 4)).expect("at rest");
        assert_eq!(still.await.expect("joined").status_code, 5);
    }

    #[tokio::test]
    async fn removal_ends_every_wait() {
        let container = container(Phase::Created);
        let waits: Vec<_> = [Condition::Removed, Condition::NextExit]
            .map(|condition| tokio::spawn(waiting(&container, condition).result()))
            .into();
        container.change(Life::removed).expect("at rest");
        for wait in waits {
            assert_eq!(wait.await.expect("joined").status_code, 0);
        }
    }
}
