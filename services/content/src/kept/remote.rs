//! A content store of another program: the calls to it, each with a limit.

use std::sync::Arc;
use std::time::Duration;

use gantry_api::Failure;
use gantry_proto::containerd::services::content::v1 as pb;
use gantry_proto::containerd::services::content::v1::content_client::ContentClient;
use gantry_rpc::{Channel, Code, Coded, context, terms};
use gantry_types::{Digest, Labels, Namespace};
use prost_types::FieldMask;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tonic::Status;

use super::pace::Pace;
use super::stream::{Incoming, Upload};
use crate::seal::Proved;
use crate::settings::Plugin;
use crate::{Error, Result, layout};

/// The longest message, as containerd has it.
const MESSAGE_LIMIT: usize = 16 << 20;
/// Keeps what has it from a containerd's collection. Its value says whose it is.
const ROOT: &str = "containerd.io/gc.root";
/// How long after the end of an upload the store may still hold its lock.
const RETRY: Duration = Duration::from_millis(100);
/// How many blobs are fetched at a time.
const FETCHES: usize = 8;
const LOOK: &str = "look up a blob";
const LABEL: &str = "label a blob";
const DELETE: &str = "delete a blob";
const ABORT: &str = "abort an ingest";
pub(super) const READ: &str = "read a blob";
pub(super) const PUT: &str = "take a blob";

/// What became of a blob that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// The store has taken all bytes from us.
    Sent,
    /// The store had bytes of it from an earlier upload: they are to be read before they are trusted.
    Resumed,
    /// The store has such a blob already: likewise.
    Exists,
}

/// A content store of another program. It is connected to when it is first needed.
#[derive(Debug)]
pub(crate) struct Remote {
    /// Its name in the settings, for errors. It is never freed: plugins are few, and live as long as the process.
    name: &'static str,
    namespace: Namespace,
    channel: Channel,
    pub(super) pace: Pace,
    /// For the blobs that are fetched at a time.
    fetches: Semaphore,
}

