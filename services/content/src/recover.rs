//! What a start finds after a crash, and what it makes of it. The database is the truth for names, the files for bytes.
//!
//! | found                                   | because of a crash                       | done                                |
//! | --- | --- | --- |
//! | a blob's record without its bytes        | never; the file was removed by hand      | record dropped, WARN                |
//! | no file of a blob that another store keeps | it was not in the cache               | nothing                             |
//! | a file of such a blob with another size  | never; by hand                           | file removed                        |
//! | a blob's bytes without a record          | between link and record, record and removal | bytes removed, unless records were lost |
//! | an ingest's record without its directory | a power failure, or a removal by hand    | record dropped: written anew        |
//! | an ingest's directory without a record   | between directory and record, or at the end | directory removed                |
//! | an ingest with both                      |                                          | goes on at the end of its solid bytes |

use std::collections::HashSet;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::SystemTime;

use gantry_disk::Batch;
use gantry_disk::file::solid_length;
use gantry_types::{Algorithm, Digest};

use crate::ingest::{Ingest, IngestKey};
use crate::layout::{self, INGEST_MODE, IngestId, Layout};
use crate::record::{IngestRecord, Records};
use crate::{Error, Result};

/// Files without an owner, and files that are missing.
#[derive(Debug, PartialEq)]
pub(crate) enum Stray {
    /// A record without its bytes, or with other bytes than it says.
    BlobRecord(gantry_types::Namespace, Digest),
    /// Bytes that no namespace has.
    BlobFile(Digest),
    /// A file that has another size than its blob, which another store keeps.
    CacheFile(Digest),
    /// Bytes of the right length that are not those that the digest names. Only found by reading them.
    BlobBytes(Digest),
    /// An ingest's record without its directory.
    IngestRecord(IngestKey),
    /// An ingest's directory without a record.
    IngestDirectory(IngestId),
}

/// Repairs, and returns the ingests that go on. Before anything is served. Blocks.
pub(crate) fn recover(layout: &Layout, records: &Records) -> Result<Vec<Ingest>> {
    // A second time, because a record that was dropped may have been the last one of bytes that are still there.
    while repair_all(layout, records)? {}
    layout.remove_fetches()?;
    let mut ingests = Vec::new();
    for ((namespace, reference), record) in records.ingests.scan_all()? {
        let key = IngestKey { namespace, reference };
        if let Some(ingest) = resume(layout, key, &record)? {
            ingests.push(ingest);
        }
    }
    Ok(ingests)
}

