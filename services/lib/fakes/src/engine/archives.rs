//! Archives into and out of the fake engine's containers.

use gantry_api::engine::containers::data::{self, Files, Taken};
use gantry_api::engine::{PathStat, PutSpec};
use gantry_rpc::Code;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::Engine;
use super::state::missing;
use crate::Refused;

/// Files that will be sent.
#[derive(Debug)]
pub struct Outgoing(Vec<u8>);

/// A place for files; counted while it exists.
#[derive(Debug)]
pub struct Incoming {
    engine: Engine,
    id: String,
    directory: String,
    spec: PutSpec,
}

impl Files for Engine {
    type Outgoing = Outgoing;
    type Incoming = Incoming;

    async fn stat_path(&self, container: &str, path: &str) -> Result<PathStat, Refused> {
        self.edit(|state| state.find(container)?.files.stat(path))
    }

    async fn take_path(&self, container: &str, path: &str) -> Result<(PathStat, Outgoing), Refused> {
        self.edit(|state| {
            let container = state.find(container)?;
            let (id, stat) = (container.id.clone(), container.files.stat(path)?);
            let archive = container.files.pack(path)?;
            state.tell(&id, "archive-path", &self.0.live);
            Ok((stat, Outgoing(archive)))
        })
    }

    async fn put_path(&self, spec: PutSpec) -> Result<Incoming, Refused> {
        self.edit(|state| {
            let container = state.find(&spec.container)?;
            let (id, directory) = (container.id.clone(), container.files.place(&spec.path)?);
            state.taking += 1;
            state.tell(&id, "extract-to-dir", &self.0.live);
            Ok(Incoming { engine: self.clone(), id, directory, spec })
        })
    }

    async fn export(&self, container: &str) -> Result<Outgoing, Refused> {
        self.edit(|state| {
            let container = state.find(container)?;
            let (id, archive) = (container.id.clone(), container.files.pack_all());
            state.tell(&id, "export", &self.0.live);
            Ok(Outgoing(archive))
        })
    }
}

impl data::Outgoing for Outgoing {
    type Error = Refused;

    async fn send(self, mut stream: UnixStream) -> Result<(), Refused> {
        let gone = |_| Refused::new(Code::Unavailable, "client", "it has gone");
        stream.write_all(&self.0).await.map_err(gone)
    }
}

/// The numeric user and group of a container's user; root if they are not numbers.
fn numbers(user: &str) -> (u32, u32) {
    let (user, group) = user.split_once(':').unwrap_or((user, ""));
    (user.parse().unwrap_or(0), group.parse().unwrap_or(0))
}

impl data::Incoming for Incoming {
    type Error = Refused;

    async fn receive(self, mut stream: UnixStream) -> Result<Taken<Refused>, Refused> {
        let mut archive = Vec::new();
        let gone = |_| Refused::new(Code::Unavailable, "client", "it has gone");
        stream.read_to_end(&mut archive).await.map_err(gone)?;
        let outcome = self.engine.edit(|state| {
            let container = state.by_id(&self.id).ok_or_else(|| missing(&self.id))?;
            let owner = self.spec.copy_uid_gid.then(|| numbers(&container.spec.config.user));
            container.files.unpack(&self.directory, &archive, &self.spec, owner)
        });
        Ok((stream, outcome))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.engine.edit(|state| state.taking -= 1);
    }
}
