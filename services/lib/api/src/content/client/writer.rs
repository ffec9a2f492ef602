//! The client's end of a write: one request, one response.

use bytes::Bytes;
use gantry_proto::containerd::services::content::v1 as pb;
use gantry_proto::containerd::services::content::v1::WriteAction;
use gantry_proto::containerd::services::content::v1::content_client::ContentClient;
use gantry_rpc::{Channel, context};
use gantry_types::Digest;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::Failure;
use crate::call::Caller;
use crate::content::{self, Commit, Committed, Expected, IngestRef, Owner, Status, convert};
use crate::wire::{self, Invalid};

const CALL: &str = "take an ingest's bytes";
const COMMIT: &str = "commit an ingest";
/// The longest piece in one message: a quarter of a message's limit.
const PIECE: usize = 4 << 20;

/// The writer of an ingest, while the stream lasts.
#[derive(Debug)]
pub struct Writer {
    caller: Caller,
    requests: mpsc::Sender<pb::WriteContentRequest>,
    answers: Streaming<pb::WriteContentResponse>,
    status: Status,
    /// The digest of the bytes that are written.
    digest: Digest,
}

impl Writer {
    pub(super) async fn open(
        caller: Caller,
        mut rpc: ContentClient<Channel>,
        owner: &Owner,
        reference: &IngestRef,
        expected: Expected,
    ) -> Result<Self, Failure> {
        let (requests, stream) = mpsc::channel(1);
        let (total, digest) = convert::expected(&expected);
        let first = pb::WriteContentRequest {
            action: WriteAction::Stat.into(),
            r#ref: reference.to_string(),
            total,
            expected: digest,
            ..Default::default()
        };
        requests.try_send(first).expect("there is room for one");
        let request = ReceiverStream::new(stream);
        let request = context::with_lease(request, &owner.namespace, owner.lease.as_deref());
        let mut answers = caller.ask(CALL, rpc.write(request)).await?;
        let answer = caller.hear(CALL, next(&mut answers)).await?;
        let status = Status {
            reference: reference.clone(),
            offset: 0,
            expected,
            started_at: wire::moment(answer.started_at.as_ref()),
            updated_at: wire::moment(answer.updated_at.as_ref()),
        };
        let digest = Digest::sha256(b"");
        let mut writer = Self { caller, requests, answers, status, digest };
        writer.note(answer).map_err(caller.garbled(CALL))?;
        Ok(writer)
    }

    /// Sends a request and records the response.
    async fn ask(&mut self, action: WriteAction, request: pb::WriteContentRequest) -> Result<(), Failure> {
        let request = pb::WriteContentRequest { action: action.into(), ..request };
        let call = if action == WriteAction::Commit { COMMIT } else { CALL };
        let (requests, answers) = (&self.requests, &mut self.answers);
        let answer = async {
            // Sending fails when the service has ended the stream. The response then says why.
            let _ = requests.send(request).await;
            next(answers).await
        };
        let answer = self.caller.hear(call, answer).await?;
        self.note(answer).map_err(self.caller.garbled(call))
    }

    fn note(&mut self, answer: pb::WriteContentResponse) -> Result<(), Invalid> {
        self.status.offset = wire::number("offset", answer.offset)?;
        self.status.expected.total = wire::optional_number("total", answer.total)?;
        self.status.updated_at = wire::moment(answer.updated_at.as_ref());
        self.digest = wire::digest(&answer.digest)?;
        Ok(())
    }
}

async fn next(
    answers: &mut Streaming<pb::WriteContentResponse>,
) -> Result<pb::WriteContentResponse, tonic::Status> {
    answers.message().await?.ok_or_else(|| tonic::Status::unavailable("the stream has ended"))
}

impl content::Writer for Writer {
    type Error = Failure;

    fn status(&self) -> Status {
        self.status.clone()
    }

    async fn digest(&mut self) -> Result<Digest, Failure> {
        Ok(self.digest.clone())
    }

    async fn expect(&mut self, expected: Expected) -> Result<(), Failure> {
        let (total, digest) = convert::expected(&expected);
        let request = pb::WriteContentRequest { total, expected: digest, ..Default::default() };
        self.ask(WriteAction::Stat, request).await?;
        self.status.expected.digest = expected.digest.or(self.status.expected.digest.take());
        Ok(())
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), Failure> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let data = rest.split_to(rest.len().min(PIECE));
            let offset = wire::signed(self.status.offset);
            let request = pb::WriteContentRequest { offset, data, ..Default::default() };
            self.ask(WriteAction::Write, request).await?;
        }
        Ok(())
    }

    async fn truncate(&mut self) -> Result<(), Failure> {
        // A write at offset 0 discards the bytes.
        self.ask(WriteAction::Write, pb::WriteContentRequest::default()).await
    }

    async fn commit(&mut self, commit: Commit) -> Result<Committed, Failure> {
        let (total, expected) = convert::expected(&commit.expected);
        let request = pb::WriteContentRequest {
            offset: wire::signed(self.status.offset),
            total,
            expected,
            labels: commit.labels.into(),
            ..Default::default()
        };
        self.ask(WriteAction::Commit, request).await?;
        Ok(Committed { digest: self.digest.clone(), size: self.status.offset })
    }
}
