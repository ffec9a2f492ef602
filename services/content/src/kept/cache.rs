//! The files of blobs that other stores keep, up to a limit: the one that was used longest ago goes first.
//!
//! A file that somebody has open stays: to remove it would free nothing. It counts, so new files find no room while
//! everything is in use; they linger a moment ([`super::Lingering`]), and go with their last descriptor.

use std::collections::HashMap;
use std::fs::File;
use std::time::SystemTime;

use gantry_disk::KeyedLocks;
use gantry_disk::file::is_open_elsewhere;
use gantry_types::Digest;
use parking_lot::Mutex;

use crate::layout::{self, Layout};
use crate::metrics::Metrics;
use crate::{Error, Result};

/// The cached files.
#[derive(Debug)]
pub(crate) struct Cache {
    limit: u64,
    layout: Layout,
    metrics: Metrics,
    // Guarded for the moment of an edit.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    files: HashMap<Digest, Entry>,
    /// What the files take, and those that are to come.
    total: u64,
    /// Counts uses.
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    size: u64,
    used: u64,
}

/// Room for a file that is to come. It is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Room<'c> {
    cache: &'c Cache,
    size: u64,
}

impl Cache {
    pub(super) fn new(limit: u64, layout: Layout, metrics: Metrics) -> Self {
        Self { limit, layout, metrics, state: Mutex::default() }
    }

    /// Adds the files that an earlier process has left, by their age.
    pub(crate) fn fill(&self, mut files: Vec<(SystemTime, Digest, u64)>) {
        files.sort_by_key(|(modified, ..)| *modified);
        let mut state = self.state.lock();
        for (_, digest, size) in files {
            state.total += size;
            state.insert(digest, size);
        }
    }

    /// A file was used.
    pub(crate) fn touch(&self, digest: &Digest) {
        let mut state = self.state.lock();
        state.clock += 1;
        let now = state.clock;
        if let Some(entry) = state.files.get_mut(digest) {
            entry.used = now;
        }
    }

    /// A file is gone.
    pub(crate) fn forget(&self, digest: &Digest) {
        let mut state = self.state.lock();
        if let Some(entry) = state.files.remove(digest) {
            state.total -= entry.size;
        }
    }

    /// Makes room for a file; `None` if there is none. Blocks.
    pub(crate) fn room(&self, size: u64, digests: &KeyedLocks<Digest>) -> Result<Option<Room<'_>>> {
        if size > self.limit || !self.shrink(self.limit - size, digests)? {
            return Ok(None);
        }
        let mut state = self.state.lock();
        // Somebody else may have taken it meanwhile.
        let fits = state.total + size <= self.limit;
        state.total += if fits { size } else { 0 };
        Ok(fits.then_some(Room { cache: self, size }))
    }

    /// Removes files until they take no more than the limit, as far as they are not in use. Blocks.
    pub(crate) fn trim(&self, digests: &KeyedLocks<Digest>) -> Result<()> {
        self.shrink(self.limit, digests).map(drop)
    }

    /// Whether the files take no more than `most` in the end.
    fn shrink(&self, most: u64, digests: &KeyedLocks<Digest>) -> Result<bool> {
        if self.state.lock().total <= most {
            return Ok(true);
        }
        let mut oldest: Vec<(u64, Digest)> = {
            let state = self.state.lock();
            state.files.iter().map(|(digest, entry)| (entry.used, digest.clone())).collect()
        };
        oldest.sort();
        for (_, digest) in oldest {
            if self.state.lock().total <= most {
                break;
            }
            self.evict(&digest, digests)?;
        }
        Ok(self.state.lock().total <= most)
    }

    fn evict(&self, digest: &Digest, digests: &KeyedLocks<Digest>) -> Result<()> {
        // While somebody else has the lock, the blob is being changed: it may become one that only this service has.
        let Some(_lock) = digests.try_lock(digest.clone()) else { return Ok(()) };
        if !self.state.lock().files.contains_key(digest) {
            return Ok(());
        }
        let path = self.layout.blob(digest);
        match layout::open_read(&path) {
            Ok(file) if is_used(&file, &path)? => return Ok(()),
            Ok(_) => std::fs::remove_file(&path).map_err(Error::io("remove", path))?,
            Err(error) if error.is_missing() => {}
            Err(error) => return Err(error),
        }
        self.metrics.evicted.inc();
        self.forget(digest);
        Ok(())
    }
}

