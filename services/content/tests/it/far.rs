//! Content stores of other programs: one that can be made to misbehave, and one in a process of its own.

#![allow(clippy::disallowed_methods, reason = "the work of a test ends with it")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use gantry_api::content::{
    self, Commit, Committed, Expected, Info, Ingest, IngestRef, Inspect, Manage, Owner, Provide, Range,
    Status, server,
};
use gantry_api::{Peers, Promise};
use gantry_content::{Error, Store};
use gantry_daemon::{Context, Roots, Service as _};
use gantry_fakes::Serving;
use gantry_types::filter::FilterSet;
use gantry_types::{Algorithm, Digest, Labels, Namespace, Relabel};
use parking_lot::Mutex;
use tonic::service::Routes;

/// How a store behaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum How {
    Well,
    /// It sends one byte after the other, with such pauses.
    Trickles(Duration),
    /// The first byte of what it sends is another one.
    Damages,
    /// It commits, and says nothing.
    CommitsSilently,
    /// It takes no bytes behind this offset, and says nothing.
    StuckAt(u64),
    /// It needs so long for a commit.
    CommitsSlowly(Duration),
    /// As a containerd, it hashes by SHA-256 whatever it is told.
    Sha256Only,
}

/// A store with a socket.
pub struct Far {
    pub store: Odd,
    socket: PathBuf,
    _serving: Serving,
    _dir: tempfile::TempDir,
}

/// The namespace of its blobs.
pub fn there() -> Namespace {
    "gantry".parse().expect("an identifier")
}

impl Far {
    pub fn start() -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").expect("a directory");
        let (state, socket) = (dir.path().join("state"), dir.path().join("far.sock"));
        let inner = Store::alone(&state, &Peers::new(dir.path())).expect("opened");
        let store = Odd {
            inner,
            how: Arc::new(Mutex::new(How::Well)),
            written: Arc::default(),
            reads: Arc::default(),
        };
        let serving = gantry_fakes::routes(&socket, Routes::new(server::service(store.clone())));
        Self { store, socket, _serving: serving, _dir: dir }
    }

    pub fn behaves(&self, how: How) {
        *self.store.how.lock() = how;
    }

    /// Settings of a service whose blobs it keeps.
    pub fn settings(&self, cache: &str) -> String {
        settings(&self.socket, cache)
    }

    pub async fn labels(&self, digest: &Digest) -> Option<Labels> {
        self.store.inner.info(&there(), digest).await.ok().map(|info| info.labels)
    }

    pub async fn has(&self, digest: &Digest) -> bool {
        self.labels(digest).await.is_some()
    }

    /// Waits until it has the blob, or has it no more.
    pub async fn comes_to(&self, has: bool, digest: &Digest) {
        for _ in 0..1000 {
            if self.has(digest).await == has {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("after ten seconds: has {digest}: {}", !has);
    }

    /// Somebody else's blob.
    pub async fn put(&self, bytes: &[u8]) -> Digest {
        let digest = Digest::sha256(bytes);
        let reference = format!("theirs-{digest}").try_into().expect("a ref");
        let mut writer =
            self.store.inner.open(&Owner::of(&there()), &reference, Expected::default()).await.expect("open");
        content::Writer::write(&mut writer, Bytes::copy_from_slice(bytes)).await.expect("written");
        let labels = Labels::from([("theirs", "yes")]);
        let commit = Commit { expected: Expected::default(), labels };
        content::Writer::commit(&mut writer, commit).await.expect("committed");
        digest
    }
}

pub fn settings(socket: &Path, cache: &str) -> String {
    format!(
        "store = \"far\"\ncache = \"{cache}\"\n[proxy_plugins.far]\ntype = \"content\"\naddress = {socket:?}\nidle_timeout = \"10s\"\ncapabilities = [\"odd\"]"
    )
}

/// A store that behaves as it is told.
#[derive(Debug, Clone)]
pub struct Odd {
    pub inner: Store,
    how: Arc<Mutex<How>>,
    /// How many bytes it was sent.
    pub written: Arc<AtomicU64>,
    /// How often a blob was read.
    pub reads: Arc<AtomicU64>,
}

impl Odd {
    fn how(&self) -> How {
        *self.how.lock()
    }
}

impl Promise for Odd {
    type Error = Error;
}

impl Inspect for Odd {
    async fn info(&self, namespace: &Namespace, digest: &Digest) -> Result<Info, Error> {
        Inspect::info(&self.inner, namespace, digest).await
    }

    async fn walk(&self, _: &Namespace, _: &FilterSet) -> Result<Vec<Info>, Error> {
        panic!("a store is never asked what it has")
    }
}

impl Provide for Odd {
    type Reader = Reader;

    async fn read(&self, namespace: &Namespace, digest: &Digest, range: Range) -> Result<Reader, Error> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let inner = self.inner.read(namespace, digest, range).await?;
        Ok(Reader { odd: self.clone(), inner, rest: Bytes::new(), is_first: true })
    }
}

pub struct Reader {
    odd: Odd,
    inner: <Store as Provide>::Reader,
    rest: Bytes,
    is_first: bool,
}

