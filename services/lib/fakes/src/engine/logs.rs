//! Logs of the fake engine's containers.

use gantry_api::engine::LogQuery;
use std::io::ErrorKind;

use gantry_api::engine::containers::data::{self, Logs};
use gantry_rpc::Code;
use gantry_rpc::ending::Teller;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use super::Engine;
use super::container::Container;
use super::names::now;
use crate::Refused;

/// A line of the output without its newline.
#[derive(Debug, Clone)]
pub(super) struct Line {
    at: i64,
    text: String,
}

impl Line {
    pub(super) fn now(text: &str) -> Self {
        Self { at: now(), text: text.to_owned() }
    }

    /// The line in the form that is sent.
    fn bytes(&self, query: &LogQuery, tty: bool) -> Vec<u8> {
        let mut text = String::new();
        if query.timestamps {
            let time = chrono::DateTime::from_timestamp_nanos(self.at);
            text = format!("{} ", time.format("%Y-%m-%dT%H:%M:%S%.9fZ"));
        }
        text.push_str(&self.text);
        text.push('\n');
        let mut bytes = Vec::new();
        if !tty {
            // The frame's header: stdout, and the length of the line.
            bytes.extend([1, 0, 0, 0]);
            bytes.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
        }
        bytes.extend(text.as_bytes());
        bytes
    }
}

/// A log that will be or is being sent; counted while it exists.
#[derive(Debug)]
pub struct Lines {
    engine: Engine,
    id: String,
    query: LogQuery,
    tty: bool,
    /// Number of lines that were read.
    read: usize,
}

impl Logs for Engine {
    type Lines = Lines;

    async fn open_log(&self, query: LogQuery) -> Result<(bool, Lines), Refused> {
        self.edit(|state| {
            let container = state.find(&query.container)?;
            if container.log_driver() == "none" {
                return Err(Refused::new(Code::Unimplemented, &query.container, "it keeps no log"));
            }
            if !query.stdout && !query.stderr {
                return Err(Refused::new(Code::InvalidArgument, &query.container, "no stream is wanted"));
            }
            let tail = usize::try_from(query.tail).unwrap_or(usize::MAX);
            let read = container.printed.len().saturating_sub(tail);
            let (id, tty) = (container.id.clone(), container.spec.config.tty);
            state.telling += 1;
            Ok((tty, Lines { engine: self.clone(), id, query, tty, read }))
        })
    }
}

impl Lines {
    /// The next bytes to send; `None` at the end.
    async fn next(&mut self) -> Option<Vec<u8>> {
        let (query, tty) = (&self.query, self.tty);
        let (read, bytes) = self
            .engine
            .until(|state| {
                let container = state.by_id(&self.id);
                let ended = !query.follow || !container.as_deref().is_some_and(Container::has_process);
                let printed = container.map(|container| &container.printed[..]).unwrap_or_default();
                let new = printed.get(self.read..).unwrap_or_default();
                if new.is_empty() {
                    return ended.then_some((0, None));
                }
                // All lines are of stdout.
                let wanted = |line: &&Line| {
                    query.stdout && line.at >= query.since && (query.until == 0 || line.at <= query.until)
                };
                let bytes = new.iter().filter(wanted).flat_map(|line| line.bytes(query, tty)).collect();
                Some((new.len(), Some(bytes)))
            })
            .await;
        self.read += read;
        bytes
    }
}

impl data::Lines for Lines {
    type Error = Refused;

    async fn send(mut self, mut stream: UnixStream, teller: Teller) -> Result<(), Refused> {
        loop {
            let next = tokio::select! {
                next = self.next() => next,
                () = end_of(&stream) => return Ok(()),
            };
            match next {
                Some(bytes) => {
                    // The client has disconnected.
                    if stream.write_all(&bytes).await.is_err() {
                        return Ok(());
                    }
                }
                None => {
                    teller.is_whole();
                    return Ok(());
                }
            }
        }
    }
}

/// Waits for a client's end. It sends nothing before.
async fn end_of(stream: &UnixStream) {
    while stream.readable().await.is_ok() {
        match stream.try_read(&mut [0]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            _ => return,
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.engine.edit(|state| state.telling -= 1);
    }
}
