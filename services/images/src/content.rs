//! What images asks of content: small documents whole, labels, and blobs as files.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use gantry_api::Peers;
use gantry_api::content::client::{Filler, Follower};
use gantry_api::content::files::{Files as _, Filler as _, Wanted};
use gantry_api::content::{
    Client, Commit, Expected, Info, Ingest as _, IngestRef, Inspect as _, Manage as _,
};
use gantry_rpc::{Code, Coded, carry};
use gantry_types::{Digest, Labels, Namespace, Relabel};

pub use gantry_api::content::Owner;

use crate::error::{Error, found};

/// A view of content. A cheap clone.
#[derive(Clone, Debug)]
pub struct Content(Client);

/// An ingest that was asked for.
#[derive(Debug)]
pub enum Opened {
    /// It is ours to fill; copies of the file must be closed before the commit, which would copy the bytes away from
    /// them.
    Ours(Box<Filler>, File),
    /// Another client fills it.
    Others,
    /// The blob is there.
    Present,
}

impl Content {
    /// A view through `peers`.
    pub fn new(peers: &Peers) -> Self {
        Self(Client::new(peers))
    }

    /// The size and labels of a blob; none when it is not in the namespace.
    pub async fn info(&self, namespace: &Namespace, digest: &Digest) -> Result<Option<Info>, Error> {
        found(self.0.info(namespace, digest).await)
    }

    /// Sets some labels of a blob, deletes those without a value, and leaves the others.
    pub async fn label(&self, namespace: &Namespace, digest: &Digest, labels: Labels) -> Result<(), Error> {
        if labels.is_empty() {
            return Ok(());
        }
        self.0.update(namespace, digest, &Relabel::Each(labels)).await?;
        Ok(())
    }

    /// Opens a blob for reading; none when it is not in the namespace.
    pub async fn open(&self, namespace: &Namespace, digest: &Digest) -> Result<Option<(File, u64)>, Error> {
        found(self.0.open_blob(namespace, digest).await)
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
        reference: &IngestRef,
        digest: &Digest,
        bytes: Bytes,
        labels: Labels,
    ) -> Result<(), Error> {
        let size = bytes.len() as u64;
        let expected = Expected { total: Some(size), digest: Some(digest.clone()) };
        let (mut filler, file) = loop {
            match self.fill(owner, reference, expected.clone()).await? {
                Opened::Ours(filler, file) => break (*filler, file),
                Opened::Present => return self.label(&owner.namespace, digest, labels).await,
                // Small blobs are written in an instant, so the writer that holds the ref is done soon.
                Opened::Others => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        if filler.extent().0 > 0 {
            filler.truncate().await?;
        }
        blocking("write", digest, move || file.write_all_at(&bytes, 0)).await?;
        filler.progress(size).await?;
        match filler.commit(Commit { expected, labels: labels.clone() }).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.code() == Code::AlreadyExists => {
                self.label(&owner.namespace, digest, labels).await
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// Begins an ingest, or goes on with one that has no writer.
    pub async fn fill(
        &self,
        owner: &Owner,
        reference: &IngestRef,
        expected: Expected,
    ) -> Result<Opened, Error> {
        match self.0.fill(owner, reference, expected).await {
            Ok((filler, file)) => Ok(Opened::Ours(Box::new(filler), file)),
            Err(failure) if failure.code() == Code::AlreadyExists => Ok(Opened::Present),
            Err(failure)
                if failure.code() == Code::Unavailable
                    && self.is_locked(&owner.namespace, reference).await =>
            {
                Ok(Opened::Others)
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// Follows a blob that is there or on its way; none when neither is so within `wait`.
    pub async fn follow(
        &self,
        namespace: &Namespace,
        wanted: &Wanted,
        wait: Duration,
    ) -> Result<Option<Follower>, Error> {
        Ok(found(self.0.follow(namespace, wanted, wait).await)?.map(|(follower, _)| follower))
    }

    /// Whether bytes are on their way under a ref.
    pub async fn has_ingest(&self, namespace: &Namespace, reference: &IngestRef) -> bool {
        self.0.status(namespace, reference).await.is_ok()
    }

    /// Tells a ref that another writer holds from a content service that is away.
    async fn is_locked(&self, namespace: &Namespace, reference: &IngestRef) -> bool {
        match self.0.status(namespace, reference).await {
            Ok(_) => true,
            // Ended in this moment.
            Err(failure) => failure.code() == Code::NotFound,
        }
    }
}

/// The ingest under which a part of an image arrives: containerd's name for it, which progress bars look for.
pub fn part_ref(kind: &str, digest: &Digest) -> IngestRef {
    ingest_ref(format!("{kind}-{digest}"))
}

/// An ingest by a name of ours.
pub fn ingest_ref(name: String) -> IngestRef {
    name.try_into().expect("a name of ours is not empty")
}

/// Runs file work of a blob where blocking is allowed.
pub async fn blocking<T: Send + 'static>(
    op: &'static str,
    digest: &Digest,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    match carry::blocking(work).await {
        Some(result) => result.map_err(|source| local(op, digest, source)),
        None => Err(Error::Cancelled),
    }
}

/// An error of a blob's file.
pub fn local(op: &'static str, digest: &Digest, source: io::Error) -> Error {
    Error::Io { op, path: PathBuf::from(format!("blob {digest}")), source }
}