impl Remote {
    /// The store that a plugin's settings name.
    pub(super) fn new(name: &str, plugin: &Plugin) -> Result<Self> {
        let namespace = plugin.namespace().map_err(Error::Settings)?;
        let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
        Ok(Self {
            name,
            namespace,
            // The limits depend on sizes, which a channel does not know.
            channel: Channel::unix(name, plugin.address.clone(), terms::open),
            pace: Pace::new(plugin.idle()),
            fetches: Semaphore::new(FETCHES),
        })
    }

    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    fn rpc(&self) -> ContentClient<Channel> {
        ContentClient::new(self.channel.clone())
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT)
    }

    fn request<T>(&self, message: T) -> tonic::Request<T> {
        context::with_namespace(message, &self.namespace)
    }

    pub(super) fn failed(&self, call: &'static str, status: Status) -> Error {
        Error::Remote(Failure { service: self.name, call, status: Box::new(status) })
    }

    pub(super) fn late(&self, call: &'static str, limit: Duration) -> Error {
        let late = format!("store {} has not done it within {limit:?}", self.name);
        self.failed(call, Status::deadline_exceeded(late))
    }

    /// A step of a call.
    pub(super) async fn step<T>(
        &self,
        call: &'static str,
        limit: Duration,
        answer: impl Future<Output = Result<T, Status>>,
    ) -> Result<T> {
        match tokio::time::timeout(limit, answer).await {
            Ok(answer) => answer.map_err(|status| self.failed(call, status)),
            Err(_) => Err(self.late(call, limit)),
        }
    }

    /// The labels of a blob there; `None` if there is none.
    pub(crate) async fn labels(&self, digest: &Digest) -> Result<Option<Labels>> {
        let request = self.request(pb::InfoRequest { digest: digest.to_string() });
        match self.step(LOOK, self.pace.step(), self.rpc().info(request)).await {
            Ok(answer) => {
                let info = answer.into_inner().info.unwrap_or_default();
                Ok(Some(Labels::from(info.labels)))
            }
            // Or a digest by an algorithm that the store does not know.
            Err(error) if matches!(error.code(), Code::NotFound | Code::InvalidArgument) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends a blob, or what is left of it to send, and has it committed with a note's mark.
    pub(crate) async fn put(&self, mark: &str, blob: &Proved) -> Result<Put> {
        self.wait(PUT, blob.size, self.try_put(mark, blob)).await
    }

    /// Waits for the turn to send a blob of so many bytes.
    pub(crate) async fn turn<T>(&self, size: u64, turn: impl Future<Output = T>) -> Result<T> {
        self.wait(PUT, size, async { Ok(turn.await) }).await
    }

    /// Fetches a blob of so many bytes, when it is its turn among the fetches from this store.
    pub(crate) async fn fetch<T>(&self, size: u64, fetch: impl Future<Output = Result<T>>) -> Result<T> {
        let fetch = async {
            // It is never closed.
            let _permit = self.fetches.acquire().await;
            fetch.await
        };
        self.wait(READ, size, fetch).await
    }

    /// The outcome of work with so many bytes, which has the time of one transfer, whomever it waits for.
    async fn wait<T>(
        &self,
        call: &'static str,
        size: u64,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let whole = self.pace.whole(size);
        tokio::time::timeout(whole, work).await.unwrap_or_else(|_| Err(self.late(call, whole)))
    }

    async fn try_put(&self, mark: &str, blob: &Proved) -> Result<Put> {
        let file = Arc::new(layout::open_read(&blob.path)?);
        let labels = Labels::from([(ROOT, value(mark))]);
        let Some(upload) = self.begin(mark, blob).await? else { return Ok(Put::Exists) };
        let resumed = upload.offset > 0;
        match upload.finish(self, blob, &file, &labels).await {
            Ok(()) if resumed => Ok(Put::Resumed),
            Ok(()) => Ok(Put::Sent),
            Err(error) if error.code() == Code::AlreadyExists => Ok(Put::Exists),
            // What the store has of it is not what we have.
            Err(error) if resumed && matches!(error.code(), Code::FailedPrecondition | Code::OutOfRange) => {
                self.abort(mark).await?;
                let Some(upload) = self.begin(mark, blob).await? else { return Ok(Put::Exists) };
                upload.finish(self, blob, &file, &labels).await.map(|()| Put::Resumed)
            }
            Err(error) => Err(error),
        }
    }

    /// Opens the ingest of an upload; `None` if the store has the blob. One that is cut off may keep its lock for a moment.
    async fn begin(&self, mark: &str, blob: &Proved) -> Result<Option<Upload>> {
        let until = Instant::now() + self.pace.step();
        loop {
            match Upload::begin(self, self.rpc(), &self.namespace, (&value(mark), blob)).await {
                Err(Error::Remote(failure))
                    if failure.code() == Code::Unavailable
                        && !failure.is_unanswered()
                        && Instant::now() < until =>
                {
                    tokio::time::sleep(RETRY).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Reads a blob of so many bytes.
    pub(super) async fn read(&self, digest: &Digest, size: u64) -> Result<Incoming<'_>> {
        Incoming::begin(self, self.rpc(), &self.namespace, digest, size).await
    }

    /// Keeps a blob of somebody else's from being collected, where nothing does.
    pub(crate) async fn pin(&self, digest: &Digest, mark: &str) -> Result<()> {
        match self.labels(digest).await? {
            Some(labels) if labels.contains_key(ROOT) => Ok(()),
            Some(_) => self.label(digest, value(mark)).await,
            None => Err(Error::Missing { store: self.name, digest: digest.clone() }),
        }
    }

    /// Whether a blob there is ours, as far as the store tells.
    pub(crate) async fn is_ours(&self, digest: &Digest, mark: &str) -> Result<bool> {
        Ok(self.labels(digest).await?.is_some_and(|labels| is_marked(&labels, mark) || labels.is_empty()))
    }

    /// Sets the label, or removes it by an empty value. A store without labels does not collect either.
    async fn label(&self, digest: &Digest, value: String) -> Result<()> {
        let labels = [(ROOT.to_owned(), value)].into();
        let info = pb::Info { digest: digest.to_string(), labels, ..Default::default() };
        let paths = vec![format!("labels.{ROOT}")];
        let request = pb::UpdateRequest { info: Some(info), update_mask: Some(FieldMask { paths }) };
        match self.step(LABEL, self.pace.step(), self.rpc().update(self.request(request))).await {
            Err(error) if is_away(&error) => Err(error),
            Err(error) => {
                tracing::debug!(store = self.name, %digest, error = %gantry_rpc::chain(&error), "not labelled");
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }

    /// Takes back what a note is about: the ingest and the blob, or the label of somebody else's blob.
    pub(crate) async fn release(&self, digest: &Digest, mark: &str, is_found: bool) -> Result<()> {
        if !is_found {
            self.abort(mark).await?;
        }
        let Some(labels) = self.labels(digest).await? else { return Ok(()) };
        match (is_found, is_marked(&labels, mark)) {
            (true, true) => self.label(digest, String::new()).await,
            (true, false) => Ok(()),
            // A store without labels does not say whose it is; the note does.
            (false, true) => self.delete(digest).await,
            (false, false) if labels.is_empty() => self.delete(digest).await,
            (false, false) => {
                tracing::info!(store = self.name, %digest, "left at the store: it is somebody else's");
                Ok(())
            }
        }
    }

    async fn delete(&self, digest: &Digest) -> Result<()> {
        let request = self.request(pb::DeleteContentRequest { digest: digest.to_string() });
        gone(self.step(DELETE, self.pace.step(), self.rpc().delete(request)).await)
    }

    async fn abort(&self, mark: &str) -> Result<()> {
        let request = self.request(pb::AbortRequest { r#ref: value(mark) });
        gone(self.step(ABORT, self.pace.step(), self.rpc().abort(request)).await)
    }
}

/// What a mark is at the store: the name of the ingest, and the value of the label.
fn value(mark: &str) -> String {
    format!("gantry-{mark}")
}

fn is_marked(labels: &Labels, mark: &str) -> bool {
    labels.get(ROOT).is_some_and(|root| *root == value(mark))
}

/// Whether the store did not answer, so that it may later.
pub(crate) fn is_away(error: &Error) -> bool {
    matches!(error.code(), Code::Unavailable | Code::DeadlineExceeded)
}

fn gone<T>(outcome: Result<T>) -> Result<()> {
    match outcome {
        Err(error) if error.code() == Code::NotFound => Ok(()),
        outcome => outcome.map(drop),
    }
}
