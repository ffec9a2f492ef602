//! `docker commit`: what a container has changed becomes a layer on top of those of its image.
//!
//! Snapshots makes the layer, the documents are made here, all under one lease; the name points at them last.

use chrono::{SecondsFormat, Utc};
use gantry_api::content::Owner;
use gantry_api::images::CommitSpec;
use gantry_api::snapshots::SnapshotKey;
use gantry_rpc::chain;
use gantry_types::{ChainId, Descriptor, DiffId, Digest, Labels, Namespace, Reference, media_type};
use rand::Rng;
use serde_json::{Map, Value, json};

use crate::archive::changes;
use crate::catalog::{Catalog, Details};
use crate::content::part_ref;
use crate::document::Manifest;
use crate::error::Error;
use crate::lease::{Leases, Purpose};
use crate::names::Names;
use crate::record::Record;
use crate::snapshots;

/// The label that names the uncompressed layer of a compressed one.
const UNCOMPRESSED: &str = "containerd.io/uncompressed";
/// The digest of a tar without entries: two blocks of zeros.
const NOTHING: &str = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

/// What is asked for, checked.
pub struct Order {
    reference: Option<Reference>,
    parent: String,
    manifest: Descriptor,
    snapshotter: String,
    snapshot: SnapshotKey,
    config: Map<String, Value>,
    author: String,
    comment: String,
    created_by: String,
}

impl Order {
    /// Checks a request.
    pub fn parse(request: CommitSpec) -> Result<Self, Error> {
        let reference = request.reference.map(Reference::with_default_tag);
        if reference.as_ref().is_some_and(|reference| reference.digest().is_some()) {
            return Err(Error::Request("cannot import digest reference".into()));
        }
        let mut config = serde_json::from_slice(&request.config_json)
            .map_err(|error| Error::Request(format!("run configuration: {error}")))?;
        changes::apply(&mut config, &request.changes)?;
        let unnamed = |_| Error::Request("a commit needs the container's snapshot".into());
        let snapshot = SnapshotKey::try_from(request.snapshot).map_err(unnamed)?;
        Ok(Self {
            reference,
            parent: request.parent,
            manifest: request.manifest,
            snapshotter: request.snapshotter,
            snapshot,
            config,
            author: request.author,
            comment: request.comment,
            created_by: request.created_by,
        })
    }
}

/// Makes images of containers.
pub struct Committer {
    /// Names.
    pub names: Names,
    /// Look-ups.
    pub catalog: Catalog,
    /// What keeps the parts until a name does.
    pub leases: Leases,
}

impl Committer {
    /// Makes an image, unless its caller is gone; the answer is its id.
    pub async fn commit(
        &self,
        namespace: &Namespace,
        order: &Order,
        gone: impl Future<Output = ()>,
    ) -> Result<Digest, Error> {
        self.catalog.find(namespace, &order.parent)?;
        let parent = self.catalog.details(namespace, &order.manifest, None).await?;
        let purpose = format!("commit {}", order.snapshot);
        let lease = self.leases.begin(namespace, Purpose::Once(&purpose)).await?;
        let made = tokio::select! {
            made = self.make(lease.owner(), &parent, order) => made,
            // The client that kept the root still has gone.
            () = gone => Err(Error::Cancelled),
        };
        let finished = match lease.finish().await {
            Ok(()) if made.is_err() => self.names.collect(namespace).await.map(drop),
            finished => finished,
        };
        if let Err(error) = finished {
            tracing::warn!(purpose, error = %chain(&error), "what a commit left stays until its lease expires");
        }
        made
    }

