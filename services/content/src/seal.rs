//! Proves bytes that another process has written: cuts the writers off, then hashes the file.
//!
//! A writer on the data socket writes into the ingest's file itself. Whatever was hashed while it could still write
//! proves nothing: a hostile or broken writer may change bytes behind the hash. So the file is hashed once, at the
//! commit, after the kernel has said that no writable descriptor or mapping of it exists anywhere, not even in flight
//! ([`gantry_disk::file::writers`]). From there on nobody can get one: the file lies in a directory of ours (0700), the
//! descriptors that readers hold cannot be opened anew for writing by anyone but us or one who has the rights to write
//! into our directory anyway.
//!
//! A well-behaved writer closes its descriptor before it asks for the commit. If one does not, the bytes are copied into
//! a file of our own and hashed on the way: as sound, at the price of a copy. Where that price is high, the writer is
//! given a moment first.
//! Hashing once at the end costs less than hashing behind the writer and again at the end, and runs beside the sync,
//! while followers are still unpacking.
//!
//! Bytes that came over gRPC were written by this process alone and are hashed as they come; this is not for them.

use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gantry_disk::file::{Writers, writers};
use gantry_types::{Algorithm, Digest, Hasher};

use crate::layout::{self, IngestId, Layout};
use crate::{Error, Result};

const CHUNK: usize = 1 << 20;
/// How long a writer of many bytes has to let go.
const PATIENCE: Duration = Duration::from_millis(20);
/// Fewer bytes than this are copied at once, without waiting for their writer.
const FEW_BYTES: u64 = 4 << 20;

/// Bytes that match their digest, are durable, and cannot be changed by other processes.
#[derive(Debug)]
pub(crate) struct Proved {
    pub(crate) path: PathBuf,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// Seals an ingest's bytes. Blocks.
pub(crate) fn seal(layout: &Layout, id: &IngestId, algorithm: Algorithm) -> Result<Proved> {
    let path = layout.data(id);
    let file = layout::open_read(&path)?;
    let length = file.metadata().map_err(Error::io("look at", &path))?.len();
    let patience = if length > FEW_BYTES { PATIENCE } else { Duration::ZERO };
    if !wait_for_writers_to_leave(&file, &path, patience)? {
        tracing::debug!(
            ingest = id.as_str(),
            length,
            "the writer keeps its descriptor at the commit: the bytes are copied"
        );
        return copy(layout, id, &file, length, algorithm);
    }
    // The disk works while the processor hashes.
    let (synced, hashed) = std::thread::scope(|scope| {
        let sync = scope.spawn(|| file.sync_data());
        let hashed = hash(&file, &path, length, algorithm, |_, _| Ok(()));
        (sync.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), hashed)
    });
    synced.map_err(Error::io("sync", &path))?;
    let (digest, size) = hashed?;
    Ok(Proved { path, digest, size })
}

fn wait_for_writers_to_leave(file: &File, path: &Path, patience: Duration) -> Result<bool> {
    let start = Instant::now();
    let mut pause = Duration::from_micros(200);
    loop {
        match writers(file).map_err(Error::io("ask for the writers of", path))? {
            Writers::None => return Ok(true),
            Writers::Unknown => return Ok(false),
            Writers::Some if start.elapsed() >= patience => return Ok(false),
            Writers::Some => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(10));
            }
        }
    }
}

fn copy(layout: &Layout, id: &IngestId, from: &File, length: u64, algorithm: Algorithm) -> Result<Proved> {
    let path = layout.proved(id);
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::io("remove", path)(e)),
        _ => {}
    }
    let to = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .map_err(Error::io("create", &path))?;
    let copied = hash(from, &layout.data(id), length, algorithm, |offset, bytes| {
        to.write_all_at(bytes, offset).map_err(Error::io("write", &path))
    });
    let done = copied.and_then(|done| to.sync_data().map_err(Error::io("sync", &path)).map(|()| done));
    let (digest, size) = done.inspect_err(|_| {
        let _ = std::fs::remove_file(&path);
    })?;
    Ok(Proved { path, digest, size })
}

/// Hashes a file's first `length` bytes, or fewer if it ends before; `each` sees every piece. What a writer appends
/// meanwhile has no part in it: else one that never stops would keep us for ever.
pub(crate) fn hash(
    file: &File,
    path: &Path,
    length: u64,
    algorithm: Algorithm,
    each: impl FnMut(u64, &[u8]) -> Result<()>,
) -> Result<(Digest, u64)> {
    let mut hasher = algorithm.hasher();
    let size = feed(file, path, 0..length, &mut hasher, each)?;
    Ok((hasher.finish(), size))
}

/// Feeds a part of a file to a hasher; tells where it, or the file, ended.
pub(crate) fn feed(
    file: &File,
    path: &Path,
    part: Range<u64>,
    hasher: &mut Hasher,
    mut each: impl FnMut(u64, &[u8]) -> Result<()>,
) -> Result<u64> {
    let mut buffer = vec![0; CHUNK];
    let mut offset = part.start;
    loop {
        let rest = usize::try_from(part.end - offset).map_or(CHUNK, |rest| rest.min(CHUNK));
        let read = match file.read_at(&mut buffer[..rest], offset) {
            Ok(0) => return Ok(offset),
            Ok(read) => read,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(Error::io("read", path)(e)),
        };
        hasher.update(&buffer[..read]);
        each(offset, &buffer[..read])?;
        offset += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ingest() -> (tempfile::TempDir, Layout, IngestId) {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let layout = Layout::open(dir.path()).unwrap();
        let id = IngestId::unique();
        layout.create_ingest(&id).unwrap();
        (dir, layout, id)
    }

    #[test]
    fn without_writers_the_file_itself_is_proved() {
        let (_dir, layout, id) = ingest();
        std::fs::write(layout.data(&id), "bytes").unwrap();
        let proved = seal(&layout, &id, Algorithm::Sha256).unwrap();
        assert_eq!(
            (proved.path, proved.digest, proved.size),
            (layout.data(&id), Digest::sha256(b"bytes"), 5)
        );
    }

    #[test]
    fn what_is_appended_meanwhile_is_not_followed() {
        let (_dir, layout, id) = ingest();
        let writer = layout::open_write(&layout.data(&id)).unwrap();
        writer.write_all_at(b"good", 0).unwrap();
        let file = layout::open_read(&layout.data(&id)).unwrap();
        let append = |offset: u64, bytes: &[u8]| {
            writer.write_all_at(b"more", offset + bytes.len() as u64).unwrap();
            Ok(())
        };
        let hashed = hash(&file, &layout.data(&id), 4, Algorithm::Sha256, append).unwrap();
        assert_eq!(hashed, (Digest::sha256(b"good"), 4));
    }

    #[test]
    fn a_writer_that_stays_cannot_change_what_is_proved() {
        let (_dir, layout, id) = ingest();
        let writer = layout::open_write(&layout.data(&id)).unwrap();
        writer.write_all_at(b"good bytes", 0).unwrap();
        let proved = seal(&layout, &id, Algorithm::Sha512).unwrap();
        writer.write_all_at(b"evil", 0).unwrap();
        assert_eq!(std::fs::read(&proved.path).unwrap(), b"good bytes");
        let mut hasher = Algorithm::Sha512.hasher();
        hasher.update(b"good bytes");
        assert_eq!(proved.digest, hasher.finish());
        assert_eq!(proved.path, layout.proved(&id));
    }
}
