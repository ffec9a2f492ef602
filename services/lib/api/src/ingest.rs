//! The client of content's data socket: bytes of blobs and ingests as descriptors.
//! The contract is in `gantry/content/v1/content.proto`.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::time::Duration;

use gantry_proto::gantry::content::v1 as pb;
use gantry_rpc::data;
use gantry_types::{Digest, Namespace};
use prost::Message;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tonic::{Code, Status};

use crate::Peers;
pub use crate::content::Owner;
use crate::content::files::Wanted;

/// An ingest opened for writing. Dropping it keeps what was written, for the next writer to go on.
#[derive(Debug)]
pub struct Writer {
    peers: Peers,
    owner: Owner,
    request: pb::OpenIngest,
    stream: UnixStream,
    /// Closed before a commit: content hashes bytes that nobody can write any more, and would have to copy
    /// them away from a writer that stays.
    file: Option<File>,
    offset: u64,
}

impl Writer {
    /// Opens or resumes the ingest `reference`.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` when another writer holds it, `ALREADY_EXISTS` when the expected blob is there.
    pub async fn open(
        peers: &Peers,
        owner: &Owner,
        reference: &str,
        total: u64,
        expected: Option<&Digest>,
    ) -> Result<Self, Status> {
        let request = pb::OpenIngest {
            r#ref: reference.to_owned(),
            total: signed(total)?,
            expected: expected.map(ToString::to_string).unwrap_or_default(),
        };
        let (stream, file, offset) = open(peers, owner, &request).await?;
        Ok(Self { peers: peers.clone(), owner: owner.clone(), request, stream, file: Some(file), offset })
    }

    /// How many bytes are there already: where to go on writing.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The file to write into, with pwrite(2). Copies of it must be closed before a commit.
    ///
    /// # Panics
    ///
    /// After a commit that failed, until the ingest is truncated.
    pub fn file(&self) -> &File {
        self.file.as_ref().expect("a writer whose commit failed is truncated before it writes again")
    }

    /// Says that all bytes below `offset` are written.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` when content went away.
    pub async fn progress(&mut self, offset: u64) -> Result<(), Status> {
        self.offset = offset;
        let offset = signed(offset)?;
        self.send(pb::writer_message::Message::Progress(offset)).await
    }

    /// Throws the bytes away, to begin at offset 0 again.
    ///
    /// # Errors
    ///
    /// As content answers.
    pub async fn truncate(&mut self) -> Result<(), Status> {
        self.send(pb::writer_message::Message::Truncate(true)).await?;
        self.answer().await?;
        self.offset = 0;
        if self.file.is_none() {
            self.reopen().await?;
        }
        Ok(())
    }

    /// Opens the ingest again after a commit that failed. Content frees the ref when it sees that the old
    /// connection has ended, which may take a moment.
    async fn reopen(&mut self) -> Result<(), Status> {
        self.stream.shutdown().await.map_err(|error| gone(&error))?;
        let mut tries = 0;
        let (stream, file, offset) = loop {
            match open(&self.peers, &self.owner, &self.request).await {
                Err(status) if status.code() == Code::Unavailable && tries < 50 => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                result => break result?,
            }
        };
        (self.stream, self.file, self.offset) = (stream, Some(file), offset);
        Ok(())
    }

    /// Verifies and commits; the blob is durable when this returns.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` when size or digest differ (the ingest stays),
    /// `ALREADY_EXISTS` when another writer was first.
    pub async fn commit(
        &mut self,
        size: u64,
        expected: Option<&Digest>,
        labels: HashMap<String, String>,
    ) -> Result<pb::Committed, Status> {
        let commit = pb::Commit {
            size: signed(size)?,
            expected: expected.map(ToString::to_string).unwrap_or_default(),
            labels,
        };
        self.file = None;
        self.send(pb::writer_message::Message::Commit(commit)).await?;
        self.answer().await
    }

    /// Ends the ingest and removes its bytes.
    ///
    /// # Errors
    ///
    /// As content answers.
    pub async fn abort(mut self) -> Result<(), Status> {
        self.end().await
    }

    /// The same, of a writer that is kept.
    pub(crate) async fn end(&mut self) -> Result<(), Status> {
        self.send(pb::writer_message::Message::Abort(true)).await?;
        self.answer().await.map(drop)
    }

    async fn send(&mut self, message: pb::writer_message::Message) -> Result<(), Status> {
        let message = pb::WriterMessage { message: Some(message) };
        data::send(&mut self.stream, &message).await.map_err(|error| gone(&error))
    }

    async fn answer(&mut self) -> Result<pb::Committed, Status> {
        let answer: pb::Committed =
            data::receive(&mut self.stream).await.map_err(|error| gone(&error))?.ok_or_else(ended)?;
        match &answer.status {
            Some(status) if status.code != 0 => {
                Err(Status::new(Code::from_i32(status.code), status.message.clone()))
            }
            _ => Ok(answer),
        }
    }
}

/// What a follower is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Followed {
    /// Bytes below this offset may be read.
    Available(u64),
    /// All bytes are there, and proved.
    Committed {
        /// Of the blob.
        digest: String,
        /// Of the blob, bytes.
        size: u64,
    },
    /// What was read is worthless.
    Aborted(String),
}

