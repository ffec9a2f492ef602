//! The fake engine as these tests want it: with a container `running` and one, `created`, that never was; and one that dies in
//! the middle of what it sends.

use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use gantry_api::Promise;
use gantry_api::engine::containers::data::{self, Files, Lines, Logs, Outgoing, serve::connection};
use gantry_api::engine::containers::{Manage as _, Run as _};
use gantry_api::engine::execs::Manage as _;
use gantry_api::engine::{ContainerConfig, CreateSpec, ExecSpec, LogQuery, PathStat, PutSpec};
use gantry_fakes::{Engine as Fake, Refused, Serving};
use gantry_rpc::ending::Teller;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// An engine that is served, until it is dropped.
pub struct Engine {
    fake: Fake,
    serving: Serving,
}

impl Deref for Engine {
    type Target = Fake;

    fn deref(&self) -> &Fake {
        &self.fake
    }
}

impl Engine {
    pub async fn start(run: &Path) -> Self {
        let fake = fake().await;
        Self { serving: fake.serve(run), fake }
    }

    /// One whose data socket breaks.
    pub async fn dying(run: &Path) -> Self {
        let fake = fake().await;
        let serving = gantry_fakes::routes(&run.join("engine.sock"), fake.routes());
        let listener = gantry_rpc::socket::bind(&run.join("engine-data.sock"), 0o600).expect("bound");
        let dying = Dying(fake.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connection(stream, dying.clone()).await;
            }
        });
        Self { serving, fake }
    }

    pub fn kill(self) -> Fake {
        drop(self.serving);
        self.fake
    }

    /// Dies, and comes back with the same containers.
    pub fn again(self, run: &Path) -> Self {
        let fake = self.kill();
        Self { serving: fake.serve(run), fake }
    }

    /// Makes a container.
    pub async fn make(&self, name: &str) {
        make(&self.fake, name).await;
    }

    /// Notes a process of the container that runs; its id.
    pub async fn note(&self, program: &str) -> String {
        let spec = ExecSpec {
            container: "running".to_owned(),
            attach_stdout: true,
            attach_stderr: true,
            cmd: vec![program.to_owned()],
            ..ExecSpec::default()
        };
        self.create_exec(spec).await.expect("noted")
    }

    pub async fn until(&self, what: &str, holds: impl Fn(&Fake) -> bool) {
        for _ in 0..1000 {
            if holds(&self.fake) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never happened: {what}");
    }
}

async fn fake() -> Fake {
    let fake = Fake::default();
    for name in ["created", "running"] {
        make(&fake, name).await;
    }
    fake.start_container("running").await.expect("started");
    fake
}

async fn make(fake: &Fake, name: &str) {
    let config = ContainerConfig {
        image: "busybox".to_owned(),
        open_stdin: true,
        stdin_once: true,
        ..ContainerConfig::default()
    };
    let spec = CreateSpec { name: name.to_owned(), config, ..CreateSpec::default() };
    fake.create_container(spec).await.expect("made");
}

/// What comes from a client, until it ends.
pub async fn read_to_end(stream: &mut UnixStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("read");
    text
}

/// An engine that dies when it has sent something.
#[derive(Clone)]
struct Dying(Fake);

impl Promise for Dying {
    type Error = Refused;
}

/// What it sends.
struct Beginning(&'static [u8]);

impl Logs for Dying {
    type Lines = Beginning;

    async fn open_log(&self, _: LogQuery) -> Result<(bool, Beginning), Refused> {
        Ok((false, Beginning(b"\x01\0\0\0\0\0\0\x04log\n")))
    }
}

impl Lines for Beginning {
    type Error = Refused;

    async fn send(self, stream: UnixStream, _: Teller) -> Result<(), Refused> {
        Outgoing::send(self, stream).await
    }
}

impl Files for Dying {
    type Outgoing = Beginning;
    type Incoming = <Fake as Files>::Incoming;

    async fn stat_path(&self, container: &str, path: &str) -> Result<PathStat, Refused> {
        self.0.stat_path(container, path).await
    }

    async fn take_path(&self, container: &str, path: &str) -> Result<(PathStat, Beginning), Refused> {
        Ok((self.0.stat_path(container, path).await?, Beginning(b"tar")))
    }

    async fn put_path(&self, spec: PutSpec) -> Result<Self::Incoming, Refused> {
        self.0.put_path(spec).await
    }

    async fn export(&self, _: &str) -> Result<Beginning, Refused> {
        Ok(Beginning(b"tar"))
    }
}

impl data::Outgoing for Beginning {
    type Error = Refused;

    async fn send(self, mut stream: UnixStream) -> Result<(), Refused> {
        // Whoever reads it may have heard enough.
        let _ = stream.write_all(self.0).await;
        Ok(())
    }
}
