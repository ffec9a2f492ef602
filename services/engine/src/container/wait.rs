//! Waiting for a container: to stand still, to end once more, to be gone.

use gantry_proto::gantry::engine::v1 as pb;
use pb::wait_request::Condition;
use tokio::sync::watch;

use super::Live;
use crate::engine::Engine;
use crate::error::Result;
use crate::record::State;

/// A wait that has begun: what happens from here on counts.
pub struct Waiting {
    watch: watch::Receiver<Live>,
    condition: Condition,
    exits: u64,
}

impl Engine {
    /// Begins a wait. One for a container that was removed not long ago is over at once.
    pub fn wait(&self, name: &str, condition: Condition) -> Result<Waiting> {
        let watch = match self.index.find(name) {
            Ok(container) => container.watch(),
            Err(error) => removed(self.departed.exit_code(name).ok_or(error)?),
        };
        let exits = watch.borrow().exits;
        Ok(Waiting { watch, condition, exits })
    }
}

/// Whether nothing runs, and nothing will by itself.
fn stands_still(live: &Live) -> bool {
    let moving = matches!(live.state.status(), pb::Status::Restarting | pb::Status::Removing);
    !live.state.has_process() && !moving
}

/// The end of a container that ended so.
fn removed(exit_code: i32) -> watch::Receiver<Live> {
    let state = State { exit_code, ..State::default() };
    watch::channel(Live { state, removed: true, ..Live::default() }).1
}

impl Waiting {
    /// The container's exit code, once the condition holds.
    pub async fn result(mut self) -> pb::wait_response::Exit {
        let (condition, exits) = (self.condition, self.exits);
        let holds = |live: &Live| {
            live.removed
                || match condition {
                    // One that waits for its restart counts as running; its next end answers.
                    Condition::NotRunning => live.exits > exits || stands_still(live),
                    Condition::NextExit => live.exits > exits,
                    Condition::Removed => false,
                }
        };
        let live = self.watch.wait_for(holds).await.map(|live| live.clone());
        let live = live.unwrap_or_else(|_| self.watch.borrow().clone());
        // Why a start failed was told to who asked for it; a removal that succeeded has no error.
        let error = if live.removed { String::new() } else { live.state.error };
        pb::wait_response::Exit { status_code: i64::from(live.state.exit_code), error }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::container::Container;
    use crate::record::Record;

    fn waiting(container: &Container, condition: Condition) -> Waiting {
        let watch = container.watch();
        let exits = watch.borrow().exits;
        Waiting { watch, condition, exits }
    }

    fn end(container: &Container, code: i32) {
        container.change(|live| {
            live.state.set_status(pb::Status::Exited);
            live.state.exit_code = code;
            live.exits += 1;
        });
    }

    #[tokio::test]
    async fn the_next_exit_is_not_the_last_one() {
        let container = Arc::new(Container::new(Record::default(), State::default(), &Arc::default()));
        end(&container, 1);
        let next = tokio::spawn(waiting(&container, Condition::NextExit).result());
        let still = tokio::spawn(waiting(&container, Condition::NotRunning).result());
        assert_eq!(still.await.expect("joined").status_code, 1);
        assert!(!next.is_finished());
        end(&container, 7);
        assert_eq!(next.await.expect("joined").status_code, 7);
    }

    #[tokio::test]
    async fn a_restarting_container_does_not_stand_still() {
        let container = Arc::new(Container::new(Record::default(), State::default(), &Arc::default()));
        container.change(|live| live.state.set_status(pb::Status::Restarting));
        let still = tokio::spawn(waiting(&container, Condition::NotRunning).result());
        tokio::task::yield_now().await;
        assert!(!still.is_finished());
        end(&container, 3);
        assert_eq!(still.await.expect("joined").status_code, 3);
    }

    #[tokio::test]
    async fn each_end_answers_though_the_policy_restarts() {
        let container = Arc::new(Container::new(Record::default(), State::default(), &Arc::default()));
        container.change(|live| live.state.set_status(pb::Status::Running));
        let still = tokio::spawn(waiting(&container, Condition::NotRunning).result());
        tokio::task::yield_now().await;
        end(&container, 5);
        container.change(|live| live.state.set_status(pb::Status::Restarting));
        container.change(|live| live.state.set_status(pb::Status::Running));
        assert_eq!(still.await.expect("joined").status_code, 5);
    }

    #[tokio::test]
    async fn removal_ends_every_wait() {
        let container = Arc::new(Container::new(Record::default(), State::default(), &Arc::default()));
        let waits: Vec<_> = [Condition::Removed, Condition::NextExit]
            .map(|condition| tokio::spawn(waiting(&container, condition).result()))
            .into();
        container.change(|live| live.removed = true);
        for wait in waits {
            assert_eq!(wait.await.expect("joined").status_code, 0);
        }
    }
}
