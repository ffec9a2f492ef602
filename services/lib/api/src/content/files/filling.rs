//! The connection of an ingest's writer.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use gantry_proto::gantry::content::v1 as pb;
use gantry_proto::gantry::content::v1::writer_message::Message;
use gantry_proto::gantry::rpc::v1 as rpc;
use gantry_rpc::{Code, code_of, data, status};
use tokio::net::UnixStream;
use tonic::Status;

use super::Filler;
use crate::content::{Commit, convert};
use crate::wire::{self, Invalid};

/// Hands out the file, and carries out the messages of its holder.
pub(super) async fn run(stream: &mut UnixStream, mut filler: impl Filler, file: File) -> io::Result<()> {
    let (offset, total) = filler.extent();
    let detail = pb::IngestState { offset: wire::signed(offset), total: wire::signed(total.unwrap_or(0)) };
    data::accept(stream, &detail, &[file.as_fd()]).await?;
    // An open file of this process would count as a writer at the commit.
    drop(file);
    while let Some(message) = data::receive::<pb::WriterMessage>(stream).await? {
        let (answer, goes_on) = match message.message {
            Some(Message::Progress(offset)) => match progress(&mut filler, offset).await {
                Ok(()) => continue,
                // Progress has no response: an error ends the connection.
                Err(status) => (Err(status), false),
            },
            Some(Message::Commit(request)) => {
                let answer = commit(&mut filler, request).await;
                let stays = answer.as_ref().is_err_and(|e| code_of(e) == Code::FailedPrecondition);
                (answer, stays)
            }
            Some(Message::Truncate(_)) => (done(filler.truncate().await.map_err(status)), true),
            Some(Message::Abort(_)) => (done(filler.abort().await.map_err(status)), false),
            None => (Err(status(Invalid::Missing { field: "message" })), false),
        };
        data::send(stream, &answer.unwrap_or_else(failed)).await?;
        if !goes_on {
            break;
        }
    }
    Ok(())
}

async fn progress(filler: &mut impl Filler, offset: i64) -> Result<(), Status> {
    let offset = wire::number("progress", offset).map_err(status)?;
    filler.progress(offset).await.map_err(status)
}

async fn commit(filler: &mut impl Filler, request: pb::Commit) -> Result<pb::Committed, Status> {
    let size = wire::optional_number("size", request.size).map_err(status)?;
    let mut expected = convert::parse_expected(0, &request.expected).map_err(status)?;
    expected.total = size;
    let commit = Commit { expected, labels: request.labels.into() };
    let blob = filler.commit(commit).await.map_err(status)?;
    Ok(convert::committed(&blob))
}

fn done(outcome: Result<(), Status>) -> Result<pb::Committed, Status> {
    outcome.map(|()| pb::Committed::default())
}

fn failed(status: Status) -> pb::Committed {
    let status = rpc::Status { code: status.code().into(), message: status.message().to_owned() };
    pb::Committed { status: Some(status), ..Default::default() }
}
