//! The data socket: images in and out as archives.
//!
//! The bytes of an archive never cross gRPC. Reading and writing a tar is blocking work at the pace of a client: each
//! connection has a thread of its own, and calls its peers from there. The shared pool has too few threads for that.

pub mod changes;
mod create;
mod import;
mod input;
mod legacy;
mod load;
mod save;

pub use save::{DockerManifest, path};

use std::io::{self, Write};

use gantry_api::content::Owner;
use gantry_api::images::archives::{self, ArchiveEvent, Request};
use gantry_rpc::paced::{Paced, Slot, Slots};
use gantry_rpc::{Coded, chain, data, status};
use gantry_types::{Namespace, Platform};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Handle;

use crate::catalog::Catalog;
use crate::content::Content;
use crate::document::Index;
use crate::error::Error;
use crate::lease::{Leases, Purpose};
use crate::names::Names;
use gantry_distribution::{Client, Download};

/// Archives that are worked on at once; others wait, and a client that stands still gives way to them.
const AT_ONCE: usize = 256;

/// Serves archives. A cheap clone.
#[derive(Clone)]
pub struct Archives {
    names: Names,
    catalog: Catalog,
    content: Content,
    leases: Leases,
    remote: Client,
    slots: Slots,
}

/// What is to be done with a connection.
enum Work {
    Save(Box<save::Plan>),
    Load(Option<Platform>),
    Import(Box<import::Order>, Option<Box<Download>>),
}

/// What one archive's work has at hand.
struct Desk {
    archives: Archives,
    namespace: Namespace,
    runtime: Handle,
    stream: Paced,
}

impl Archives {
    /// Archives of, and into, what these know.
    pub fn new(names: Names, catalog: Catalog, leases: Leases, remote: Client) -> Self {
        let content = catalog.content().clone();
        Self { names, catalog, content, leases, remote, slots: Slots::new(AT_ONCE) }
    }

    /// Reads an archive off `stream` into the store, under the owner's lease; tells what it says is in it, each image
    /// with its name as an annotation.
    pub async fn read(&self, owner: Owner, stream: UnixStream) -> Result<Index, Error> {
        let slot = self.slots.take().await;
        let desk = self.clone().desk(owner.namespace.clone(), stream, slot)?;
        desk.run(move |desk| load::read(desk, &owner)).await
    }

    /// Answers connections until it is dropped.
    pub async fn serve(self, listener: UnixListener) {
        let mut connections = tokio::task::JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let archives = self.clone();
                        connections.spawn(async move {
                            if let Err(error) = archives.answer(stream).await {
                                tracing::info!(error = %chain(&error), "an archive's connection failed");
                            }
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the data socket cannot accept");
                        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }

    async fn answer(self, mut stream: UnixStream) -> Result<(), Error> {
        let broke = |op: &'static str| move |source: io::Error| Error::Stream { op, source };
        let asked = archives::receive(&mut stream).await.map_err(broke("asked for"))?;
        let Some((namespace, request)) = asked else { return Ok(()) };
        let slot = self.slots.take().await;
        let work = match self.prepare(&namespace, request).await {
            Ok(work) => work,
            Err(error) => {
                return data::reject(&mut stream, &status(error)).await.map_err(broke("answered"));
            }
        };
        data::accept(&mut stream, &(), &[]).await.map_err(broke("answered"))?;
        let desk = self.desk(namespace, stream, slot)?;
        match work {
            Work::Save(plan) => desk.run(move |desk| save::write(desk, &plan)).await,
            Work::Load(platform) => {
                desk.run(move |desk| desk.report(load::load(desk, platform.as_ref()))).await
            }
            Work::Import(order, source) => {
                desk.run(move |desk| desk.report(import::import(desk, &order, source.map(|source| *source))))
                    .await
            }
        }
    }

    /// What can be known before a byte is sent or read: whether it can be saved, and whether there is anything to import.
    async fn prepare(&self, namespace: &Namespace, request: Request) -> Result<Work, Error> {
        Ok(match request {
            Request::Save(spec) => Work::Save(Box::new(save::plan(self, namespace, &spec).await?)),
            Request::Load(platform) => Work::Load(platform),
            Request::Import(spec) => {
                let order = import::Order::parse(&spec)?;
                let source = match &spec.source {
                    None => None,
                    Some(source) => Some(Box::new(self.remote.fetch(source).await?)),
                };
                Work::Import(Box::new(order), source)
            }
        })
    }

    fn desk(self, namespace: Namespace, stream: UnixStream, slot: Slot) -> Result<Desk, Error> {
        let stream = Paced::new(stream, slot).map_err(|source| Error::Stream { op: "opened", source })?;
        Ok(Desk { archives: self, namespace, runtime: Handle::current(), stream })
    }
}

impl Desk {
    async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce(&Self) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (sender, done) = tokio::sync::oneshot::channel();
        let thread = std::thread::Builder::new().name("archive".to_owned());
        // A service that ends does not wait for the client.
        thread
            .spawn(move || drop(sender.send(work(&self))))
            .map_err(|source| Error::Stream { op: "given a thread", source })?;
        done.await.map_err(|_| Error::Cancelled)?
    }

    /// Works under a lease, which ends with the work: an archive is not resumed, so a failure leaves nothing behind.
    fn leased(&self, purpose: &str, work: impl FnOnce(&Owner) -> Result<(), Error>) -> Result<(), Error> {
        let lease = self.wait(self.archives.leases.begin(&self.namespace, Purpose::Once(purpose)))?;
        let result = work(lease.owner());
        let finished = match self.wait(lease.finish()) {
            Ok(()) if result.is_err() => self.wait(self.archives.names.collect(&self.namespace)).map(drop),
            finished => finished,
        };
        if let Err(error) = finished {
            tracing::warn!(purpose, error = %chain(&error), "what an archive left stays until its lease expires");
        }
        result
    }

    /// Waits for a peer.
    fn wait<T>(&self, call: impl Future<Output = T>) -> T {
        self.runtime.block_on(call)
    }

    /// Tells the client how it goes.
    fn tell(&self, event: ArchiveEvent) -> Result<(), Error> {
        self.send(&archives::encode(Ok(event)))
    }

    fn send(&self, told: &[u8]) -> Result<(), Error> {
        (&self.stream).write_all(told).map_err(|source| Error::Stream { op: "answered", source })
    }

    /// Makes a failure the last message of the connection.
    fn report(&self, result: Result<(), Error>) -> Result<(), Error> {
        let Err(error) = result else { return Ok(()) };
        let failed = tonic::Status::new(error.code().into(), chain(&error));
        self.send(&archives::encode(Err(&failed)))?;
        // What the client still sends is taken, so that it gets to read the answer.
        let _ = io::copy(&mut io::Read::take(&self.stream, 64 << 20), &mut io::sink());
        Err(error)
    }
}
