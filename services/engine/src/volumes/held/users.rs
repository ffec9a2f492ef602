//! Who uses which volume, in memory.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use parking_lot::Mutex;

use crate::volumes::driver::Last;

/// The users of each volume, and the present paths of plugins' volumes. The lock is held for single edits; the
/// volume's own lock is held around them.
#[derive(Default)]
pub struct Users(Mutex<State>);

#[derive(Default)]
struct State {
    users: BTreeMap<String, HashSet<String>>,
    places: BTreeMap<String, PathBuf>,
}

impl Users {
    /// Enters a user of a volume.
    pub fn add(&self, volume: &str, user: &str) {
        self.0.lock().users.entry(volume.to_owned()).or_default().insert(user.to_owned());
    }

    /// Whether a volume has this user.
    pub fn has(&self, volume: &str, user: &str) -> bool {
        self.0.lock().users.get(volume).is_some_and(|users| users.contains(user))
    }

    /// Removes a user of a volume. The last one takes the volume's path along.
    pub fn remove(&self, volume: &str, user: &str) -> Last {
        let mut state = self.0.lock();
        let Some(users) = state.users.get_mut(volume) else { return Last::Yes };
        users.remove(user);
        if !users.is_empty() {
            return Last::No;
        }
        state.users.remove(volume);
        state.places.remove(volume);
        Last::Yes
    }

    /// Whether a volume has no user.
    pub fn is_none(&self, volume: &str) -> bool {
        !self.0.lock().users.contains_key(volume)
    }

    /// Enters the path of a plugin's volume.
    pub fn put(&self, volume: &str, place: PathBuf) {
        self.0.lock().places.insert(volume.to_owned(), place);
    }

    /// The path of a plugin's volume, while it has users.
    pub fn place(&self, volume: &str) -> Option<PathBuf> {
        self.0.lock().places.get(volume).cloned()
    }
}
