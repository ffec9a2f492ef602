//! The connection of a follower.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use gantry_proto::gantry::content::v1 as pb;
use gantry_proto::gantry::content::v1::follower_message::Message;
use gantry_rpc::data;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

use super::{Followed, Follower};
use crate::content::convert;
use crate::wire;

/// Hands out the file, and reports every change until the ingest or the connection ends.
pub(super) async fn run(stream: &mut UnixStream, mut follower: impl Follower, file: File) -> io::Result<()> {
    let (offset, total) = follower.begun_at();
    let detail = pb::IngestState { offset: wire::signed(offset), total: wire::signed(total.unwrap_or(0)) };
    data::accept(stream, &detail, &[file.as_fd()]).await?;
    drop(file);
    loop {
        let mut nothing = [0];
        let news = tokio::select! {
            news = follower.next() => news,
            // A follower sends nothing: the end of the stream is the end of the connection.
            _ = stream.read(&mut nothing) => return Ok(()),
        };
        let (message, last) = match news {
            Ok(Followed::Available(offset)) => (Message::Available(wire::signed(offset)), false),
            Ok(Followed::Committed(blob)) => (Message::Committed(convert::committed(&blob)), true),
            Ok(Followed::Aborted(reason)) => (Message::Aborted(reason), true),
            // The store ends, and with it the connection. The follower connects again.
            Err(error) => {
                tracing::debug!(%error, "a follower is left alone");
                return Ok(());
            }
        };
        data::send(stream, &pb::FollowerMessage { message: Some(message) }).await?;
        if last {
            return Ok(());
        }
    }
}
