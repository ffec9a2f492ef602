//! What images asks of content: small documents whole, labels, and blobs as files.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use bytes::Bytes;
use gantry_api::Peers;
use gantry_api::ingest::{self, Owner, Writer};
use gantry_proto::containerd::services::content::v1 as pb;
use gantry_rpc::context;
use gantry_types::{Digest, Namespace};
use tonic::{Code, Status};

use crate::error::Error;

/// A view of content. A cheap clone.
#[derive(Clone, Debug)]
pub struct Content {
    peers: Peers,
}

impl Content {
    /// A view through `peers`.
    pub fn new(peers: Peers) -> Self {
        Self { peers }
    }

    /// The peers it was made with.
    pub fn peers(&self) -> &Peers {
        &self.peers
    }

    /// The size and labels of a blob; none when it is not in the namespace.
    pub async fn info(&self, namespace: &Namespace, digest: &Digest) -> Result<Option<pb::Info>, Error> {
        let request = context::with_namespace(pb::InfoRequest { digest: digest.to_string() }, namespace);
        match self.peers.content().info(request).await {
            Ok(response) => Ok(response.into_inner().info),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(Error::peer("content", "look up a blob")(status)),
        }
    }

    /// Sets some labels of a blob, and leaves the others.
    pub async fn label(
        &self,
        owner: &Owner,
        digest: &Digest,
        labels: HashMap<String, String>,
    ) -> Result<(), Error> {
        if labels.is_empty() {
            return Ok(());
        }
        let paths = labels.keys().map(|key| format!("labels.{key}")).collect();
        let update = pb::UpdateRequest {
            info: Some(pb::Info { digest: digest.to_string(), labels, ..Default::default() }),
            update_mask: Some(prost_types::FieldMask { paths }),
        };
        let request = context::with_lease(update, &owner.namespace, owner.lease.as_deref());
        self.peers.content().update(request).await.map_err(Error::peer("content", "label a blob"))?;
        Ok(())
    }

    /// Opens a blob for reading; none when it is not in the namespace.
    pub async fn open(&self, namespace: &Namespace, digest: &Digest) -> Result<Option<(File, u64)>, Error> {
        match ingest::open_blob(&self.peers, namespace, digest).await {
            Ok(found) => Ok(Some(found)),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(Error::peer("content", "open a blob")(status)),
        }
    }

    /// Reads a whole blob of at most `limit` bytes; none when it is not in the namespace.
    pub async fn read(
        &self,
        namespace: &Namespace,
        digest: &Digest,
        limit: u64,
    ) -> Result<Option<Bytes>, Error> {
        let Some((file, size)) = self.open(namespace, digest).await? else { return Ok(None) };
        if size > limit {
            let cause = format!("it has {size} bytes, more than {limit} are not accepted");
            return Err(Error::Document { what: "blob", digest: digest.clone(), cause });
        }
        blocking("read", digest, move || {
            let mut bytes = vec![0; usize::try_from(size).map_err(io::Error::other)?];
            file.read_exact_at(&mut bytes, 0)?;
            Ok(Some(Bytes::from(bytes)))
        })
        .await
    }

    /// Writes a small blob under the owner's lease, or finds it there, and sets its labels either way.
    pub async fn write(
        &self,
        owner: &Owner,
        reference: &str,
        digest: &Digest,
        bytes: Bytes,
        labels: HashMap<String, String>,
    ) -> Result<(), Error> {
        let size = bytes.len() as u64;
        let mut writer = loop {
            match Writer::open(&self.peers, owner, reference, size, Some(digest)).await {
                Ok(writer) => break writer,
                Err(status) if status.code() == Code::AlreadyExists => {
                    return self.label(owner, digest, labels).await;
                }
                // Small blobs are written in an instant: whoever holds the ref is done soon.
                Err(status)
                    if status.code() == Code::Unavailable && self.is_locked(owner, reference).await =>
                {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
                Err(status) => return Err(Error::peer("content", "begin a blob")(status)),
            }
        };
        if writer.offset() > 0 {
            writer.truncate().await.map_err(Error::peer("content", "begin a blob anew"))?;
        }
        let file = writer.file().try_clone().map_err(|source| local("write", digest, source))?;
        blocking("write", digest, move || file.write_all_at(&bytes, 0)).await?;
        writer.progress(size).await.map_err(Error::peer("content", "follow a blob"))?;
        match writer.commit(size, Some(digest), labels.clone()).await {
            Ok(_) => Ok(()),
            Err(status) if status.code() == Code::AlreadyExists => self.label(owner, digest, labels).await,
            Err(status) => Err(Error::peer("content", "commit a blob")(status)),
        }
    }

    /// Whether bytes are on their way under a ref.
    pub async fn has_ingest(&self, owner: &Owner, reference: &str) -> bool {
        let request = pb::StatusRequest { r#ref: reference.to_owned() };
        self.peers.content().status(context::with_namespace(request, &owner.namespace)).await.is_ok()
    }

    /// Tells a ref that another writer holds from a content service that is away.
    pub async fn is_locked(&self, owner: &Owner, reference: &str) -> bool {
        let request = pb::StatusRequest { r#ref: reference.to_owned() };
        let answer: Result<_, Status> =
            self.peers.content().status(context::with_namespace(request, &owner.namespace)).await;
        match answer {
            Ok(_) => true,
            // Ended in this moment.
            Err(status) => status.code() == Code::NotFound,
        }
    }
}

/// Runs file work of a blob where blocking is allowed.
pub async fn blocking<T: Send + 'static>(
    op: &'static str,
    digest: &Digest,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|source| local(op, digest, source)),
        Err(_) => Err(Error::Cancelled),
    }
}

/// An error of a blob's file.
pub fn local(op: &'static str, digest: &Digest, source: io::Error) -> Error {
    Error::Io { op, path: PathBuf::from(format!("blob {digest}")), source }
}
