//! Layers into snapshots, by the snapshots service.

use std::collections::HashMap;

use gantry_api::Peers;
use gantry_api::ingest::Owner;
use gantry_proto::gantry::snapshots::v1 as pb;
use gantry_rpc::context;
use gantry_types::{Descriptor, DiffId};

use crate::content::Content;
use crate::document::{Config, Manifest};
use crate::error::Error;
use crate::progress::{Progress, State};
use crate::pull::layer_ref;
use crate::record;

/// Unpacks all layers of an image, which may still be arriving, and tells how far each is.
pub async fn unpack(
    peers: &Peers,
    owner: &Owner,
    snapshotter: &str,
    layers: &[Descriptor],
    diff_ids: &[DiffId],
    progress: Option<&Progress>,
) -> Result<(), Error> {
    if layers.is_empty() {
        return Ok(());
    }
    let wanted = layers.iter().zip(diff_ids).map(|(layer, diff_id)| pb::Layer {
        descriptor: Some(record::descriptor(layer)),
        r#ref: layer_ref(&layer.digest),
        diff_id: diff_id.to_string(),
    });
    let request = pb::UnpackRequest { snapshotter: snapshotter.to_owned(), layers: wanted.collect() };
    let request = context::with_lease(request, &owner.namespace, owner.lease.as_deref());
    let failed = || Error::peer("snapshots", "unpack the image");
    let mut stream = peers.unpacker().unpack(request).await.map_err(failed())?.into_inner();
    while let Some(message) = stream.message().await.map_err(failed())? {
        let (Some(layer), Some(progress)) = (layers.get(message.layer as usize), progress) else { continue };
        let (offset, total) = (unsigned(message.offset), unsigned(message.total));
        match message.state() {
            pb::unpack_progress::State::Waiting => {}
            pb::unpack_progress::State::Extracting => {
                progress.enter(&layer.digest, State::Extracting, offset, total).await?;
                progress.count(&layer.digest, State::Extracting, offset, total);
            }
            pb::unpack_progress::State::Extracted | pb::unpack_progress::State::Exists => {
                progress.enter(&layer.digest, State::Complete, total, total).await?;
            }
        }
    }
    Ok(())
}

/// Makes the config keep the snapshot that was unpacked from its image.
pub async fn keep(
    content: &Content,
    owner: &Owner,
    snapshotter: &str,
    manifest: &Manifest,
    config: &Config,
) -> Result<(), Error> {
    let Some(chain_id) = config.chain_id() else { return Ok(()) };
    let label = format!("containerd.io/gc.ref.snapshot.{snapshotter}");
    content.label(owner, &manifest.config.digest, HashMap::from([(label, chain_id.to_string())])).await
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
