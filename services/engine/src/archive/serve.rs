//! Archives on the data socket.

use std::collections::BTreeMap;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;

use gantry_api::engine::{PathStat, PutSpec};
use gantry_rooted::{Last, Root};
use gantry_rpc::paced::{Paced, Queue, Slot, Slots};
use tokio::net::UnixStream;

use super::place::{Place, Places, Purpose};
use super::stat::Found;
use super::unpack::{Manner, Target};
use super::{pack, stat};
use crate::blocking::blocking;
use crate::container::Container;
use crate::containers::Containers;
use crate::error::{Error, Result};
use crate::events::Events;

/// A part of a container that will be sent.
pub struct Getting {
    place: Place,
    found: Found,
}

/// A directory of a container into which a tar will be unpacked.
pub struct Putting {
    target: Target,
    /// The queue of the container whose turn the place holds.
    turn: Queue,
}

/// How many archives may be sent or received at once.
const MOST: usize = 256;

/// The archives that clients send and get. Cheap to clone.
#[derive(Clone)]
pub struct Archives {
    containers: Containers,
    places: Places,
    events: Events,
    slots: Slots,
}

impl Archives {
    /// Archives of these containers, whose file systems `places` opens.
    pub fn new(containers: &Containers, places: &Places, events: &Events) -> Archives {
        let (containers, places, events) = (containers.clone(), places.clone(), events.clone());
        Archives { containers, places, events, slots: Slots::new(MOST) }
    }

    /// Waits for a slot for an archive.
    pub async fn slot(&self) -> Slot {
        self.slots.take().await
    }

    /// Describes a path.
    pub async fn stat(&self, name: &str, path: &str) -> Result<PathStat> {
        let (_, place, found) = self.look(name, path).await?;
        Ok(found.view(&place.view))
    }

    /// Describes a path, and returns what [`send`] needs.
    pub async fn get(&self, name: &str, path: &str) -> Result<(PathStat, Getting)> {
        let (container, place, found) = self.look(name, path).await?;
        self.events.publish_container(&container, "archive-path", BTreeMap::new());
        Ok((found.view(&place.view), Getting { place, found }))
    }

    async fn look(&self, name: &str, path: &str) -> Result<(Arc<Container>, Place, Found)> {
        let container = self.containers.find(name)?;
        if path.is_empty() {
            return Err(Error::Invalid("bad parameter: path cannot be empty".to_owned()));
        }
        let place = self.places.open(&container, path, Purpose::Read).await?;
        let (name, path) = (name.to_owned(), path.to_owned());
        let (place, found) = blocking(move || {
            let found = stat::find(&place, &name, &path)?;
            Ok((place, found))
        })
        .await?;
        Ok((container, place, found))
    }

    /// Checks that a tar can be unpacked at a path.
    pub async fn put(&self, request: &PutSpec) -> Result<(Putting, Slot)> {
        let container = self.containers.find(&request.container)?;
        if request.path.is_empty() {
            return Err(Error::Invalid("bad parameter: path cannot be empty".to_owned()));
        }
        // The slot is taken first, so that waiting for one does not hold the container's turn.
        let slot = self.slots.take().await;
        let place = self.places.open(&container, &request.path, Purpose::Write).await?;
        let (user, turn) = (container.record().config.user.clone(), container.queue().clone());
        let (name, path) = (request.container.clone(), request.path.clone());
        let (keep_kinds, as_user) = (request.no_overwrite_dir_non_dir, request.copy_uid_gid);
        let putting = blocking(move || {
            let directory = stat::locate(&place, Last::Follow, &name, &path)?;
            let owner = if as_user { owner_of(&place, &user)? } else { None };
            let manner = Manner { keep_kinds, owner, container: name, path };
            Ok(Putting { target: Target::new(place, directory, manner)?, turn })
        })
        .await?;
        self.events.publish_container(&container, "extract-to-dir", BTreeMap::new());
        Ok((putting, slot))
    }

    /// The whole root file system of a container.
    pub async fn export(&self, name: &str) -> Result<Root> {
        let container = self.containers.find(name)?;
        let root = self.places.bare_root(&container).await?;
        self.events.publish_container(&container, "export", BTreeMap::new());
        Ok(root)
    }
}

/// Sends a tar of a path.
pub async fn send(getting: Getting, stream: UnixStream, slot: Slot) -> Result<()> {
    let stream = Paced::new(stream, slot).map_err(broken)?;
    at_its_pace(move || {
        pack::pack(&getting.place, &getting.found, BufWriter::with_capacity(256 * 1024, &stream))
    })
    .await
}

/// Sends a tar of a whole root.
pub async fn send_all(root: Root, stream: UnixStream, slot: Slot) -> Result<()> {
    let stream = Paced::new(stream, slot).map_err(broken)?;
    at_its_pace(move || pack::pack_all(root, BufWriter::with_capacity(256 * 1024, &stream))).await
}

/// Unpacks a tar. Returns the stream for the answer.
pub async fn receive(putting: Putting, stream: UnixStream, slot: Slot) -> Result<(UnixStream, Result<()>)> {
    let Putting { target, turn } = putting;
    let stream = Paced::new(stream, slot).map_err(broken)?.holding(turn);
    let (stream, result) = at_its_pace(move || {
        let result = target.unpack(&stream);
        // Gives the container's turn back before the client gets its answer.
        drop(target);
        Ok((stream, result))
    })
    .await?;
    Ok((stream.into_stream().map_err(broken)?, result))
}

/// Runs work that waits for a client on a thread of its own, because the shared pool has few threads.
async fn at_its_pace<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let (sender, done) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("archive".to_owned());
    // The thread is not joined: a service that ends does not wait for the client.
    thread
        .spawn(move || drop(sender.send(work())))
        .map_err(|source| Error::io("start a thread for", "an archive", source))?;
    done.await.map_err(|_| Error::Broken("the thread of an archive ended early".to_owned()))?
}

fn broken(source: std::io::Error) -> Error {
    Error::io("use", "data socket", source)
}

/// The user and group id of a container's user, from the account files of its root.
fn owner_of(place: &Place, user: &str) -> Result<Option<(u32, u32)>> {
    if user.is_empty() {
        return Ok(None);
    }
    let (name, group) = user.split_once(':').unwrap_or((user, ""));
    let lines = |file: &str| {
        let bytes = place.view.read(Path::new(file)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let passwd = lines("/etc/passwd");
    let account = passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.len() > 3 && (fields[0] == name || fields[2] == name));
    let uid = match &account {
        Some(fields) => fields[2].parse().ok(),
        None => name.parse().ok(),
    };
    let Some(uid) = uid else {
        return Err(Error::Invalid(format!(
            "unable to find user {name}: no matching entries in passwd file"
        )));
    };
    let gid = if group.is_empty() {
        account.and_then(|fields| fields[3].parse().ok()).unwrap_or(0)
    } else {
        let groups = lines("/etc/group");
        let found = groups.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            (fields.len() > 2 && fields[0] == group).then(|| fields[2].parse().ok()).flatten()
        });
        found.or_else(|| group.parse().ok()).unwrap_or(0)
    };
    Ok(Some((uid, gid)))
}
