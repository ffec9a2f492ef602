//! The connection of an ingest's writer.

use std::fs::File;
use std::os::fd::AsFd;

use gantry_api::wire::{Invalid, number, optional_digest, signed};
use gantry_proto::gantry::content::v1 as pb;
use gantry_proto::gantry::content::v1::writer_message::Message;
use gantry_proto::gantry::rpc::v1 as rpc;
use gantry_rpc::{data, status};
use tokio::net::UnixStream;

use crate::ingest::{Commit, Writer};
use crate::{Error, Result};

/// An ingest that was opened, and the descriptor that goes to its writer.
pub(super) struct Session {
    pub(super) writer: Writer,
    pub(super) file: File,
}

impl Session {
    pub(super) async fn run(mut self, stream: &mut UnixStream) -> std::io::Result<()> {
        let state = self.writer.state();
        let detail = pb::IngestState { offset: signed(state.offset()), total: signed(state.total) };
        data::accept(stream, &detail, &[self.file.as_fd()]).await?;
        // Ours would count as a writer at the commit.
        drop(self.file);
        while let Some(message) = data::receive::<pb::WriterMessage>(stream).await? {
            let (answer, goes_on) = match message.message {
                Some(Message::Progress(offset)) => {
                    match number("progress", offset)
                        .map_err(Error::from)
                        .and_then(|offset| self.writer.progress(offset))
                    {
                        Ok(()) => continue,
                        // Progress has no answer of its own: the error ends the connection.
                        Err(error) => (Err(error), false),
                    }
                }
                Some(Message::Commit(commit)) => {
                    let answer = commit_as_asked(&mut self.writer, commit).await;
                    let stays = matches!(answer, Err(Error::WrongSize { .. } | Error::WrongDigest { .. }));
                    (answer, stays)
                }
                Some(Message::Truncate(_)) => {
                    (self.writer.truncate().await.map(|()| pb::Committed::default()), true)
                }
                Some(Message::Abort(_)) => {
                    (self.writer.abort().await.map(|()| pb::Committed::default()), false)
                }
                None => (Err(Invalid::Missing { field: "message" }.into()), false),
            };
            data::send(stream, &answer.unwrap_or_else(failed)).await?;
            if !goes_on {
                break;
            }
        }
        Ok(())
    }
}

async fn commit_as_asked(writer: &mut Writer, commit: pb::Commit) -> Result<pb::Committed> {
    let commit = Commit {
        size: number("size", commit.size)?,
        expected: optional_digest(&commit.expected)?,
        labels: commit.labels.into(),
    };
    let info = writer.commit(commit).await?;
    Ok(pb::Committed { status: None, digest: info.digest.to_string(), size: signed(info.size) })
}

fn failed(error: Error) -> pb::Committed {
    let status = status(error);
    let status = rpc::Status { code: status.code().into(), message: status.message().to_owned() };
    pb::Committed { status: Some(status), ..Default::default() }
}