/// A reader of bytes that may still be arriving.
#[derive(Debug)]
pub struct Follower {
    stream: UnixStream,
    begun_at: (u64, Option<u64>),
}

impl Follower {
    /// Follows the ingest `reference` or the blob `digest`, waiting at most `wait_millis` for either
    /// to appear. The file is to be read with pread(2), as far as [`next`](Self::next) says.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` when neither appeared.
    pub async fn open(
        peers: &Peers,
        owner: &Owner,
        reference: &str,
        digest: &Digest,
        wait_millis: u32,
    ) -> Result<(Self, File), Status> {
        let follow = pb::Follow { r#ref: reference.to_owned(), digest: digest.to_string(), wait_millis };
        Self::call(peers, owner, follow).await
    }

    /// Follows what is wanted.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` when it did not appear.
    pub(crate) async fn begin(
        peers: &Peers,
        namespace: &Namespace,
        wanted: &Wanted,
        wait: Duration,
    ) -> Result<(Self, File), Status> {
        let follow = pb::Follow {
            r#ref: wanted.reference().map(ToString::to_string).unwrap_or_default(),
            digest: wanted.digest().map(ToString::to_string).unwrap_or_default(),
            wait_millis: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX),
        };
        Self::call(peers, &Owner::of(namespace), follow).await
    }

    async fn call(peers: &Peers, owner: &Owner, follow: pb::Follow) -> Result<(Self, File), Status> {
        let (stream, detail, fd) = call(peers, owner, pb::data_request::Action::Follow(follow)).await?;
        let state = pb::IngestState::decode(detail.as_slice()).map_err(garbled)?;
        let total = u64::try_from(state.total).ok().filter(|total| *total > 0);
        let begun_at = (u64::try_from(state.offset).unwrap_or(0), total);
        Ok((Self { stream, begun_at }, fd.into()))
    }

    /// How many bytes there were then, and how many there are to be.
    pub(crate) fn begun_at(&self) -> (u64, Option<u64>) {
        self.begun_at
    }

    /// The next news.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` when content went away.
    pub async fn next(&mut self) -> Result<Followed, Status> {
        let message: pb::FollowerMessage =
            data::receive(&mut self.stream).await.map_err(|error| gone(&error))?.ok_or_else(ended)?;
        Ok(match message.message {
            Some(pb::follower_message::Message::Available(offset)) => {
                Followed::Available(u64::try_from(offset).unwrap_or(0))
            }
            Some(pb::follower_message::Message::Committed(committed)) => Followed::Committed {
                digest: committed.digest,
                size: u64::try_from(committed.size).unwrap_or(0),
            },
            Some(pb::follower_message::Message::Aborted(reason)) => Followed::Aborted(reason),
            None => return Err(ended()),
        })
    }
}

/// Opens a committed blob for reading; with its size in bytes.
///
/// # Errors
///
/// `NOT_FOUND` when the namespace has no such blob.
pub async fn open_blob(peers: &Peers, namespace: &Namespace, digest: &Digest) -> Result<(File, u64), Status> {
    let owner = Owner { namespace: namespace.clone(), lease: None };
    let action = pb::data_request::Action::OpenBlob(pb::OpenBlob { digest: digest.to_string() });
    let (_, detail, fd) = call(peers, &owner, action).await?;
    let state = pb::BlobState::decode(detail.as_slice()).map_err(garbled)?;
    Ok((fd.into(), u64::try_from(state.size).unwrap_or(0)))
}

async fn open(
    peers: &Peers,
    owner: &Owner,
    request: &pb::OpenIngest,
) -> Result<(UnixStream, File, u64), Status> {
    let action = pb::data_request::Action::OpenIngest(request.clone());
    let (stream, detail, fd) = call(peers, owner, action).await?;
    let state = pb::IngestState::decode(detail.as_slice()).map_err(garbled)?;
    Ok((stream, fd.into(), u64::try_from(state.offset).unwrap_or(0)))
}

async fn call(
    peers: &Peers,
    owner: &Owner,
    action: pb::data_request::Action,
) -> Result<(UnixStream, Vec<u8>, OwnedFd), Status> {
    let request = pb::DataRequest {
        namespace: owner.namespace.to_string(),
        lease: owner.lease.clone().unwrap_or_default(),
        action: Some(action),
    };
    let (stream, detail, mut fds) = peers.data("content", &request).await?;
    let fd = fds.pop().ok_or_else(|| Status::internal("content answered without a descriptor"))?;
    Ok((stream, detail, fd))
}

fn signed(value: u64) -> Result<i64, Status> {
    i64::try_from(value).map_err(|_| Status::invalid_argument(format!("a size of {value} bytes")))
}

fn garbled(error: prost::DecodeError) -> Status {
    Status::internal(format!("content's answer: {error}"))
}

fn gone(error: &std::io::Error) -> Status {
    Status::unavailable(format!("service content went away: {error}"))
}

fn ended() -> Status {
    Status::unavailable("service content went away")
}
