//! containerd's transfers: images pulled, pushed, tagged, imported and exported for its clients.
//!
//! A transfer has a source and a destination, each a registry, the image store or a stream of an archive; which two
//! they are says what is done. How it goes is told on a stream that the client has opened before ([`crate::streams`]),
//! in containerd's words ([`report`]).
//!
//! | from | to | |
//! | --- | --- | --- |
//! | `OCIRegistry` | `ImageStore` | [`pull`] |
//! | `ImageStore` | `OCIRegistry` | [`push`] |
//! | `ImageImportStream` | `ImageStore` | [`import`] |
//! | `ImageStore` | `ImageExportStream` | [`export`] |
//! | `ImageStore` | `ImageStore` | [`tag`] |
//!
//! Invariant: what is named is complete for the platforms that were asked for. Names are written last, each pointing
//! where it is told to: unlike Docker's, an image that loses its last name by this is not kept.

mod export;
mod flow;
mod import;
mod pull;
mod push;
mod registry;
mod report;
mod storage;
mod tag;

use gantry_api::content::Owner;
use gantry_proto::containerd::types::transfer as pb;
use gantry_types::Namespace;
use prost_types::Any;

use crate::archive::Archives;
use crate::catalog::Catalog;
use crate::error::Error;
use crate::lease::{Leases, Purpose};
use crate::names::Names;
use crate::pull::Puller;
use crate::push::Pusher;
use crate::streams::Streams;

use report::Report;

/// Does transfers. A cheap clone.
#[derive(Clone)]
pub struct Transfers {
    puller: Puller,
    pusher: Pusher,
    archives: Archives,
    names: Names,
    catalog: Catalog,
    leases: Leases,
    streams: Streams,
}

/// What is to be done.
#[derive(Debug)]
enum Job {
    Pull(pb::OciRegistry, pb::ImageStore),
    Push(pb::ImageStore, pb::OciRegistry),
    Import(pb::ImageImportStream, pb::ImageStore),
    Export(pb::ImageStore, pb::ImageExportStream),
    Tag(pb::ImageStore, pb::ImageStore),
}

/// Either end of a transfer.
enum End {
    Registry(pb::OciRegistry),
    Store(pb::ImageStore),
    ImportStream(pb::ImageImportStream),
    ExportStream(pb::ImageExportStream),
    Other(String),
}

/// Reads an end of one kind; none of another.
type Reader = fn(&Any) -> Option<Result<End, prost::DecodeError>>;

impl End {
    fn read(any: &Any) -> Result<Self, Error> {
        let readers: [Reader; 4] = [
            |any| gantry_proto::unpack(any).map(|read| read.map(End::Registry)),
            |any| gantry_proto::unpack(any).map(|read| read.map(End::Store)),
            |any| gantry_proto::unpack(any).map(|read| read.map(End::ImportStream)),
            |any| gantry_proto::unpack(any).map(|read| read.map(End::ExportStream)),
        ];
        match readers.iter().find_map(|reader| reader(any)) {
            Some(read) => read.map_err(|error| Error::Request(format!("{}: {error}", any.type_url))),
            None => Ok(Self::Other(any.type_url.clone())),
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Registry(_) => "a registry",
            Self::Store(_) => "the image store",
            Self::ImportStream(_) => "an import stream",
            Self::ExportStream(_) => "an export stream",
            Self::Other(kind) => kind,
        }
    }
}

impl Job {
    fn read(source: &Any, destination: &Any) -> Result<Self, Error> {
        Ok(match (End::read(source)?, End::read(destination)?) {
            (End::Registry(from), End::Store(to)) => Self::Pull(from, to),
            (End::Store(from), End::Registry(to)) => Self::Push(from, to),
            (End::ImportStream(from), End::Store(to)) => Self::Import(from, to),
            (End::Store(from), End::ExportStream(to)) => Self::Export(from, to),
            (End::Store(from), End::Store(to)) => Self::Tag(from, to),
            (from, to) => {
                let pair = format!("a transfer from {} to {}", from.name(), to.name());
                return Err(Error::Unsupported(pair));
            }
        })
    }
}

impl Transfers {
    /// Transfers by these.
    pub fn new(
        puller: Puller,
        pusher: Pusher,
        archives: Archives,
        (names, catalog, leases): (Names, Catalog, Leases),
        streams: Streams,
    ) -> Self {
        Self { puller, pusher, archives, names, catalog, leases, streams }
    }

    /// Does what the two ends ask for. Dropping the future stops it; what arrived stays with its lease.
    pub async fn run(
        &self,
        namespace: &Namespace,
        lease: Option<String>,
        (source, destination): (&Any, &Any),
        progress: &str,
    ) -> Result<(), Error> {
        let job = Job::read(source, destination)?;
        let report = match progress {
            "" => Report::silent(),
            id => Report::on(self.streams.take(namespace.as_str(), id)?),
        };
        let done = match (job, lease) {
            // Nothing is brought that a lease would have to keep.
            (Job::Push(from, to), _) => self.push(namespace, &from, to, &report).await,
            (Job::Export(from, to), _) => self.export(namespace, &from, &to, &report).await,
            (Job::Tag(from, to), _) => self.tag(namespace, &from, &to).await,
            (job, Some(lease)) => {
                let owner = Owner { namespace: namespace.clone(), lease: Some(lease) };
                self.bring(&owner, job, &report).await
            }
            (job, None) => {
                let lease = self.leases.begin(namespace, Purpose::Once("transfer")).await?;
                let brought = self.bring(lease.owner(), job, &report).await;
                if let Err(error) = lease.finish().await {
                    tracing::warn!(%error, "what a transfer kept stays until its lease expires");
                }
                brought
            }
        };
        report.finish().await;
        done
    }

    /// Does what brings bytes, under the lease that keeps them.
    async fn bring(&self, owner: &Owner, job: Job, report: &Report) -> Result<(), Error> {
        match job {
            Job::Pull(from, to) => self.pull(owner, from, &to, report).await,
            Job::Import(from, to) => self.import(owner, &from, &to, report).await,
            Job::Push(..) | Job::Export(..) | Job::Tag(..) => {
                unreachable!("a push, an export or a tag brings nothing")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_ends_say_what_is_done() {
        let pack = |kind: &str| match kind {
            "registry" => gantry_proto::pack(&pb::OciRegistry::default()),
            "store" => gantry_proto::pack(&pb::ImageStore::default()),
            "in" => gantry_proto::pack(&pb::ImageImportStream::default()),
            "out" => gantry_proto::pack(&pb::ImageExportStream::default()),
            other => Any { type_url: other.into(), value: Vec::new() },
        };
        let job = |from: &str, to: &str| Job::read(&pack(from), &pack(to));
        assert!(matches!(job("registry", "store"), Ok(Job::Pull(..))));
        assert!(matches!(job("store", "registry"), Ok(Job::Push(..))));
        assert!(matches!(job("in", "store"), Ok(Job::Import(..))));
        assert!(matches!(job("store", "out"), Ok(Job::Export(..))));
        assert!(matches!(job("store", "store"), Ok(Job::Tag(..))));
        let error = job("registry", "containerd.types.transfer.Unheard").expect_err("no such pair");
        assert_eq!(
            error.to_string(),
            "a transfer from a registry to containerd.types.transfer.Unheard is not supported"
        );
        assert!(matches!(job("in", "registry"), Err(Error::Unsupported(_))));
        let broken = Any { value: vec![0xff], ..pack("store") };
        assert!(matches!(Job::read(&broken, &pack("store")), Err(Error::Request(_))));
    }
}
