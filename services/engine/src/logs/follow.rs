//! Sends a log, and what is added to it while its container runs.
//!
//! The end is decided in this order: the container is seen to have ended, then the log is read to its end once more. What
//! the shim wrote before it reported the exit is therefore always sent.

use std::sync::Arc;
use std::time::Duration;

use gantry_api::engine::LogQuery;
use gantry_rpc::ending::Teller;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use super::driver::Reading;
use super::frame::Format;
use super::reader::{Reader, Step};
use crate::container::Container;
use crate::container::create::blocking;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::time;

/// What is gathered before it is sent.
const BATCH: usize = 512 * 1024;
/// Between looks at a log that has just grown, and at one that has not for a while.
const SHORTEST_PAUSE: Duration = Duration::from_millis(4);
const LONGEST_PAUSE: Duration = Duration::from_millis(40);

/// A log that is about to be sent.
pub struct Sending {
    container: Arc<Container>,
    reader: Reader,
    format: Format,
    follow: bool,
}

impl Engine {
    /// Opens a container's log where the client wants to begin. The first value tells whether it is a terminal's: its lines
    /// are sent as they are.
    pub async fn open_log(&self, request: &LogQuery) -> Result<(bool, Sending)> {
        let container = self.index.find(&request.container)?;
        let record = container.record();
        let options = record.host.log_config.as_ref().map(|log| log.config.clone()).unwrap_or_default();
        match self.log_drivers.of(&record)?.reading(&options) {
            Reading::Kept => {}
            Reading::Nobody => {
                return Err(Error::NotBuilt("configured logging driver does not support reading".to_owned()));
            }
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
        let lines = u64::try_from(request.tail).ok();
        let path = self.paths.log(container.id());
        let reader = blocking(move || {
            Reader::open(&path, lines).map_err(|source| Error::io("open log", path, source))
        })
        .await?;
        Ok((record.config.tty, Sending { container, reader, format, follow: request.follow }))
    }
}

impl Sending {
    /// Sends until the log or the client ends; the end of the log is told.
    pub async fn run(self, mut stream: UnixStream, teller: &Teller) -> Result<()> {
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
                // The client sends nothing: what can be read is its end.
                _ = stream.readable() => if is_closed(&stream) { return Ok(()) },
            }
            if format.until.is_some_and(|until| time::now() > until) && pause == LONGEST_PAUSE {
                break;
            }
        }
        teller.is_whole();
        // The client sees the end; whether it does is no longer our concern.
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

async fn send(stream: &mut UnixStream, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(bytes).await
}

fn is_closed(stream: &UnixStream) -> bool {
    let mut byte = [0];
    match stream.try_read(&mut byte) {
        Ok(0) => true,
        Ok(_) => false,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}
