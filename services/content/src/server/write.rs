//! The stream of a write: one answer for each request, the ref's lock for as long as the stream lasts.

use futures::stream::Stream;
use gantry_proto::containerd::services::content::v1 as pb;
use gantry_proto::containerd::services::content::v1::WriteAction;
use gantry_types::{Digest, Namespace};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use tracing::Instrument;

use super::convert;
use crate::ingest::{Commit, IngestKey, Writer};
use crate::store::{IngestStatus, Store, Wish};
use crate::{Error, Result};

/// What the stream's headers said.
pub(super) struct Session {
    pub(super) store: Store,
    pub(super) namespace: Namespace,
    pub(super) lease: Option<String>,
}

type Answer = Result<pb::WriteContentResponse, Status>;

impl Session {
    /// Serves the stream in a task of its own, so that a commit that has begun comes to its end.
    pub(super) fn start(self, requests: Streaming<pb::WriteContentRequest>) -> impl Stream<Item = Answer> {
        let (answers, stream) = mpsc::channel(1);
        let conversation = async move {
            if let Err(status) = self.run(requests, &answers).await {
                // A client that went away does not need to know.
                let _ = answers.send(Err(status)).await;
            }
        };
        tokio::spawn(conversation.in_current_span());
        ReceiverStream::new(stream)
    }

    async fn run(
        self,
        mut requests: Streaming<pb::WriteContentRequest>,
        answers: &mpsc::Sender<Answer>,
    ) -> Result<(), Status> {
        let Some(first) = requests.message().await? else { return Ok(()) };
        let mut conversation = self.open(&first).await.map_err(gantry_rpc::status)?;
        let mut request = first;
        loop {
            let action = WriteAction::try_from(request.action).map_err(|_| {
                gantry_rpc::status(Error::BadNumber { field: "action", value: request.action.into() })
            })?;
            let answer = conversation.answer(action, request).await.map_err(gantry_rpc::status)?;
            if answers.send(Ok(answer)).await.is_err() || action == WriteAction::Commit {
                return Ok(());
            }
            request = match requests.message().await? {
                Some(next) => next,
                None => return Ok(()),
            };
        }
    }

    async fn open(self, first: &pb::WriteContentRequest) -> Result<Conversation> {
        let key = IngestKey::new(self.namespace, first.r#ref.clone())?;
        let expected = convert::optional_digest(&first.expected)?;
        let total = convert::number("total", first.total)?;
        let wish = Wish { total, expected: expected.clone(), lease: self.lease };
        let writer = self.store.open_ingest(key, wish).await?;
        Ok(Conversation { writer, expected })
    }
}

/// A stream whose ingest is open.
struct Conversation {
    writer: Writer,
    expected: Option<Digest>,
}

impl Conversation {
    async fn answer(
        &mut self,
        action: WriteAction,
        request: pb::WriteContentRequest,
    ) -> Result<pb::WriteContentResponse> {
        self.hear(&request).await?;
        let digest = match action {
            WriteAction::Stat => self.writer.digest().await?,
            WriteAction::Write => {
                self.write(&request).await?;
                self.writer.digest().await?
            }
            WriteAction::Commit => {
                self.write(&request).await?;
                let labels = request.labels.into();
                let commit = Commit { size: 0, expected: self.expected.clone(), labels };
                let info = self.writer.commit(commit).await?;
                self.writer.unlease().await;
                let mut answer = self.response(action, info.digest);
                answer.offset = convert::signed(info.size);
                return Ok(answer);
            }
        };
        Ok(self.response(action, digest))
    }

    /// Takes note of what any request may say of the blob.
    async fn hear(&mut self, request: &pb::WriteContentRequest) -> Result<()> {
        if let Some(expected) = convert::optional_digest(&request.expected)?
            && self.expected.as_ref() != Some(&expected)
        {
            self.writer.expect(expected.clone()).await?;
            self.expected = Some(expected);
        }
        let total = convert::number("total", request.total)?;
        if total > 0 {
            self.writer.expect_total(total);
        }
        Ok(())
    }

    /// An offset of 0 in front of bytes that are there means "from the start again".
    async fn write(&mut self, request: &pb::WriteContentRequest) -> Result<()> {
        let offset = convert::number("offset", request.offset)?;
        let current = self.writer.state().offset();
        if offset == 0 && current > 0 {
            self.writer.truncate().await?;
        } else if offset != current {
            let reference = self.writer.ingest().key.reference.clone();
            return Err(Error::WrongOffset { reference, offset, current });
        }
        self.writer.write(request.data.clone()).await
    }

    fn response(&self, action: WriteAction, digest: Digest) -> pb::WriteContentResponse {
        let status = IngestStatus::from(&**self.writer.ingest());
        pb::WriteContentResponse {
            action: action.into(),
            started_at: Some(status.started_at.into()),
            updated_at: Some(status.updated_at.into()),
            offset: convert::signed(status.offset),
            total: convert::signed(status.total),
            digest: digest.to_string(),
        }
    }
}
