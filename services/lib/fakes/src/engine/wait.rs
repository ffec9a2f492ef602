//! Waits for the fake engine's containers.

use gantry_api::engine::containers::{self as api, Wait};
use gantry_api::engine::{Condition, Exit};

use super::Engine;
use crate::Refused;

/// A wait in progress; counted while it exists.
#[derive(Debug)]
pub struct Waiting {
    engine: Engine,
    id: String,
    condition: Condition,
    /// Number of ends at the beginning of the wait.
    ends: u64,
}

impl Wait for Engine {
    type Waiting = Waiting;

    async fn wait_for(&self, name: &str, condition: Condition) -> Result<Waiting, Refused> {
        self.edit(|state| {
            let was_removed = state.removed_themselves.contains(name);
            let (id, ends) = match state.find(name) {
                Ok(container) => (container.id.clone(), container.ends),
                Err(_) if was_removed => (name.to_owned(), 0),
                Err(missing) => return Err(missing),
            };
            state.waiting += 1;
            Ok(Waiting { engine: self.clone(), id, condition, ends })
        })
    }
}

impl api::Waiting for Waiting {
    type Error = Refused;

    async fn exit(self) -> Result<Option<Exit>, Refused> {
        let (condition, ends) = (self.condition, self.ends);
        let exit = self.engine.until(|state| {
            let Some(container) = state.by_id(&self.id) else {
                let code = state.removed.get(&self.id).copied().unwrap_or_default();
                return Some(Exit { status_code: code.into(), error: String::new() });
            };
            let over = match condition {
                Condition::NotRunning => container.ends > ends || !container.has_process(),
                Condition::NextExit => container.ends > ends,
                Condition::Removed => false,
            };
            let exit = || Exit { status_code: container.exit_code.into(), error: container.error.clone() };
            over.then(exit)
        });
        Ok(Some(exit.await))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.engine.edit(|state| state.waiting -= 1);
    }
}
