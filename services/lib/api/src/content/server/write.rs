//! The stream of a write: one response for each request. The stream holds the ingest's writer.

use futures::stream::Stream;
use gantry_proto::containerd::services::content::v1 as pb;
use gantry_proto::containerd::services::content::v1::WriteAction;
use gantry_rpc::{Code, Coded, status};
use gantry_types::Digest;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::content::{Commit, Expected, IngestRef, Owner, Store, Writer, convert};
use crate::wire::{self, Invalid};

/// What the stream's headers say.
pub(super) struct Session<S> {
    pub(super) store: S,
    pub(super) owner: Owner,
}

type Answer = Result<pb::WriteContentResponse, Status>;

/// A write that does not begin where the ingest ends.
#[derive(Debug, thiserror::Error)]
#[error("ingest {reference:?}: a write at {offset} must occur at the current offset {current}", reference = reference.as_str())]
struct WrongOffset {
    reference: IngestRef,
    offset: u64,
    current: u64,
}

impl Coded for WrongOffset {
    fn code(&self) -> Code {
        Code::OutOfRange
    }
}

impl<S: Store + 'static> Session<S> {
    /// Serves the stream in a task of its own, so that a commit that has begun runs to its end.
    pub(super) fn start(
        self,
        requests: Streaming<pb::WriteContentRequest>,
    ) -> impl Stream<Item = Answer> + Send + use<S> {
        let (answers, stream) = mpsc::channel(1);
        let conversation = async move {
            if let Err(status) = self.run(requests, &answers).await {
                // A client that has disconnected does not need it.
                let _ = answers.send(Err(status)).await;
            }
        };
        gantry_rpc::carry::start(conversation);
        ReceiverStream::new(stream)
    }

    async fn run(
        self,
        mut requests: Streaming<pb::WriteContentRequest>,
        answers: &mpsc::Sender<Answer>,
    ) -> Result<(), Status> {
        let Some(first) = requests.message().await? else { return Ok(()) };
        let mut conversation = self.open(&first).await?;
        let mut request = first;
        loop {
            let action = WriteAction::try_from(request.action)
                .map_err(|_| status(Invalid::Number { field: "action", value: request.action.into() }))?;
            let answer = conversation.answer(action, request).await?;
            if answers.send(Ok(answer)).await.is_err() || action == WriteAction::Commit {
                return Ok(());
            }
            request = match requests.message().await? {
                Some(next) => next,
                None => return Ok(()),
            };
        }
    }

    async fn open(self, first: &pb::WriteContentRequest) -> Result<Conversation<S::Writer>, Status> {
        let reference = IngestRef::try_from(first.r#ref.clone()).map_err(status)?;
        let expected = convert::parse_expected(first.total, &first.expected).map_err(status)?;
        let known = expected.digest.clone();
        let writer = self.store.open(&self.owner, &reference, expected).await.map_err(status)?;
        Ok(Conversation { writer, known })
    }
}

/// A stream with an open ingest.
struct Conversation<W> {
    writer: W,
    /// The digest that the client has sent.
    known: Option<Digest>,
}

impl<W: Writer> Conversation<W> {
    async fn answer(&mut self, action: WriteAction, request: pb::WriteContentRequest) -> Answer {
        self.hear(&request).await?;
        match action {
            WriteAction::Stat => {}
            WriteAction::Write => self.write(&request).await?,
            WriteAction::Commit => {
                self.write(&request).await?;
                let expected = Expected { total: None, digest: self.known.clone() };
                let commit = Commit { expected, labels: request.labels.into() };
                let blob = self.writer.commit(commit).await.map_err(status)?;
                let answer = self.response(action, blob.digest);
                return Ok(pb::WriteContentResponse { offset: wire::signed(blob.size), ..answer });
            }
        }
        let digest = self.writer.digest().await.map_err(status)?;
        Ok(self.response(action, digest))
    }

    /// Records the expectations of a request.
    async fn hear(&mut self, request: &pb::WriteContentRequest) -> Result<(), Status> {
        let mut said = convert::parse_expected(request.total, &request.expected).map_err(status)?;
        if said.digest == self.known {
            said.digest = None;
        }
        if said == Expected::default() {
            return Ok(());
        }
        let known = said.digest.clone();
        self.writer.expect(said).await.map_err(status)?;
        self.known = known.or(self.known.take());
        Ok(())
    }

    /// An offset of 0 below the bytes that are written means "from the start again".
    async fn write(&mut self, request: &pb::WriteContentRequest) -> Result<(), Status> {
        let offset = wire::number("offset", request.offset).map_err(status)?;
        let now = self.writer.status();
        if offset == 0 && now.offset > 0 {
            self.writer.truncate().await.map_err(status)?;
        } else if offset != now.offset {
            return Err(status(WrongOffset { reference: now.reference, offset, current: now.offset }));
        }
        self.writer.write(request.data.clone()).await.map_err(status)
    }

    fn response(&self, action: WriteAction, digest: Digest) -> pb::WriteContentResponse {
        let now = self.writer.status();
        pb::WriteContentResponse {
            action: action.into(),
            started_at: Some(now.started_at.into()),
            updated_at: Some(now.updated_at.into()),
            offset: wire::signed(now.offset),
            total: wire::signed(now.expected.total.unwrap_or(0)),
            digest: digest.to_string(),
        }
    }
}