impl State {
    fn insert(&mut self, digest: Digest, size: u64) {
        self.clock += 1;
        let entry = Entry { size, used: self.clock };
        if let Some(before) = self.files.insert(digest, entry) {
            self.total -= before.size;
        }
    }
}

impl Room<'_> {
    /// The file has its name.
    pub(crate) fn take(mut self, digest: &Digest) {
        self.cache.state.lock().insert(digest.clone(), self.size);
        // The room is the file's now, and not given back.
        self.size = 0;
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.cache.state.lock().total -= self.size;
    }
}

fn is_used(file: &File, path: &std::path::Path) -> Result<bool> {
    Ok(is_open_elsewhere(file).map_err(Error::io("ask for the readers of", path))?.unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(limit: u64) -> (tempfile::TempDir, Cache, KeyedLocks<Digest>) {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let layout = Layout::open(dir.path()).unwrap();
        (dir, Cache::new(limit, layout, Metrics::default()), KeyedLocks::new())
    }

    /// A file of four bytes, if there is room for it.
    fn add(cache: &Cache, locks: &KeyedLocks<Digest>, bytes: [u8; 4]) -> Option<Digest> {
        let digest = Digest::sha256(&bytes);
        let room = cache.room(4, locks).unwrap()?;
        std::fs::write(cache.layout.blob(&digest), bytes).unwrap();
        room.take(&digest);
        Some(digest)
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let (_dir, cache, locks) = cache(8);
        let one = add(&cache, &locks, *b"one.").unwrap();
        let two = add(&cache, &locks, *b"two.").unwrap();
        cache.touch(&one);
        let three = add(&cache, &locks, *b"thre").unwrap();
        let is_there = |digest: &Digest| cache.layout.blob(digest).exists();
        assert!(is_there(&one) && !is_there(&two) && is_there(&three));
        assert!(cache.room(9, &locks).unwrap().is_none());
        drop(cache.room(8, &locks).unwrap().unwrap());
        assert!(!is_there(&one) && !is_there(&three));
        assert_eq!(cache.state.lock().total, 0);
    }

    #[test]
    fn what_is_in_use_stays_and_new_files_find_no_room() {
        let (_dir, cache, locks) = cache(8);
        let open = |digest: &Digest| File::open(cache.layout.blob(digest)).unwrap();
        let one = add(&cache, &locks, *b"one.").unwrap();
        let (reader, two) = (open(&one), add(&cache, &locks, *b"two.").unwrap());
        let other = open(&two);
        assert!(add(&cache, &locks, *b"thre").is_none());
        drop(other);
        assert!(add(&cache, &locks, *b"thre").is_some());
        assert!(cache.layout.blob(&one).exists() && !cache.layout.blob(&two).exists());
        drop(reader);
        // Nor does one go whose blob is being changed.
        let changing = locks.try_lock(one.clone()).unwrap();
        drop(cache.room(8, &locks).unwrap());
        assert!(cache.layout.blob(&one).exists());
        drop(changing);
    }

    #[test]
    fn the_oldest_of_an_earlier_process_go_first() {
        let (_dir, cache, locks) = cache(4);
        let files = [(7, *b"new."), (3, *b"old.")].map(|(age, bytes): (u64, [u8; 4])| {
            let digest = Digest::sha256(&bytes);
            std::fs::write(cache.layout.blob(&digest), bytes).unwrap();
            (SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(age), digest, 4)
        });
        cache.fill(files.to_vec());
        cache.trim(&locks).unwrap();
        assert!(cache.layout.blob(&files[0].1).exists() && !cache.layout.blob(&files[1].1).exists());
    }
}
