//! The data socket: images in and out as archives.
//!
//! The bytes of an archive never cross gRPC. Reading and writing tar is blocking work at the pace of a client: each
//! connection has a thread of its own, and calls its peers from there. Those of the pool are few, and everybody's.

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
use gantry_proto::gantry::images::v1 as pb;
use gantry_rpc::paced::{Paced, Slot, Slots};
use gantry_rpc::{Coded, chain, data, status};
use gantry_types::Namespace;
use prost::Message;
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Handle;

use crate::catalog::Catalog;
use crate::content::Content;
use crate::document::Index;
use crate::error::Error;
use crate::lease::{Leases, Purpose};
use crate::names::Names;
use gantry_distribution::Client;

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
        let Some(request) =
            data::receive::<pb::DataRequest>(&mut stream).await.map_err(broke("asked for"))?
        else {
            return Ok(());
        };
        let parsed = request.namespace.parse::<Namespace>().map_err(Error::from);
        let namespace = match parsed {
            Ok(namespace) => namespace,
            Err(error) => return data::reject(&mut stream, &status(error)).await.map_err(broke("answered")),
        };
        let Some(action) = request.action else {
            let error = Error::Request("a data request without an action".into());
            return data::reject(&mut stream, &status(error)).await.map_err(broke("answered"));
        };
        let slot = self.slots.take().await;
        match action {
            pb::data_request::Action::Save(save) => {
                // Whether it can be saved is known before the first byte.
                let planned = save::plan(&self, &namespace, &save).await;
                let plan = match planned {
                    Ok(plan) => plan,
                    Err(error) => {
                        return data::reject(&mut stream, &status(error)).await.map_err(broke("answered"));
                    }
                };
                data::accept(&mut stream, &(), &[]).await.map_err(broke("answered"))?;
                self.desk(namespace, stream, slot)?.run(move |desk| save::write(desk, &plan)).await
            }
            pb::data_request::Action::Load(load) => {
                data::accept(&mut stream, &(), &[]).await.map_err(broke("answered"))?;
                self.desk(namespace, stream, slot)?
                    .run(move |desk| desk.report(load::load(desk, &load)))
                    .await
            }
            pb::data_request::Action::Import(import) => {
                // Whether there is anything to import is known before the answer, as far as it can be.
                let opened = async {
                    let order = import::Order::parse(&import)?;
                    let source = match import.source.as_str() {
                        "" => None,
                        source => Some(self.remote.fetch(source).await?),
                    };
                    Ok((order, source))
                };
                let (order, source) = match opened.await {
                    Ok(opened) => opened,
                    Err::<_, Error>(error) => {
                        return data::reject(&mut stream, &status(error)).await.map_err(broke("answered"));
                    }
                };
                data::accept(&mut stream, &(), &[]).await.map_err(broke("answered"))?;
                self.desk(namespace, stream, slot)?
                    .run(move |desk| desk.report(import::import(desk, &order, source)))
                    .await
            }
        }
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
    fn tell(&self, event: pb::archive_progress::Event) -> Result<(), Error> {
        let message = pb::ArchiveProgress { event: Some(event) };
        let length = u32::try_from(message.encoded_len()).expect("a progress message is small");
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.extend_from_slice(&message.encode_to_vec());
        (&self.stream).write_all(&bytes).map_err(|source| Error::Stream { op: "answered", source })
    }

    /// Makes a failure the last message of the connection.
    fn report(&self, result: Result<(), Error>) -> Result<(), Error> {
        let Err(error) = result else { return Ok(()) };
        let code = tonic::Code::from(error.code()) as i32;
        self.tell(pb::archive_progress::Event::Failed(pb::archive_progress::Failed {
            code,
            message: chain(&error),
        }))?;
        // What the client still sends is taken, so that it gets to read the answer.
        let _ = io::copy(&mut io::Read::take(&self.stream, 64 << 20), &mut io::sink());
        Err(error)
    }
}
