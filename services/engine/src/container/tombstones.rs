//! Remembers how containers ended that removed themselves (`--rm`), for clients that waited for such a container
//! while the engine was away and ask again.
//!
//! Only waits are answered from here, and only by the full id, because names are reused. Memory is enough: an engine
//! answers the waits for the containers that it removes itself, and a container that ended while no engine ran is
//! removed by the next engine, which remembers it here.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long, and how many, ends are remembered.
const MEMORY: Duration = Duration::from_secs(5 * 60);
const MOST: usize = 1024;

/// Exit codes of removed containers.
#[derive(Debug, Default)]
pub struct Tombstones {
    /// Oldest first.
    exits: Mutex<VecDeque<Exit>>,
}

#[derive(Debug)]
struct Exit {
    id: String,
    code: i32,
    at: Instant,
}

impl Tombstones {
    /// Records how a container ended.
    pub fn put(&self, id: &str, code: i32) {
        let mut exits = self.exits.lock();
        while exits.len() >= MOST || exits.front().is_some_and(|oldest| oldest.at.elapsed() > MEMORY) {
            exits.pop_front();
        }
        exits.push_back(Exit { id: id.to_owned(), code, at: Instant::now() });
    }

    /// The exit code of a container that was removed not long ago.
    pub fn exit_code(&self, id: &str) -> Option<i32> {
        let exits = self.exits.lock();
        exits.iter().rev().find(|exit| exit.id == id && exit.at.elapsed() <= MEMORY).map(|exit| exit.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_remembered() {
        let tombstones = Tombstones::default();
        for number in 0..=MOST {
            tombstones.put(&format!("id{number}"), 7);
        }
        assert_eq!(tombstones.exit_code("id0"), None);
        assert_eq!(tombstones.exit_code("id1"), Some(7));
        assert_eq!(tombstones.exit_code(&format!("id{MOST}")), Some(7));
    }
}
