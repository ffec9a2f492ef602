//! The client of content's data socket: bytes of blobs and ingests as descriptors.
//! The contract is in `gantry/content/v1/content.proto`.
//!
//! Transfers have no time limit. Every other wait ends when the service shows no sign of life.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::time::Duration;

use gantry_proto::gantry::content::v1 as pb;
use gantry_rpc::Channel;
use gantry_rpc::data::{self, Received};
use gantry_types::{Digest, Namespace};
use prost::Message;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tonic::{Code, Status};

use crate::Peers;
pub use crate::content::Owner;
use crate::content::files::Wanted;

/// An ingest opened for writing. Dropping it keeps what was written, so that the next writer continues there.
#[derive(Debug)]
pub struct Writer {
    peers: Peers,
    owner: Owner,
    request: pb::OpenIngest,
    stream: UnixStream,
    /// Closed before a commit: content hashes the file after the last writer has closed it; if a writer keeps it
    /// open, content has to copy the bytes first.
    file: Option<File>,
    offset: u64,
}

impl Writer {
    /// Opens or resumes the ingest `reference`.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` when another writer holds it, `ALREADY_EXISTS` when the expected blob exists.
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

    /// Number of bytes that are written: the offset at which to continue.
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

    /// Reports that all bytes below `offset` are written.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` when content has gone.
    pub async fn progress(&mut self, offset: u64) -> Result<(), Status> {
        self.offset = offset;
        let offset = signed(offset)?;
        self.send(pb::writer_message::Message::Progress(offset)).await
    }

    /// Discards the bytes, so that writing begins at offset 0 again.
    ///
    /// # Errors
    ///
    /// Content's error.
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
    /// Content's error.
    pub async fn abort(mut self) -> Result<(), Status> {
        self.end().await
    }

    /// As [`Self::abort`], for a writer that is kept.
    pub(crate) async fn end(&mut self) -> Result<(), Status> {
        self.send(pb::writer_message::Message::Abort(true)).await?;
        self.answer().await.map(drop)
    }

    async fn send(&mut self, message: pb::writer_message::Message) -> Result<(), Status> {
        let message = pb::WriterMessage { message: Some(message) };
        let sending = async { data::send(&mut self.stream, &message).await.map_err(|error| gone(&error)) };
        self.peers.channel("content").while_alive(sending).await
    }

    async fn answer(&mut self) -> Result<pb::Committed, Status> {
        let answering =
            async { data::receive(&mut self.stream).await.map_err(|error| gone(&error))?.ok_or_else(ended) };
        let answer: pb::Committed = self.peers.channel("content").while_alive(answering).await?;
        match &answer.status {
            Some(status) if status.code != 0 => {
                Err(Status::new(Code::from_i32(status.code), status.message.clone()))
            }
            _ => Ok(answer),
        }
    }
}

/// A report to a follower.
#[derive(Debug, Clone, PartialEq)]
pub enum Followed {
    /// Bytes below this offset may be read.
    Available(u64),
    /// The blob is committed.
    Committed {
        /// Digest of the blob.
        digest: String,
        /// Size of the blob, bytes.
        size: u64,
    },
    /// The bytes that were read must be discarded.
    Aborted(String),
}

/// A reader of bytes that may still arrive.
#[derive(Debug)]
pub struct Follower {
    channel: Channel,
    stream: UnixStream,
    received: Received,
    begun_at: (u64, Option<u64>),
}

impl Follower {
    /// Follows the ingest `reference` or the blob `digest`, and waits at most `wait_millis` for either to appear. The
    /// caller reads the file with pread(2), as far as [`next`](Self::next) reports.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` when neither has appeared.
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

    /// Follows an ingest or blob.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` when it has not appeared.
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
        let channel = peers.channel("content");
        Ok((Self { channel, stream, received: Received::default(), begun_at }, fd.into()))
    }

    /// Number of bytes at the beginning, and their total if it is known.
    pub(crate) fn begun_at(&self) -> (u64, Option<u64>) {
        self.begun_at
    }

    /// The next report. May be cancelled and called again.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` when content has gone, or shows no sign of life.
    pub async fn next(&mut self) -> Result<Followed, Status> {
        let receiving = async {
            let message = self.received.message(&mut self.stream).await;
            message.map_err(|error| gone(&error))?.ok_or_else(ended)
        };
        let message: pb::FollowerMessage = self.channel.while_alive(receiving).await?;
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

/// Opens a committed blob for reading. Returns the file and its size in bytes.
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

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;

    use super::*;

    /// A service that is stopped: the kernel accepts its connections, and no process answers.
    fn stopped(run: &std::path::Path) -> [UnixListener; 2] {
        ["content.sock", "content-data.sock"].map(|name| UnixListener::bind(run.join(name)).unwrap())
    }

    fn owner() -> Owner {
        Owner::of(&Namespace::moby())
    }

    async fn hand_out(data: &UnixListener, state: pb::IngestState) -> UnixStream {
        use std::os::fd::AsFd;
        let (mut stream, _) = data.accept().await.unwrap();
        data::receive::<pb::DataRequest>(&mut stream).await.unwrap().unwrap();
        let file = tempfile::tempfile().unwrap();
        data::accept(&mut stream, &state, &[file.as_fd()]).await.unwrap();
        stream
    }

    #[tokio::test(start_paused = true)]
    async fn a_follower_of_a_service_that_hangs_is_told_so() {
        let run = tempfile::tempdir_in("/dev/shm").unwrap();
        let [_grpc, data] = stopped(run.path());
        let peers = Peers::new(run.path());
        let (owner, digest) = (owner(), Digest::sha256(b""));
        let (followed, mut service) = tokio::join!(
            Follower::open(&peers, &owner, "r", &digest, 0),
            hand_out(&data, pb::IngestState::default())
        );
        let (mut follower, _file) = followed.unwrap();
        let available = pb::follower_message::Message::Available(7);
        let message = pb::FollowerMessage { message: Some(available) };
        data::send(&mut service, &message).await.unwrap();
        assert_eq!(follower.next().await.unwrap(), Followed::Available(7));

        let begun = tokio::time::Instant::now();
        let status = follower.next().await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        assert!(status.message().starts_with("service content is away"), "{status}");
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_writer_to_a_service_that_hangs_is_told_so() {
        let run = tempfile::tempdir_in("/dev/shm").unwrap();
        let [_grpc, data] = stopped(run.path());
        let peers = Peers::new(run.path());
        let owner = owner();
        let (opened, _service) = tokio::join!(
            Writer::open(&peers, &owner, "r", 0, None),
            hand_out(&data, pb::IngestState::default())
        );
        let mut writer = opened.unwrap();
        // No process reads them, so the socket's buffer fills up.
        let mut offset = 0;
        let status = loop {
            offset += 1;
            if let Err(status) = writer.progress(offset).await {
                break status;
            }
        };
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        let status = writer.commit(1, None, HashMap::new()).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status}");
    }
}
