//! Layers applied onto mounts, and taken from them.
//!
//! Applying goes onto any mounts, in one detached tree. Taking reads overlay's own upper directory when the two sides
//! differ by just that, and compares two trees otherwise.

mod compare;
mod pack;
mod upper;

use std::collections::{BTreeMap, HashMap};
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::SystemTime;

use gantry_api::diff::{Apply, Client, Compare, Difference, Durable, Owner};
use gantry_api::snapshots::Mount;
use gantry_api::{Peers, Promise, ingest, terms};
use gantry_mount::open_detached;
use gantry_rooted::{Root, Time};
use gantry_rpc::{Channel, Code, Coded};
use gantry_types::media_type::{self, Compression};
use gantry_types::{Descriptor, Digest};

use crate::layer::blob::{Blob, BlobReader};
use crate::layer::slots::Slots;
use crate::layer::{Cancel, Mode, extract};
use crate::promise::to_make;
use crate::remote::peer;
use crate::settings::Plugin;
use crate::store::blocking;
use crate::{Error, Result};
use pack::{Packer, Sealed};

/// The label that names the uncompressed layer of a compressed one.
const UNCOMPRESSED: &str = "containerd.io/uncompressed";

/// Takes and applies layers. Cheap to clone.
///
/// Other differs come first, in the order of their names: each takes what it knows, and leaves the rest (`UNIMPLEMENTED`)
/// to the next.
#[derive(Clone)]
pub struct Differ {
    peers: Peers,
    slots: Slots,
    others: Vec<Client>,
}

impl Differ {
    /// Layers are content's; the slots are those of all who unpack.
    pub(crate) fn new(peers: Peers, slots: Slots) -> Self {
        Self { peers, slots, others: Vec::new() }
    }

    /// The same, after those that settings name.
    pub(crate) fn after(self, others: &BTreeMap<String, Plugin>) -> Self {
        let client = |(name, plugin): (&String, &Plugin)| {
            let peer = peer(name);
            Client::over(Channel::unix(peer, plugin.address.clone(), terms::of_others), peer)
        };
        Self { others: others.iter().map(client).collect(), ..self }
    }

    /// A differ without a service around it, for tests.
    pub fn alone(peers: &Peers) -> Self {
        Self::new(peers.clone(), Slots::default())
    }
}

impl Promise for Differ {
    type Error = Error;
}

impl Apply for Differ {
    async fn apply(
        &self,
        owner: &Owner,
        layer: &Descriptor,
        mounts: Vec<Mount>,
        durable: Durable,
    ) -> Result<Descriptor> {
        for other in &self.others {
            match other.apply(owner, layer, mounts.clone(), durable).await {
                Err(failure) if failure.code() == Code::Unimplemented => {}
                outcome => return Ok(outcome?),
            }
        }
        let slot = self.slots.whole().await;
        let opened = ingest::open_blob(&self.peers, &owner.namespace, &layer.digest).await;
        let (file, size) = opened.map_err(|status| Error::Peer { peer: "content", status })?;
        let cancel = Cancel::default();
        let guard = CancelOnDrop(cancel.clone());
        let mounts = to_make(mounts);
        let extracted = blocking(move || {
            let _slot = slot;
            let root = Root::from_fd(open_detached(&mounts)?);
            let bytes = BlobReader::new(Blob::complete(file, size));
            let extracted = extract(bytes, &root, Mode::Merged, &cancel)?;
            if durable == Durable::Yes {
                gantry_rooted::tree::sync_file_system(root.dir(Path::new(""))?)?;
            }
            Ok(extracted)
        })
        .await
        .map_err(|error| Error::Layer { layer: layer.digest.clone(), source: Box::new(error) })?;
        drop(guard);
        Ok(Descriptor::new(media_type::OCI_LAYER, extracted.diff_id, extracted.size))
    }
}

impl Compare for Differ {
    async fn diff(&self, owner: &Owner, difference: Difference) -> Result<Descriptor> {
        for other in &self.others {
            match other.diff(owner, difference.clone()).await {
                Err(failure) if failure.code() == Code::Unimplemented => {}
                outcome => return Ok(outcome?),
            }
        }
        let Difference { left, right, media_type, reference, labels, newest } = difference;
        let media_type = media_type.unwrap_or_else(|| media_type::OCI_LAYER_GZIP.to_owned());
        let compression = media_type::compression(&media_type)
            .ok_or_else(|| Error::Unsupported(format!("a layer of media type {media_type}")))?;
        let reference = reference.unwrap_or_else(unique_reference);
        let (left, right, newest) = (to_make(left), to_make(right), newest.map(time));
        let peer = |status| Error::Peer { peer: "content", status };
        let mut writer = ingest::Writer::open(&self.peers, owner, &reference, 0, None).await.map_err(peer)?;
        if writer.offset() > 0 {
            writer.truncate().await.map_err(peer)?;
        }
        let file = writer.file().try_clone().map_err(Error::Write)?;
        let sealed = deep(move || write(&left, &right, FileFromStart::new(file), compression, newest)).await;
        let sealed = match sealed {
            Ok(sealed) => sealed,
            Err(error) => {
                // The first error is the one to tell; an ingest that stays expires.
                let _ = writer.abort().await;
                return Err(error);
            }
        };
        writer.progress(sealed.size).await.map_err(peer)?;
        let mut labels: HashMap<String, String> = labels.into();
        labels.insert(UNCOMPRESSED.to_owned(), sealed.diff_id.to_string());
        match writer.commit(sealed.size, Some(&sealed.digest), labels).await {
            Ok(_) => {}
            Err(status) if status.code() == tonic::Code::AlreadyExists => {}
            Err(status) => return Err(peer(status)),
        }
        Ok(Descriptor::new(media_type, sealed.digest, sealed.size))
    }
}

/// A time as file systems have it.
fn time(moment: SystemTime) -> Time {
    let since = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time { seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), nanos: since.subsec_nanos() }
}

fn write(
    left: &[gantry_mount::Mount],
    right: &[gantry_mount::Mount],
    target: impl Write,
    compression: Compression,
    newest: Option<Time>,
) -> Result<Sealed> {
    let mut packer = Packer::new(BufWriter::with_capacity(1 << 20, target), compression, newest)?;
    match upper::between(left, right) {
        Some(directory) => upper::pack(&Root::open_path(&directory)?, &mut packer)?,
        None => {
            let right = Root::from_fd(open_detached(right)?);
            let left = if left.is_empty() { None } else { Some(Root::from_fd(open_detached(left)?)) };
            compare::pack(left.as_ref(), &right, &mut packer)?;
        }
    }
    packer.seal()
}

/// Runs work on a thread whose stack is enough for trees as deep as the longest name has parts: a container makes them
/// as deep as it likes, and a stack that is too small ends the process.
async fn deep<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    const STACK: usize = 32 << 20;
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("diff".into())
        .stack_size(STACK)
        .spawn(move || drop(tell.send(work())))
        .map_err(|source| Error::Io { op: "start thread", path: "diff".into(), source })?;
    told.await.unwrap_or(Err(Error::Cancelled))
}

fn unique_reference() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let digest = Digest::sha256(format!("{}-{}", now.as_nanos(), std::process::id()).as_bytes());
    format!("diff-{}", digest.short())
}

/// Writes a file from its beginning on without moving the offset that others share.
struct FileFromStart {
    file: std::fs::File,
    at: u64,
}

impl FileFromStart {
    fn new(file: std::fs::File) -> Self {
        Self { file, at: 0 }
    }
}

impl Write for FileFromStart {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.file.write_at(bytes, self.at)?;
        self.at += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
