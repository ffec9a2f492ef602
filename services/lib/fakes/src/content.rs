//! A fake of content: blobs as files in memory, by namespace.

mod collect;
mod fill;
mod follow;
mod promise;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use gantry_api::content::files::serve;
use gantry_api::content::{Committed, Expected, Info, IngestRef, Owner, Status, server};
use gantry_api::gc::{self, Resource};
use gantry_rpc::Code;
use gantry_types::{Digest, Labels, Namespace};
use parking_lot::Mutex;
use tokio::sync::watch;
use tonic::service::Routes;

pub use fill::{Filler, Writer};
pub use follow::Follower;
pub use promise::Reader;

use crate::{Refused, Serving, serving};

/// A content service without a disk. Clones share their state.
#[derive(Debug, Clone)]
pub struct Content {
    state: Arc<Mutex<State>>,
    /// Counts the changes, for callers that wait for one.
    changes: Arc<watch::Sender<u64>>,
}

#[derive(Debug, Default)]
struct State {
    blobs: BTreeMap<(Namespace, Digest), Info>,
    /// The file of every blob, once for all namespaces.
    files: HashMap<Digest, Arc<File>>,
    /// All ingests so far; those that are open have a name.
    ingests: Vec<Ingest>,
    names: BTreeMap<(Namespace, IngestRef), usize>,
    /// What leases keep: the lease's id, the resource's type, its key.
    leased: BTreeSet<(String, &'static str, String)>,
    /// Time of the last use of each resource, by a counter of uses and marks.
    touched: HashMap<(Namespace, Resource), u64>,
    clock: u64,
}

#[derive(Debug)]
struct Ingest {
    namespace: Namespace,
    reference: IngestRef,
    file: Arc<File>,
    written: u64,
    /// The size of the expected blob, while another namespace has it.
    bound: Option<u64>,
    /// How often the ingest's bytes were discarded.
    generation: u32,
    expected: Expected,
    started_at: SystemTime,
    updated_at: SystemTime,
    /// Whether the ingest has a writer.
    locked: bool,
    end: Option<End>,
}

#[derive(Debug, Clone)]
enum End {
    Committed(Committed),
    Gone(&'static str),
}

impl Ingest {
    fn offset(&self) -> u64 {
        self.bound.unwrap_or(self.written)
    }

    fn status(&self) -> Status {
        Status {
            reference: self.reference.clone(),
            offset: self.offset(),
            expected: self.expected.clone(),
            started_at: self.started_at,
            updated_at: self.updated_at,
        }
    }
}

impl Default for Content {
    fn default() -> Self {
        Self { state: Arc::default(), changes: Arc::new(watch::channel(0).0) }
    }
}

impl Content {
    /// The gRPC services of content.
    pub fn routes(&self) -> Routes {
        Routes::new(server::service(self.clone())).add_service(gc::server::collector(self.clone()))
    }

    /// Serves content on its sockets in `run`.
    ///
    /// # Panics
    ///
    /// When the sockets cannot be made.
    pub fn serve(&self, run: &Path) -> Serving {
        serving::routes(&run.join("content.sock"), self.routes()).and(self.serve_data(run))
    }

    /// Serves the data socket only.
    ///
    /// # Panics
    ///
    /// When the socket cannot be made.
    pub fn serve_data(&self, run: &Path) -> Serving {
        let content = self.clone();
        serving::data(&run.join("content-data.sock"), move |stream| {
            serve::connection(stream, content.clone())
        })
    }

    /// Adds a blob, as if it had been committed.
    pub fn put(&self, namespace: &Namespace, bytes: &[u8]) -> Digest {
        let digest = Digest::sha256(bytes);
        let file = Arc::new(file());
        file.write_all_at(bytes, 0).expect("memory takes it");
        self.edit(|state| {
            let size = bytes.len() as u64;
            state.files.entry(digest.clone()).or_insert(file);
            state.record(namespace, &digest, size, Labels::new());
        });
        digest
    }

