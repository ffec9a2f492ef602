//! Implements the interfaces of containers' logs and files.

use gantry_api::engine::containers::data::{self, Files, Lines, Logs, Taken};
use gantry_api::engine::{LogQuery, PathStat, PutSpec};
use gantry_rooted::Root;
use gantry_rpc::ending::Teller;
use gantry_rpc::paced::Slot;
use tokio::net::UnixStream;

use crate::archive::serve::{self, Archives, Getting, Putting};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::logs::follow::Opened;

impl Logs for Engine {
    type Lines = Opened;

    async fn open_log(&self, query: LogQuery) -> Result<(bool, Opened)> {
        Engine::open_log(self, &query).await
    }
}

impl Lines for Opened {
    type Error = Error;

    async fn send(self, stream: UnixStream, teller: Teller) -> Result<()> {
        self.run(stream, &teller).await
    }
}

/// Files that will be sent.
pub struct Outgoing {
    archives: Archives,
    files: Source,
}

/// The source of the files.
enum Source {
    /// The file or directory at a path.
    Path(Box<Getting>),
    /// A whole root.
    Root(Root),
}

/// A place into which a tar will be unpacked, and the slot for doing that.
pub struct Incoming(Putting, Slot);

impl Files for Engine {
    type Outgoing = Outgoing;
    type Incoming = Incoming;

    async fn stat_path(&self, container: &str, path: &str) -> Result<PathStat> {
        self.archive_stat(container, path).await
    }

    async fn take_path(&self, container: &str, path: &str) -> Result<(PathStat, Outgoing)> {
        let (stat, getting) = self.archive_get(container, path).await?;
        Ok((stat, Outgoing { archives: self.archives.clone(), files: Source::Path(Box::new(getting)) }))
    }

    async fn put_path(&self, spec: PutSpec) -> Result<Incoming> {
        let (putting, slot) = self.archive_put(&spec).await?;
        Ok(Incoming(putting, slot))
    }

    async fn export(&self, container: &str) -> Result<Outgoing> {
        let root = Engine::export(self, container).await?;
        Ok(Outgoing { archives: self.archives.clone(), files: Source::Root(root) })
    }
}

impl data::Outgoing for Outgoing {
    type Error = Error;

    async fn send(self, stream: UnixStream) -> Result<()> {
        let slot = self.archives.slot().await;
        match self.files {
            Source::Path(getting) => serve::send(*getting, stream, slot).await,
            Source::Root(root) => serve::send_all(root, stream, slot).await,
        }
    }
}

impl data::Incoming for Incoming {
    type Error = Error;

    async fn receive(self, stream: UnixStream) -> Result<Taken<Error>> {
        let Incoming(putting, slot) = self;
        serve::receive(putting, stream, slot).await
    }
}
