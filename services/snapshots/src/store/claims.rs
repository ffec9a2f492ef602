//! What must stay while something is made on top of it.
//!
//! A child's record names its parent, so the parent may not go between the look at it and the child's commit. Instead
//! of a lock that all children of an image would queue at, a parent counts the children that are on their way; who
//! wants to remove it claims it as leaving, which only works while there are none, and from then on nobody can begin.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::record::Scope;

type Name = (String, String);

/// The claims of a store. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Claims {
    // Guards the two sets; held for an edit only.
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Parents with children on their way.
    held: HashMap<Name, usize>,
    /// Names that are being removed.
    leaving: HashSet<Name>,
}

/// A parent that stays until this is dropped.
#[derive(Debug)]
pub(super) struct Held(Claims, Name);

/// A name that nobody builds upon until this is dropped.
#[derive(Debug)]
pub(super) struct Leaving(Claims, Name);

impl Claims {
    /// Keeps a parent; `None` if it is being removed.
    pub(super) fn hold(&self, scope: &Scope, parent: &str) -> Option<Held> {
        let name = (scope.key(), parent.to_owned());
        let mut state = self.lock();
        if state.leaving.contains(&name) {
            return None;
        }
        *state.held.entry(name.clone()).or_default() += 1;
        drop(state);
        Some(Held(self.clone(), name))
    }

    /// Claims a name for removal; `None` if children are on their way.
    pub(super) fn leave(&self, scope: &Scope, name: &str) -> Option<Leaving> {
        let name = (scope.key(), name.to_owned());
        let mut state = self.lock();
        if state.held.contains_key(&name) || !state.leaving.insert(name.clone()) {
            return None;
        }
        drop(state);
        Some(Leaving(self.clone(), name))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if let Some(count) = state.held.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                state.held.remove(&self.1);
            }
        }
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.lock().leaving.remove(&self.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_parent_cannot_leave_and_a_leaving_one_cannot_be_held() {
        let scope = Scope { namespace: "a".parse().unwrap(), snapshotter: "s".into() };
        let claims = Claims::default();
        let first = claims.hold(&scope, "p").unwrap();
        let second = claims.hold(&scope, "p").unwrap();
        assert!(claims.leave(&scope, "p").is_none());
        drop((first, second));
        let leaving = claims.leave(&scope, "p").unwrap();
        assert!(claims.hold(&scope, "p").is_none() && claims.hold(&scope, "q").is_some());
        drop(leaving);
        assert!(claims.hold(&scope, "p").is_some());
    }
}