/// Repairs what one look finds; whether there may be more.
fn repair_all(layout: &Layout, records: &Records) -> Result<bool> {
    let mut batch = records.database.batch();
    let lost = records.database.lost_at().is_some();
    for stray in strays(layout, records)? {
        match &stray {
            Stray::BlobFile(digest) if lost => {
                tracing::info!(%digest, "bytes without a record are kept: records were lost");
                continue;
            }
            Stray::BlobRecord(namespace, digest) => {
                tracing::warn!(%namespace, %digest, "the bytes of a blob are missing or damaged: its record is dropped");
            }
            other => tracing::info!(stray = ?other, "removed what a crash left"),
        }
        repair(layout, records, &mut batch, &stray)?;
    }
    let again = !batch.is_empty();
    // Waiting for the writer thread is forbidden on the runtime's threads.
    std::thread::scope(|scope| scope.spawn(|| batch.commit_blocking()).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    Ok(again)
}

/// Compares records and files. While the service runs, what is in the making may appear as a stray.
pub(crate) fn strays(layout: &Layout, records: &Records) -> Result<Vec<Stray>> {
    let mut strays = Vec::new();
    for record in records.blobs.iter_all() {
        let ((namespace, digest), record) = record?;
        let size = file_size(&layout.blob(&digest))?;
        if size == Some(record.size) {
            continue;
        }
        match (records.keeper(&digest)?, size) {
            (None, _) => strays.push(Stray::BlobRecord(namespace, digest)),
            (Some(_), Some(_)) => strays.push(Stray::CacheFile(digest)),
            (Some(_), None) => {}
        }
    }
    for algorithm in Algorithm::ALL {
        for name in names(&layout.blobs(algorithm))? {
            let Ok(digest) = format!("{algorithm}:{name}").parse::<Digest>() else {
                tracing::warn!(directory = %layout.blobs(algorithm).display(), name, "left alone: not a blob's name");
                continue;
            };
            if !records.is_held(&digest)? {
                strays.push(Stray::BlobFile(digest));
            }
        }
    }
    let mut known = HashSet::new();
    for ((namespace, reference), record) in records.ingests.scan_all()? {
        let key = IngestKey { namespace, reference };
        match IngestId::parse(&record.id).filter(|id| layout.data(id).is_file()) {
            Some(id) => {
                known.insert(id);
            }
            None => strays.push(Stray::IngestRecord(key)),
        }
    }
    for name in names(&layout.ingests())? {
        if let Some(id) = IngestId::parse(&name).filter(|id| !known.contains(id)) {
            strays.push(Stray::IngestDirectory(id));
        }
    }
    Ok(strays)
}

fn repair(layout: &Layout, records: &Records, batch: &mut Batch, stray: &Stray) -> Result<()> {
    match stray {
        Stray::BlobRecord(namespace, digest) => {
            batch.delete(&records.blobs, &(namespace.clone(), digest.clone()));
            batch.delete(&records.holders, &(digest.clone(), namespace.clone()));
            Ok(())
        }
        Stray::BlobFile(digest) | Stray::CacheFile(digest) => layout.remove_blob(digest),
        // Not looked for at a start.
        Stray::BlobBytes(_) => Ok(()),
        Stray::IngestRecord(key) => {
            batch.delete(&records.ingests, &(key.namespace.clone(), key.reference.clone()));
            Ok(())
        }
        Stray::IngestDirectory(id) => layout.remove_ingest(id),
    }
}

/// The files of blobs that other stores keep, each with the time at which it was made. Blocks.
pub(crate) fn cached(layout: &Layout, records: &Records) -> Result<Vec<(SystemTime, Digest, u64)>> {
    let mut files = Vec::new();
    for row in records.kept.iter_all() {
        let ((digest, _), kept) = row?;
        let path = layout.blob(&digest);
        match std::fs::symlink_metadata(&path) {
            Ok(metadata) if kept.held => {
                let modified = metadata.modified().map_err(Error::io("look at", path))?;
                files.push((modified, digest, metadata.len()));
            }
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::io("look at", path)(e)),
            _ => {}
        }
    }
    Ok(files)
}

/// The ingest, with the bytes that have certainly been written.
fn resume(layout: &Layout, key: IngestKey, record: &IngestRecord) -> Result<Option<Ingest>> {
    let Some(id) = IngestId::parse(&record.id) else { return Ok(None) };
    let path = layout.data(&id);
    let file = match layout::open_read(&path) {
        Ok(file) => file,
        // Its record was dropped above.
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let metadata = file.metadata().map_err(Error::io("look at", &path))?;
    // A crash between seal and record left it as a blob is; the blob's name is gone by now.
    if metadata.nlink() == 1 {
        std::fs::set_permissions(&path, Permissions::from_mode(INGEST_MODE))
            .map_err(Error::io("open up", &path))?;
    }
    let written = solid_length(&file).map_err(Error::io("look for holes in", &path))?;
    if written < metadata.len() {
        layout::open_write(&path)?.set_len(written).map_err(Error::io("truncate", &path))?;
    }
    let updated_at = metadata.modified().map_err(Error::io("look at", &path))?;
    Ok(Some(Ingest::resume(key, id, record, written, updated_at)))
}

fn file_size(path: &Path) -> Result<Option<u64>> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) => Ok(metadata.is_file().then_some(metadata.len())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("look at", path)(e)),
    }
}

fn names(dir: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(dir).map_err(Error::io("list", dir))?;
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.map(|entry| entry.file_name().to_string_lossy().into_owned()).map_err(Error::io("list", dir))
    };
    entries.map(name).collect()
}
