//! The two streams of a store's: a blob that goes there, and one that comes back.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gantry_proto::containerd::services::content::v1 as pb;
use gantry_proto::containerd::services::content::v1::WriteAction;
use gantry_proto::containerd::services::content::v1::content_client::ContentClient;
use gantry_rpc::{Channel, Code, Coded, context};
use gantry_types::{Digest, Labels, Namespace};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::remote::{PUT, READ, Remote};
use crate::seal::Proved;
use crate::store::blocking;
use crate::{Error, Result};

/// Bytes that are sent at once.
const PIECE: u64 = 1 << 20;

/// An upload, from the first request to the commit. Dropping it leaves the bytes at the store.
pub(super) struct Upload {
    requests: mpsc::Sender<pb::WriteContentRequest>,
    answers: Streaming<pb::WriteContentResponse>,
    /// How many bytes the store has.
    pub(super) offset: u64,
}

impl Upload {
    /// Begins an upload, or goes on with one; `None` if the store has the blob.
    pub(super) async fn begin(
        remote: &Remote,
        mut rpc: ContentClient<Channel>,
        namespace: &Namespace,
        (reference, blob): (&str, &Proved),
    ) -> Result<Option<Self>> {
        let (requests, stream) = mpsc::channel(1);
        let first = pb::WriteContentRequest {
            action: WriteAction::Stat.into(),
            r#ref: reference.to_owned(),
            total: signed(blob.size),
            expected: blob.digest.to_string(),
            ..Default::default()
        };
        requests.try_send(first).expect("there is room for one");
        let opening = async {
            let request = context::with_namespace(ReceiverStream::new(stream), namespace);
            let mut answers = rpc.write(request).await?.into_inner();
            let answer = next(&mut answers).await?;
            Ok((answers, answer))
        };
        // A store that goes on with an earlier upload hashes what it has of it.
        match remote.step(PUT, remote.pace.work(blob.size), opening).await {
            Ok((answers, answer)) => {
                let offset = u64::try_from(answer.offset).unwrap_or(0);
                Ok(Some(Self { requests, answers, offset }))
            }
            Err(error) if error.code() == Code::AlreadyExists => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends what is left, and commits.
    pub(super) async fn finish(
        mut self,
        remote: &Remote,
        blob: &Proved,
        file: &Arc<File>,
        labels: &Labels,
    ) -> Result<()> {
        while self.offset < blob.size {
            let data = piece(file, self.offset..blob.size, blob).await?;
            let end = self.offset + data.len() as u64;
            let request = pb::WriteContentRequest {
                action: WriteAction::Write.into(),
                offset: signed(self.offset),
                data,
                ..Default::default()
            };
            let answer = self.ask(remote, remote.pace.step(), request).await?;
            if u64::try_from(answer.offset) != Ok(end) {
                let odd = format!("it is at {} after the byte {end}", answer.offset);
                return Err(remote.failed(PUT, Status::internal(odd)));
            }
            self.offset = end;
        }
        let request = pb::WriteContentRequest {
            action: WriteAction::Commit.into(),
            total: signed(blob.size),
            expected: blob.digest.to_string(),
            // Where an earlier upload has left more than the blob has, the store refuses to commit.
            offset: signed(self.offset),
            labels: labels.clone().into(),
            ..Default::default()
        };
        let answer = self.ask(remote, remote.pace.work(blob.size), request).await?;
        if answer.digest != blob.digest.as_str() {
            let odd = format!("it has committed {:?} for {}", answer.digest, blob.digest);
            return Err(remote.failed(PUT, Status::data_loss(odd)));
        }
        Ok(())
    }

    async fn ask(
        &mut self,
        remote: &Remote,
        limit: Duration,
        request: pb::WriteContentRequest,
    ) -> Result<pb::WriteContentResponse> {
        let answer = async {
            // Sending fails when the store has ended the stream. The response then says why.
            let _ = self.requests.send(request).await;
            next(&mut self.answers).await
        };
        remote.step(PUT, limit, answer).await
    }
}

async fn next(answers: &mut Streaming<pb::WriteContentResponse>) -> Result<pb::WriteContentResponse, Status> {
    answers.message().await?.ok_or_else(|| Status::unavailable("the stream has ended"))
}

async fn piece(file: &Arc<File>, part: std::ops::Range<u64>, blob: &Proved) -> Result<Bytes> {
    let (file, path) = (file.clone(), blob.path.clone());
    let length = usize::try_from((part.end - part.start).min(PIECE)).expect("a piece fits into memory");
    blocking(move || {
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, part.start).map_err(Error::io("read", path))?;
        Ok(bytes.into())
    })
    .await
}

/// A blob that comes back, in order.
pub(super) struct Incoming<'r> {
    remote: &'r Remote,
    answers: Streaming<pb::ReadContentResponse>,
    limit: Duration,
    until: Instant,
}

impl<'r> Incoming<'r> {
    pub(super) async fn begin(
        remote: &'r Remote,
        mut rpc: ContentClient<Channel>,
        namespace: &Namespace,
        digest: &Digest,
        size: u64,
    ) -> Result<Self> {
        let limit = remote.pace.whole(size);
        let until = Instant::now() + limit;
        let request = pb::ReadContentRequest { digest: digest.to_string(), ..Default::default() };
        let request = context::with_namespace(request, namespace);
        let answers = remote.step(READ, remote.pace.step(), rpc.read(request)).await?.into_inner();
        Ok(Self { remote, answers, limit, until })
    }

    /// The next bytes; `None` at the end. Never empty.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if Instant::now() >= self.until {
                return Err(self.remote.late(READ, self.limit));
            }
            let limit = self.remote.pace.step();
            match self.remote.step(READ, limit, self.answers.message()).await? {
                Some(message) if message.data.is_empty() => {}
                message => return Ok(message.map(|message| message.data)),
            }
        }
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
