//! What must stay while something is made on top of it.
//!
//! A child's record names its parent, so the parent may not go between the look at it and the child's commit. Instead
//! of a lock that all children of an image would queue at, each child that is on its way pins its parent; a parent is
//! removed only while nothing pins it, and from then on nothing can.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::record::Scope;
use parking_lot::{Mutex, MutexGuard};

type Name = (String, String);

/// The pins of a store. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Pins {
    // Guards the two sets; held for an edit only.
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Parents with children on their way.
    pinned: HashMap<Name, usize>,
    /// Names that are being removed.
    removing: HashSet<Name>,
}

/// A parent that stays until this is dropped.
#[derive(Debug)]
pub(super) struct Pin(Pins, Name);

/// A name on which no snapshot is built until this is dropped.
#[derive(Debug)]
pub(super) struct Removing(Pins, Name);

impl Pins {
    /// Pins a parent; `None` if it is being removed.
    pub(super) fn pin(&self, scope: &Scope, parent: &str) -> Option<Pin> {
        let name = (scope.key(), parent.to_owned());
        let mut state = self.lock();
        if state.removing.contains(&name) {
            return None;
        }
        *state.pinned.entry(name.clone()).or_default() += 1;
        drop(state);
        Some(Pin(self.clone(), name))
    }

    /// Begins to remove a name; `None` if children are on their way.
    pub(super) fn remove(&self, scope: &Scope, name: &str) -> Option<Removing> {
        let name = (scope.key(), name.to_owned());
        let mut state = self.lock();
        if state.pinned.contains_key(&name) || !state.removing.insert(name.clone()) {
            return None;
        }
        drop(state);
        Some(Removing(self.clone(), name))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if let Some(count) = state.pinned.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                state.pinned.remove(&self.1);
            }
        }
    }
}

impl Drop for Removing {
    fn drop(&mut self) {
        self.0.lock().removing.remove(&self.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_parent_cannot_be_removed_and_one_that_is_removed_cannot_be_pinned() {
        let scope = Scope { namespace: "a".parse().unwrap(), snapshotter: "s".into() };
        let pins = Pins::default();
        let first = pins.pin(&scope, "p").unwrap();
        let second = pins.pin(&scope, "p").unwrap();
        assert!(pins.remove(&scope, "p").is_none());
        drop((first, second));
        let removing = pins.remove(&scope, "p").unwrap();
        assert!(pins.pin(&scope, "p").is_none() && pins.pin(&scope, "q").is_some());
        drop(removing);
        assert!(pins.pin(&scope, "p").is_some());
    }
}
