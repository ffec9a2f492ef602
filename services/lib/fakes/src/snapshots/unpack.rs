//! A fake of unpacking: follows layers in a fake's content to their end, verifies them, and records their chain ids.
//! The layers come one after the other; each request for progress makes a step.

use std::collections::VecDeque;
use std::io::Read;
use std::time::Duration;

use gantry_api::Promise;
use gantry_api::content::Files;
use gantry_api::content::files::{Followed, Follower, Wanted};
use gantry_api::snapshots::{self, Layer, Owner, Progress, SnapshotName, Step, Unpack, Usage, server};
use gantry_rpc::Code;
use gantry_types::{ChainId, DiffId, Digest};
use tonic::service::Routes;

use super::Snapshots;
use crate::{Content, Refused};

/// How long a blob may take to appear.
const WAIT: Duration = Duration::from_secs(5);

/// Unpacks the layers of a content into snapshots. Clones share their state.
#[derive(Debug, Clone)]
pub struct Unpacker {
    snapshots: Snapshots,
    content: Content,
}

impl Unpacker {
    /// Unpacks the layers of `content` into `snapshots`.
    pub fn new(snapshots: &Snapshots, content: &Content) -> Self {
        Self { snapshots: snapshots.clone(), content: content.clone() }
    }

    /// The gRPC services of snapshots, with this one.
    pub fn routes(&self) -> Routes {
        self.snapshots.routes().add_service(server::unpacker(self.clone()))
    }

    /// The uncompressed layer, once it has arrived completely.
    async fn arrived(&self, owner: &Owner, layer: &Layer) -> Result<Vec<u8>, Refused> {
        let wanted = match &layer.reference {
            Some(reference) => Wanted::Either(reference.clone(), layer.blob.clone()),
            None => Wanted::Blob(layer.blob.clone()),
        };
        let (mut follower, _) = self.content.follow(&owner.namespace, &wanted, WAIT).await?;
        loop {
            match follower.next().await? {
                Followed::Available(_) => {}
                Followed::Committed(_) => break,
                Followed::Aborted(_) => {
                    return Err(Refused::new(Code::Aborted, &layer.blob, "it was given up"));
                }
            }
        }
        let missing = || Refused::new(Code::NotFound, &layer.blob, "no such blob");
        let bytes = self.content.get(&owner.namespace, &layer.blob).ok_or_else(missing)?;
        let odd = |_| Refused::new(Code::InvalidArgument, &layer.blob, "no layer");
        let mut tar = Vec::new();
        match bytes.as_slice() {
            [0x1f, 0x8b, ..] => {
                flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut tar).map_err(odd)?;
            }
            [0x28, 0xb5, 0x2f, 0xfd, ..] => tar = zstd::decode_all(bytes.as_slice()).map_err(odd)?,
            _ => tar = bytes,
        }
        match Digest::sha256(&tar) == *layer.diff_id.digest() {
            true => Ok(tar),
            false => Err(Refused::new(Code::FailedPrecondition, &layer.blob, "another diff-id")),
        }
    }
}

impl Promise for Unpacker {
    type Error = Refused;
}

impl Unpack for Unpacker {
    type Unpacking = Unpacking;

    async fn unpack(
        &self,
        owner: &Owner,
        snapshotter: Option<&str>,
        layers: Vec<Layer>,
    ) -> Result<Unpacking, Refused> {
        let diff_ids: Vec<DiffId> = layers.iter().map(|layer| layer.diff_id.clone()).collect();
        let names = ChainId::all(&diff_ids).into_iter().map(|chain| {
            SnapshotName::try_from(chain.to_string()).expect("a chain id is a text with something in it")
        });
        let rest = layers.into_iter().zip(names).collect();
        Ok(Unpacking {
            unpacker: self.clone(),
            owner: owner.clone(),
            snapshotter: snapshotter.unwrap_or("overlayfs").to_owned(),
            rest,
            done: 0,
            below: None,
            begun: false,
        })
    }
}

/// Layers that are being unpacked.
#[derive(Debug)]
pub struct Unpacking {
    unpacker: Unpacker,
    owner: Owner,
    snapshotter: String,
    rest: VecDeque<(Layer, SnapshotName)>,
    done: usize,
    below: Option<SnapshotName>,
    /// Whether the extraction of the next layer was reported.
    begun: bool,
}

impl snapshots::Unpacking for Unpacking {
    type Error = Refused;

    async fn next(&mut self) -> Result<Option<Progress>, Refused> {
        let Some((layer, name)) = self.rest.front().cloned() else { return Ok(None) };
        let Unpacker { snapshots, .. } = &self.unpacker;
        let news = |layer: usize, step, blob: &Layer| Progress {
            layer,
            step,
            offset: blob.size,
            total: blob.size,
            chain: name.clone(),
        };
        let namespace = &self.owner.namespace;
        let step = if snapshots.has(namespace, &self.snapshotter, name.as_str()) {
            Step::Exists
        } else if !self.begun {
            self.begun = true;
            return Ok(Some(news(self.done, Step::Extracting, &layer)));
        } else {
            let tar = self.unpacker.arrived(&self.owner, &layer).await?;
            let usage = Usage { size: tar.len() as u64, inodes: 1 };
            snapshots.put(namespace, &self.snapshotter, &name, self.below.as_ref(), usage);
            Step::Extracted
        };
        if let Some(lease) = &self.owner.lease {
            snapshots.lease(lease, &self.snapshotter, name.as_str());
        }
        let told = news(self.done, step, &layer);
        self.rest.pop_front();
        self.done += 1;
        self.begun = false;
        self.below = Some(name);
        Ok(Some(told))
    }
}
