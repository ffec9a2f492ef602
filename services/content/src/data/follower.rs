//! The connection of a follower.

use std::os::fd::AsFd;

use gantry_api::wire::signed;
use gantry_proto::gantry::content::v1 as pb;
use gantry_proto::gantry::content::v1::follower_message::Message;
use gantry_rpc::data;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::sync::watch;

use crate::ingest::{Fate, State};
use crate::store::Followed;

/// What was found to follow.
pub(super) struct Session(pub(super) Followed);

impl Session {
    pub(super) async fn run(self, stream: &mut UnixStream) -> std::io::Result<()> {
        match self.0 {
            Followed::Blob { file, info } => {
                let size = signed(info.size);
                data::accept(stream, &pb::IngestState { offset: size, total: size }, &[file.as_fd()]).await?;
                send(stream, Message::Available(size)).await?;
                send(stream, committed(info.digest.as_str(), info.size)).await
            }
            Followed::Ingest { file, state, news } => {
                let detail = pb::IngestState { offset: signed(state.offset()), total: signed(state.total) };
                data::accept(stream, &detail, &[file.as_fd()]).await?;
                drop(file);
                tell(stream, &state, news).await
            }
        }
    }
}

/// Tells the follower of every change, until the end of the ingest or of the connection.
async fn tell(
    stream: &mut UnixStream,
    opened: &State,
    mut news: watch::Receiver<State>,
) -> std::io::Result<()> {
    let mut told = None;
    loop {
        let state = news.borrow_and_update().clone();
        let offset = available(opened, &state);
        if let Some(end) = end(opened, &state, offset) {
            if let (Message::Committed(committed), true) = (&end, told < Some(offset)) {
                send(stream, Message::Available(committed.size)).await?;
            }
            return send(stream, end).await;
        }
        if told < Some(offset) {
            send(stream, Message::Available(signed(offset))).await?;
            told = Some(offset);
        }
        let mut nothing = [0];
        tokio::select! {
            changed = news.changed() => if changed.is_err() { return Ok(()) },
            // A follower has nothing to say: this is its end.
            _ = stream.read(&mut nothing) => return Ok(()),
        }
    }
}

/// The bytes that are there for one who opened the ingest in that state: the blob's, if it was bound, else the file's.
fn available(opened: &State, now: &State) -> u64 {
    opened.bound.unwrap_or(now.written)
}

fn end(opened: &State, now: &State, offset: u64) -> Option<Message> {
    let aborted = |reason: &str| Some(Message::Aborted(reason.to_owned()));
    if now.generation != opened.generation {
        return aborted("truncated");
    }
    match &now.fate {
        Fate::New | Fate::Live => None,
        // The blob came from elsewhere, so the file that the follower has open is not all of it.
        Fate::Committed { size, .. } if opened.bound.is_none() && now.bound.is_some() && offset != *size => {
            aborted("the blob came from elsewhere: follow again")
        }
        Fate::Committed { digest, size } => Some(committed(digest.as_str(), *size)),
        Fate::Gone(reason) => aborted(reason),
    }
}

fn committed(digest: &str, size: u64) -> Message {
    Message::Committed(pb::Committed { status: None, digest: digest.to_owned(), size: signed(size) })
}

async fn send(stream: &mut UnixStream, message: Message) -> std::io::Result<()> {
    data::send(stream, &pb::FollowerMessage { message: Some(message) }).await
}