    async fn make(&self, owner: &Owner, parent: &Details, order: &Order) -> Result<Digest, Error> {
        let (layer, diff_id) = self.take_layer(owner, parent, order).await?;
        let changed = diff_id.to_string() != NOTHING;
        let mut layers = parent.document.layers.clone();
        let mut diff_ids = parent.config.rootfs.diff_ids.clone();
        if changed {
            layers.push(layer);
            diff_ids.push(diff_id);
        }
        let bytes = config_of(parent, order, &diff_ids, changed)?;
        let digest = Digest::sha256(&bytes);
        let config = Descriptor::new(media_type::OCI_CONFIG, digest.clone(), bytes.len() as u64);
        let content = self.catalog.content();
        content.write(owner, &part_ref("config", &digest), &digest, bytes.into(), Labels::new()).await?;

        let mut labels: Labels = layers
            .iter()
            .enumerate()
            .map(|(at, layer)| (format!("containerd.io/gc.ref.content.l.{at}"), layer.digest.to_string()))
            .collect();
        labels.insert("containerd.io/gc.ref.content.config".to_owned(), config.digest.to_string());
        let manifest =
            Manifest { schema_version: 2, media_type: Some(media_type::OCI_MANIFEST.into()), config, layers };
        let bytes = serde_json::to_vec(&manifest).expect("a manifest of our own serialises");
        let digest = Digest::sha256(&bytes);
        let target = Descriptor::new(media_type::OCI_MANIFEST, digest.clone(), bytes.len() as u64);
        content.write(owner, &part_ref("manifest", &digest), &digest, bytes.into(), labels).await?;

        let snapshotter = &order.snapshotter;
        let snapshots = self.catalog.snapshots();
        snapshots.unpack(owner, snapshotter, &manifest.layers, &diff_ids, None).await?;
        let details = self.catalog.details(&owner.namespace, &target, None).await?;
        let namespace = &owner.namespace;
        snapshots::keep(content, namespace, snapshotter, &details.document, &details.config).await?;
        match &order.reference {
            Some(reference) => {
                self.names.point(&owner.namespace, Record::new(reference.to_string(), target)).await?;
            }
            None => self.names.keep_dangling(&owner.namespace, &target).await?,
        }
        tracing::info!(%digest, snapshot = %order.snapshot, "made an image of a container");
        Ok(digest)
    }

    /// Has what differs between the container's root and its image packed.
    async fn take_layer(
        &self,
        owner: &Owner,
        parent: &Details,
        order: &Order,
    ) -> Result<(Descriptor, DiffId), Error> {
        let snapshots = self.catalog.snapshots();
        let (namespace, snapshotter) = (&owner.namespace, &order.snapshotter);
        let right = snapshots.mounts(namespace, snapshotter, &order.snapshot).await?;
        let view = format!("commit-{:032x}", rand::rng().random::<u128>());
        let view = SnapshotKey::try_from(view).expect("a name of ours is not empty");
        let (left, viewed) = match ChainId::fold(&parent.config.rootfs.diff_ids) {
            Some(chain_id) => (snapshots.view(owner, snapshotter, &view, &chain_id).await?, true),
            None => (Vec::new(), false),
        };
        let packed = snapshots.diff(owner, left, right).await;
        // Without the lease nothing keeps it.
        if viewed && let Err(error) = snapshots.remove(namespace, snapshotter, view).await {
            tracing::debug!(error = %chain(&error), "a view of an image is left to the collection");
        }
        let layer = packed?;
        // A root that goes meanwhile goes file by file, after its record: what was packed is all of it while that is there.
        snapshots.mounts(namespace, snapshotter, &order.snapshot).await?;
        let info = self.catalog.content().info(&owner.namespace, &layer.digest).await?;
        let diff_id = info.and_then(|info| info.labels.get(UNCOMPRESSED)?.parse().ok());
        let diff_id = diff_id
            .ok_or_else(|| Error::Missing { digest: layer.digest.clone(), image: order.parent.clone() })?;
        Ok((layer, diff_id))
    }
}

/// The parent's config with the new layer, its line of history, and how the new image runs.
fn config_of(parent: &Details, order: &Order, diff_ids: &[DiffId], changed: bool) -> Result<Vec<u8>, Error> {
    let digest = &parent.document.config.digest;
    let mut config: Map<String, Value> = serde_json::from_slice(&parent.config_json).map_err(|error| {
        Error::Document { what: "config", digest: digest.clone(), cause: error.to_string() }
    })?;
    let now = Utc::now().to_rfc3339_opts(SecondsFormat::Nanos, true);
    let mut line = json!({ "created": now, "created_by": order.created_by });
    for (key, value) in [("author", &order.author), ("comment", &order.comment)] {
        if !value.is_empty() {
            line[key] = value.as_str().into();
        }
    }
    if !changed {
        line["empty_layer"] = true.into();
    }
    let history = config.entry("history").or_insert_with(|| json!([]));
    if !history.is_array() {
        *history = json!([]);
    }
    if let Some(history) = history.as_array_mut() {
        history.push(line);
    }
    match order.author.as_str() {
        "" => drop(config.remove("author")),
        author => drop(config.insert("author".to_owned(), author.into())),
    }
    config.insert("created".to_owned(), now.into());
    config.insert("config".to_owned(), Value::Object(order.config.clone()));
    config.insert("rootfs".to_owned(), json!({ "type": "layers", "diff_ids": diff_ids }));
    Ok(serde_json::to_vec(&config).expect("a value of our own serialises"))
}
