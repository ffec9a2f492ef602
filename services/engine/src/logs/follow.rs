//! Sends a log, and its new lines while the container runs.
//!
//! The end is decided in this order: the engine sees that the container has ended, and then reads the log to its end
//! once more. So it always sends what the shim wrote before it reported the exit.

use std::sync::Arc;
use std::time::Duration;

use gantry_api::engine::LogQuery;
use gantry_rpc::ending::Teller;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use super::Logs;
use super::driver::Reading;
use super::frame::Format;
use super::reader::{Reader, Step};
use super::relay::Relay;
use crate::blocking::blocking;
use crate::container::Container;
use crate::containers::Containers;
use crate::error::{Error, Result};
use crate::time;

/// Bytes that are collected before they are sent.
const BATCH: usize = 512 * 1024;
/// Time between two looks at a log that has just grown, and at one that has not grown for a while.
const SHORTEST_PAUSE: Duration = Duration::from_millis(4);
const LONGEST_PAUSE: Duration = Duration::from_millis(40);

/// A log that will be sent.
pub enum Opened {
    /// The shim's file.
    Kept(Sending),
    /// The log of a driver that reads it back.
    Theirs(Box<Relay>),
}

/// A log that the shim has written.
pub struct Sending {
    container: Arc<Container>,
    reader: Reader,
    format: Format,
    follow: bool,
}

impl Logs {
    /// Opens a container's log where the client wants to begin. The first value says whether the container has a
    /// terminal: its lines are then sent without frames.
    pub async fn open(&self, containers: &Containers, request: &LogQuery) -> Result<(bool, Opened)> {
        let container = containers.find(&request.container)?;
        let record = container.record();
        let reading = self.drivers.of(&record)?.reading(&record).await;
        if matches!(reading, Reading::Nobody) {
            return Err(Error::NotBuilt("configured logging driver does not support reading".to_owned()));
        }
        if !request.stdout && !request.stderr {
            return Err(Error::Invalid("Bad parameters: you must choose at least one stream".to_owned()));
        }
        let format = Format {
            stdout: request.stdout,
            stderr: request.stderr,
            timestamps: request.timestamps,
            details: request.details,
            raw: record.config.tty,
            since: Some(request.since).filter(|since| *since > 0),
            until: Some(request.until).filter(|until| *until > 0),
        };
        let tty = record.config.tty;
        if let Reading::Theirs(theirs) = reading {
            let follow = request.follow && container.life().has_process();
            let query = LogQuery { follow, ..request.clone() };
            let relay = Relay { logs: self.clone(), container, theirs, query, format };
            return Ok((tty, Opened::Theirs(Box::new(relay))));
        }
        let lines = u64::try_from(request.tail).ok();
        let path = self.paths.log(container.id());
        let reader = blocking(move || {
            Reader::open(&path, lines).map_err(|source| Error::io("open log", path, source))
        })
        .await?;
        Ok((tty, Opened::Kept(Sending { container, reader, format, follow: request.follow })))
    }
}

impl Opened {
    /// Sends until the log or the client ends. `teller` reports the end of the log.
    pub async fn run(self, stream: UnixStream, teller: &Teller) -> Result<()> {
        match self {
            Opened::Kept(sending) => sending.run(stream, teller).await,
            Opened::Theirs(relay) => relay.run(stream, teller).await,
        }
    }
}

impl Sending {
    /// Sends until the log or the client ends. `teller` reports the end of the log.
    async fn run(self, mut stream: UnixStream, teller: &Teller) -> Result<()> {
        let Sending { container, mut reader, format, follow } = self;
        let mut watch = container.watch();
        let mut pause = SHORTEST_PAUSE;
        let mut out = Vec::with_capacity(BATCH + BATCH / 2);
        loop {
            let ended = !follow || {
                let life = watch.borrow_and_update();
                life.is_removed() || !life.has_process()
            };
            let step;
            (reader, out, step) = read_batch(reader, out, format.clone()).await?;
            if !out.is_empty() {
                pause = SHORTEST_PAUSE;
                if send(&mut stream, &out).await.is_err() {
                    return Ok(());
                }
                out.clear();
            }
            match step {
                Step::More => continue,
                Step::Past => break,
                Step::CaughtUp if ended => break,
                Step::CaughtUp => {}
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                _ = watch.changed() => {}
                // The client sends nothing, so a readable socket means that the client has closed it.
                _ = stream.readable() => if is_closed(&stream) { return Ok(()) },
            }
            if format.until.is_some_and(|until| time::now() > until) && pause == LONGEST_PAUSE {
                break;
            }
        }
        teller.is_whole();
        // The client may have gone already; a failure changes nothing.
        let _ = stream.shutdown().await;
        Ok(())
    }
}

async fn read_batch(mut reader: Reader, mut out: Vec<u8>, format: Format) -> Result<(Reader, Vec<u8>, Step)> {
    blocking(move || {
        loop {
            let step = reader.step(&format, &mut out)?;
            if step != Step::More || out.len() >= BATCH {
                return Ok((reader, out, step));
            }
        }
    })
    .await
}

pub(super) async fn send(stream: &mut UnixStream, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(bytes).await
}

pub(super) fn is_closed(stream: &UnixStream) -> bool {
    let mut byte = [0];
    match stream.try_read(&mut byte) {
        Ok(0) => true,
        Ok(_) => false,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}
