//! Archives: images as tars, sent and received on the images service's data socket. The bytes do not pass through
//! gRPC, and no other process copies them.
//!
//! ```text
//!   load, import:  bytes of a tar ──▶ service        the client closes its half after the tar
//!                          client ◀── events         the last one is the error, if it failed
//!   save:                  client ◀── bytes of a tar
//! ```
//!
//! - Before the first byte it is known whether there is anything to save or to import (`NOT_FOUND`,
//!   `INVALID_ARGUMENT`).
//! - A load reports each image by its name, or by its id if it has no name. An import reports the name, if it has
//!   one, and then the id. Bytes that are no archive of images are `INVALID_ARGUMENT`, and nothing that was read is
//!   kept.
//! - An archive that ends without the two zero blocks of a tar is incomplete: the service has gone.

mod events;
mod requests;
mod server;

use bytes::{Bytes, BytesMut};
use gantry_rpc::Channel;
use gantry_rpc::data::Received;
use gantry_types::{Digest, Namespace, Platform, Reference};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tonic::Status;

pub use events::encode;
pub use server::{Request, receive};

use super::{Client, LayerProgress};
use crate::Failure;
use crate::call::Caller;

/// A request to save images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SaveSpec {
    /// Names and ids; a repository without a tag means all its tags.
    pub texts: Vec<String>,
    /// The only platform to read or write; `None` for all.
    pub platform: Option<Platform>,
}

/// A root file system from which an image with one layer is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportSpec {
    /// The name of the image.
    pub reference: Option<Reference>,
    /// The message for the image's history.
    pub message: String,
    /// Dockerfile instructions.
    pub changes: Vec<String>,
    /// The image's platform; `None` for this host's.
    pub platform: Option<Platform>,
    /// The URL from which the service fetches the tar (`http://host/file`, or without the scheme); `None` if the
    /// client sends it.
    pub source: Option<String>,
}

/// An event of a load or an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArchiveEvent {
    /// An image by its familiar name with a tag.
    Loaded(String),
    /// An image by its id.
    LoadedId(Digest),
    /// The state of a layer has changed.
    Layer(LayerProgress),
    /// An import's source, by its address, has answered.
    Source(String),
    /// The progress of an import from its source.
    Importing {
        /// Bytes that have arrived.
        current: u64,
        /// Bytes in total, if known.
        total: Option<u64>,
    },
}

const LOAD: &str = "load images";
const IMPORT: &str = "import an image";
const SAVE: &str = "save images";

/// How many bytes of an archive are read at once.
const CHUNK: usize = 64 << 10;

/// The progress of an archive that is being sent.
#[derive(Debug)]
pub struct News {
    caller: Caller,
    call: &'static str,
    channel: Channel,
    answers: OwnedReadHalf,
    received: Received,
}

impl News {
    /// The next event; `None` after the last one. May be cancelled and called again.
    ///
    /// # Errors
    ///
    /// The reason why it failed, or that the service has gone or shows no sign of life.
    pub async fn next(&mut self) -> Result<Option<ArchiveEvent>, Failure> {
        let receiving = async {
            let news = self.received.message(&mut self.answers).await;
            news.map_err(|error| Status::unavailable(format!("service images is away: {error}")))
        };
        match self
            .channel
            .while_alive(receiving)
            .await
            .map_err(|status| self.caller.failed(self.call, status))?
        {
            None => Ok(None),
            Some(message) => match events::parse(message).map_err(self.caller.garbled(self.call))? {
                Ok(event) => Ok(Some(event)),
                Err(status) => Err(self.caller.failed(self.call, status)),
            },
        }
    }
}

/// An archive that is being received.
#[derive(Debug)]
pub struct Saved {
    caller: Caller,
    channel: Channel,
    stream: UnixStream,
}

impl Saved {
    /// The next bytes; `None` at the end of the connection. May be cancelled and called again.
    ///
    /// # Errors
    ///
    /// The service has gone, or shows no sign of life.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let stream = &mut self.stream;
        let reading = async {
            let mut chunk = BytesMut::with_capacity(CHUNK);
            match stream.read_buf(&mut chunk).await {
                Ok(0) => Ok(None),
                Ok(_) => Ok(Some(chunk.freeze())),
                Err(error) => Err(Status::unavailable(format!("service images is away: {error}"))),
            }
        };
        self.channel.while_alive(reading).await.map_err(|status| self.caller.failed(SAVE, status))
    }
}

impl Client {
    /// Begins a load. The caller sends the archive into the result, and reads the progress from it.
    ///
    /// # Errors
    ///
    /// The reason why nothing can be loaded.
    pub async fn load(
        &self,
        namespace: &Namespace,
        platform: Option<&Platform>,
    ) -> Result<(OwnedWriteHalf, News), Failure> {
        let stream = self.data(LOAD, requests::load(namespace, platform)).await?;
        Ok(self.split(LOAD, stream))
    }

    /// Begins an import. The caller sends the tar into the result, unless it has a source.
    ///
    /// # Errors
    ///
    /// The reason why nothing can be imported: `INVALID_ARGUMENT`, `UNAUTHENTICATED`, `PERMISSION_DENIED` or
    /// `NOT_FOUND` from the source's server, else `INTERNAL`.
    pub async fn import(
        &self,
        namespace: &Namespace,
        spec: ImportSpec,
    ) -> Result<(OwnedWriteHalf, News), Failure> {
        let stream = self.data(IMPORT, requests::import(namespace, spec)).await?;
        Ok(self.split(IMPORT, stream))
    }

    /// Begins to save. The caller reads the archive from the result; one without a tar's end was cut off.
    ///
    /// # Errors
    ///
    /// The reason why nothing can be saved.
    pub async fn save(&self, namespace: &Namespace, spec: SaveSpec) -> Result<Saved, Failure> {
        let stream = self.data(SAVE, requests::save(namespace, spec)).await?;
        Ok(Saved { caller: self.caller, channel: self.peers.channel("images"), stream })
    }

    async fn data(
        &self,
        call: &'static str,
        request: gantry_proto::gantry::images::v1::DataRequest,
    ) -> Result<UnixStream, Failure> {
        let answer = self.caller.hear(call, self.peers.data("images", &request)).await?;
        Ok(answer.0)
    }

    fn split(&self, call: &'static str, stream: UnixStream) -> (OwnedWriteHalf, News) {
        let (answers, archive) = stream.into_split();
        let channel = self.peers.channel("images");
        (archive, News { caller: self.caller, call, channel, answers, received: Received::default() })
    }
}