    /// The bytes of a blob.
    pub fn get(&self, namespace: &Namespace, digest: &Digest) -> Option<Vec<u8>> {
        self.read(|state| {
            let info = state.blobs.get(&(namespace.clone(), digest.clone()))?;
            let mut bytes = vec![0; usize::try_from(info.size).expect("it is in memory")];
            state.files[digest].read_exact_at(&mut bytes, 0).expect("memory gives it");
            Some(bytes)
        })
    }

    /// Whether a blob exists.
    pub fn has(&self, namespace: &Namespace, digest: &Digest) -> bool {
        self.read(|state| state.blobs.contains_key(&(namespace.clone(), digest.clone())))
    }

    /// The labels of a blob; none for a blob that does not exist.
    pub fn labels(&self, namespace: &Namespace, digest: &Digest) -> Labels {
        self.read(|state| {
            let info = state.blobs.get(&(namespace.clone(), digest.clone()));
            info.map(|info| info.labels.clone()).unwrap_or_default()
        })
    }

    /// The refs of ingests that are neither committed nor aborted, with their lengths.
    pub fn ingests(&self, namespace: &Namespace) -> BTreeMap<String, u64> {
        self.read(|state| {
            let live = state.names.iter().filter(|((of, _), _)| of == namespace);
            live.map(|((_, name), id)| (name.to_string(), state.ingests[*id].offset())).collect()
        })
    }

    /// The types and keys that a lease keeps.
    pub fn leased(&self, lease: &str) -> Vec<(&'static str, String)> {
        self.read(|state| {
            let has = state.leased.iter().filter(|(of, _, _)| of == lease);
            has.map(|(_, kind, key)| (*kind, key.clone())).collect()
        })
    }

    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.lock())
    }

    fn edit<T>(&self, edit: impl FnOnce(&mut State) -> T) -> T {
        let outcome = edit(&mut self.state.lock());
        self.changes.send_modify(|count| *count += 1);
        outcome
    }
}

impl State {
    fn info(&self, namespace: &Namespace, digest: &Digest) -> Result<Info, Refused> {
        let info = self.blobs.get(&(namespace.clone(), digest.clone()));
        info.cloned().ok_or_else(|| Refused::new(Code::NotFound, digest, "not found"))
    }

    fn live(&self, namespace: &Namespace, reference: &IngestRef) -> Option<&Ingest> {
        let id = self.names.get(&(namespace.clone(), reference.clone()))?;
        Some(&self.ingests[*id])
    }

    fn record(&mut self, namespace: &Namespace, digest: &Digest, size: u64, labels: Labels) {
        let now = SystemTime::now();
        let info = Info { digest: digest.clone(), size, created_at: now, updated_at: now, labels };
        self.blobs.insert((namespace.clone(), digest.clone()), info);
        self.use_blob(namespace, digest);
    }

    fn end(&mut self, id: usize, end: End) {
        let ingest = &mut self.ingests[id];
        if ingest.end.is_none() {
            ingest.end = Some(end);
            self.names.remove(&(ingest.namespace.clone(), ingest.reference.clone()));
        }
    }

    fn lease(&mut self, owner: &Owner, kind: &'static str, key: impl ToString) {
        if let Some(lease) = &owner.lease {
            self.leased.insert((lease.clone(), kind, key.to_string()));
        }
    }

    fn unlease(&mut self, owner: &Owner, kind: &'static str, key: impl ToString) {
        if let Some(lease) = &owner.lease {
            self.leased.remove(&(lease.clone(), kind, key.to_string()));
        }
    }
}

/// Opens the file again, with an offset of its own.
fn opened(file: &File) -> File {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    File::options().read(true).open(path).expect("a file that is open can be opened")
}

/// An empty file that is deleted with its last descriptor.
fn file() -> File {
    tempfile::tempfile_in("/dev/shm").expect("a file in memory")
}
