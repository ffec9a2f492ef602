//! Streams that clients open beside a call: progress out, credentials to and fro, archives in and out.
//!
//! A client opens a stream under an id of its own choosing, is told that it is there, and names the id in a transfer.
//! A transfer that takes a stream has it alone; when the stream is dropped, the client's stream ends.
//!
//! ```text
//! opened ──take──> in use ──drop──> over
//!    └── the client goes away ───────^
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use prost_types::Any;
use tokio::sync::mpsc;

use crate::error::Error;

/// Messages each way that may wait for the other side.
const QUEUE: usize = 16;
/// Streams that no transfer has taken yet; more are refused.
const WAITING: usize = 1024;

/// A stream's name: namespaces have theirs each, and so have those who name none.
type Key = (String, String);

/// The streams that wait to be taken. A cheap clone.
#[derive(Clone, Debug, Default)]
pub struct Streams {
    /// Guards single edits of the map.
    waiting: Arc<Mutex<HashMap<Key, Stream>>>,
}

/// One end of a stream.
#[derive(Debug)]
pub struct Stream {
    incoming: mpsc::Receiver<Any>,
    outgoing: mpsc::Sender<Any>,
}

/// The client's end; dropped before it was taken, the stream is gone.
#[derive(Debug)]
pub struct Opened {
    streams: Streams,
    key: Key,
    /// Where the client's messages go; to be dropped when it has no more.
    to: Option<mpsc::Sender<Any>>,
    /// Where those for the client come from.
    pub from: mpsc::Receiver<Any>,
}

impl Streams {
    /// Makes a stream that can be taken.
    pub fn open(&self, namespace: &str, id: &str) -> Result<Opened, Error> {
        if id.is_empty() {
            return Err(Error::Request("a stream needs an id".into()));
        }
        let key = (namespace.to_owned(), id.to_owned());
        let (to, incoming) = mpsc::channel(QUEUE);
        let (outgoing, from) = mpsc::channel(QUEUE);
        let mut waiting = self.waiting.lock();
        if waiting.contains_key(&key) {
            return Err(Error::StreamExists(id.to_owned()));
        }
        if waiting.len() >= WAITING {
            return Err(Error::TooManyStreams(WAITING));
        }
        waiting.insert(key.clone(), Stream { incoming, outgoing });
        Ok(Opened { streams: self.clone(), key, to: Some(to), from })
    }

    /// Takes a stream.
    pub fn take(&self, namespace: &str, id: &str) -> Result<Stream, Error> {
        let key = (namespace.to_owned(), id.to_owned());
        let mut waiting = self.waiting.lock();
        waiting.remove(&key).ok_or_else(|| Error::NoStream(id.to_owned()))
    }
}

impl Opened {
    /// Where the client's messages go, once.
    pub fn take_input(&mut self) -> Option<mpsc::Sender<Any>> {
        self.to.take()
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let mut waiting = self.streams.waiting.lock();
        // One that was taken is not there any more, but another may be under its name.
        self.from.close();
        if waiting.get(&self.key).is_some_and(|stream| stream.outgoing.is_closed()) {
            waiting.remove(&self.key);
        }
    }
}

impl Stream {
    /// The client's next message; none when it has no more, or is gone.
    pub async fn next(&mut self) -> Option<Any> {
        self.incoming.recv().await
    }

    /// Sends to the client. Fails when it is gone.
    pub async fn send(&self, message: Any) -> Result<(), Error> {
        self.outgoing.send(message).await.map_err(|_| Error::Cancelled)
    }

    /// Sends to the client, unless it is behind.
    pub fn offer(&self, message: Any) {
        let _ = self.outgoing.try_send(message);
    }

    /// Waits until the client's connection has taken what was sent.
    pub async fn drained(&self) {
        let _ = self.outgoing.reserve_many(QUEUE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Any {
        Any { type_url: text.into(), value: Vec::new() }
    }

    #[tokio::test]
    async fn a_stream_is_taken_once_and_goes_both_ways() {
        let streams = Streams::default();
        let mut opened = streams.open("ns", "s").expect("free");
        assert!(matches!(streams.open("ns", "s"), Err(Error::StreamExists(_))));
        let _other = streams.open("other", "s").expect("another namespace's");
        let mut taken = streams.take("ns", "s").expect("there");
        assert!(matches!(streams.take("ns", "s"), Err(Error::NoStream(_))));
        let to = opened.take_input().expect("the first time");
        to.send(message("in")).await.expect("read");
        assert_eq!(taken.next().await, Some(message("in")));
        drop(to);
        assert_eq!(taken.next().await, None, "the client has no more, but listens");
        taken.send(message("out")).await.expect("read");
        assert_eq!(opened.from.recv().await, Some(message("out")));
        taken.drained().await;
        drop(taken);
        assert_eq!(opened.from.recv().await, None);
    }

    #[tokio::test]
    async fn one_whose_client_went_away_is_gone_but_not_its_successor() {
        let streams = Streams::default();
        drop(streams.open("ns", "s").expect("free"));
        assert!(matches!(streams.take("ns", "s"), Err(Error::NoStream(_))));
        let first = streams.open("ns", "s").expect("free");
        let taken = streams.take("ns", "s").expect("there");
        let _second = streams.open("ns", "s").expect("free again");
        drop((first, taken));
        assert!(streams.take("ns", "s").is_ok());
    }
}