impl content::Reader for Reader {
    type Error = Error;

    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        if self.rest.is_empty() {
            match self.inner.next().await? {
                Some(bytes) => self.rest = bytes,
                None => return Ok(None),
            }
        }
        let is_first = std::mem::take(&mut self.is_first);
        match self.odd.how() {
            How::Trickles(pause) => {
                tokio::time::sleep(pause).await;
                Ok(Some(self.rest.split_to(1)))
            }
            How::Damages if is_first => {
                let mut bytes = std::mem::take(&mut self.rest).to_vec();
                bytes[0] ^= 1;
                Ok(Some(bytes.into()))
            }
            _ => Ok(Some(std::mem::take(&mut self.rest))),
        }
    }
}

impl Ingest for Odd {
    type Writer = Writer;

    async fn open(&self, owner: &Owner, name: &IngestRef, expected: Expected) -> Result<Writer, Error> {
        Ok(Writer { odd: self.clone(), inner: self.inner.open(owner, name, expected).await? })
    }

    async fn status(&self, namespace: &Namespace, reference: &IngestRef) -> Result<Status, Error> {
        Ingest::status(&self.inner, namespace, reference).await
    }

    async fn statuses(&self, _: &Namespace, _: &FilterSet) -> Result<Vec<Status>, Error> {
        panic!("a store is never asked what it has")
    }

    async fn abort(&self, owner: &Owner, reference: &IngestRef) -> Result<(), Error> {
        Ingest::abort(&self.inner, owner, reference).await
    }
}

pub struct Writer {
    odd: Odd,
    inner: <Store as Ingest>::Writer,
}

impl content::Writer for Writer {
    type Error = Error;

    fn status(&self) -> Status {
        content::Writer::status(&self.inner)
    }

    async fn digest(&mut self) -> Result<Digest, Error> {
        content::Writer::digest(&mut self.inner).await
    }

    async fn expect(&mut self, expected: Expected) -> Result<(), Error> {
        content::Writer::expect(&mut self.inner, expected).await
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        if let How::StuckAt(offset) = self.odd.how()
            && self.status().offset >= offset
        {
            // Its client gives up before.
            tokio::time::sleep(Duration::from_secs(4)).await;
            return Err(Error::ShuttingDown);
        }
        self.odd.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        content::Writer::write(&mut self.inner, bytes).await
    }

    async fn truncate(&mut self) -> Result<(), Error> {
        content::Writer::truncate(&mut self.inner).await
    }

    async fn commit(&mut self, commit: Commit) -> Result<Committed, Error> {
        let how = self.odd.how();
        if how == How::Sha256Only
            && let Some(expected) = commit.expected.digest.clone()
            && expected.algorithm() != Algorithm::Sha256
        {
            let (reference, actual) = ("r".to_owned(), self.digest().await?);
            return Err(Error::WrongDigest { reference, expected, actual });
        }
        if let How::CommitsSlowly(pause) = how {
            tokio::time::sleep(pause).await;
        }
        let committed = content::Writer::commit(&mut self.inner, commit).await?;
        if how == How::CommitsSilently {
            std::future::pending::<()>().await;
        }
        Ok(committed)
    }
}

impl Manage for Odd {
    async fn update(&self, namespace: &Namespace, digest: &Digest, labels: &Relabel) -> Result<Info, Error> {
        Manage::update(&self.inner, namespace, digest, labels).await
    }

    async fn delete(&self, owner: &Owner, digest: &Digest) -> Result<(), Error> {
        Manage::delete(&self.inner, owner, digest).await
    }
}

/// In whose environment the directory of a store in a process of its own is named.
const ROOT: &str = "GANTRY_TEST_STORE";

/// A content service in a process of its own.
pub struct Process {
    pub dir: tempfile::TempDir,
    child: Option<Child>,
}

impl Process {
    pub fn start() -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").expect("a directory");
        let mut process = Self { dir, child: None };
        process.run();
        process
    }

    pub fn run(&mut self) {
        let program = std::env::current_exe().expect("this program");
        let child = Command::new(program)
            .args(["--exact", "far::a_store_in_a_process_of_its_own", "--ignored", "--nocapture"])
            .env(ROOT, self.dir.path())
            .spawn();
        self.child = Some(child.expect("started"));
    }

    pub fn settings(&self, cache: &str) -> String {
        settings(&self.dir.path().join("run/content.sock"), cache)
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.as_ref().expect("it runs").id();
        let status = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status();
        assert!(status.expect("kill(1)").success());
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("killed");
            child.wait().expect("ended");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a process that other tests start"]
async fn a_store_in_a_process_of_its_own() {
    let root = PathBuf::from(std::env::var_os(ROOT).expect("a test names it"));
    let roots = Roots { state: root.join("state"), run: root.join("run") };
    for path in [&roots.state_of("content"), &roots.run] {
        std::fs::create_dir_all(path).expect("made");
    }
    let parent = std::os::unix::process::parent_id();
    std::thread::spawn(move || {
        while std::os::unix::process::parent_id() == parent {
            std::thread::sleep(Duration::from_millis(100));
        }
        std::process::exit(1);
    });
    gantry_content::Service::run(Context::for_test("content", roots)).await.expect("the service ends well");
}
