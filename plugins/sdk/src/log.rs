//! Containers' logs: what a driver of them does, and the methods that it becomes.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use gantry_http::BodyError;
use gantry_plugin::wire::log::{
    Capabilities, CapabilitiesResponse, Frames, ReadRequest, StartRequest, StopRequest,
};
pub use gantry_plugin::wire::log::{Entry, Info, Piece, ReadConfig};
use gantry_plugin::{interface, wire::Nothing};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use parking_lot::Mutex;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::{OpenOptions, Receiver};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::{Error, Result};
use crate::server::Server;

/// An engine that told of a FIFO opens it within this.
const OPENING: Duration = Duration::from_secs(60);
/// What is still in a FIFO when its engine says that this is all has to come within this.
const REST: Duration = Duration::from_secs(5);
/// Between looks whether it has.
const LOOK: Duration = Duration::from_millis(10);
/// Bytes that are read at once.
const CHUNK: usize = 16 * 1024;

/// What takes one container's log.
///
/// A process that is killed ends without [`Log::end`]: what must not be lost then is to be safe when `take` returns. A server that
/// ends calls it, and waits ten seconds.
pub trait Log: Send + 'static {
    /// Takes an entry. The next one is read when this has returned: a driver that waits lets the engine wait, which keeps
    /// the lines.
    fn take(&mut self, entry: Entry) -> impl Future<Output = ()> + Send;

    /// There are no more: the container has ended, or the engine goes on with another FIFO.
    fn end(self) -> impl Future<Output = ()> + Send;
}

/// A driver of logs.
///
/// ```text
/// start ──> Log::take, for each entry ──> Log::end
/// ```
///
/// A container's log may be started twice at once: the engine that began with the first one may have died.
pub trait Driver: Send + Sync + 'static {
    /// What takes a container's log.
    type Log: Log;

    /// Begins with a container's log. Its options are what the user typed: what is wrong with them is to be said here, and
    /// the container does not start.
    fn start(&self, info: Info) -> impl Future<Output = Result<Self::Log>> + Send;

    /// Whether it can tell what it has taken; else the engine keeps lines for those who want to read them.
    fn can_read(&self) -> bool {
        false
    }

    /// What a container has said, and with `follow` also what it will say.
    fn read(
        &self,
        info: Info,
        _config: ReadConfig,
    ) -> impl Future<Output = Result<BoxStream<'static, Result<Entry>>>> + Send {
        async move { Err(Error::about(info.container_id, "logs cannot be read back")) }
    }
}

/// The logs that are being taken.
#[derive(Clone)]
struct Running {
    /// By their FIFOs. Guards single edits.
    stops: Arc<Mutex<BTreeMap<String, CancellationToken>>>,
    tasks: TaskTracker,
    ending: CancellationToken,
}

impl Server {
    /// Serves a driver of logs.
    #[must_use]
    pub fn logs<D: Driver>(self, driver: D) -> Server {
        let driver = Arc::new(driver);
        let running =
            Running { stops: Arc::default(), tasks: self.tasks.clone(), ending: self.ending.clone() };
        let (starting, reading) = (Arc::clone(&driver), Arc::clone(&driver));
        let stopping = Arc::clone(&running.stops);
        self.implements(interface::LOG)
            .method("LogDriver.Capabilities", move |_: Nothing| {
                let read_logs = driver.can_read();
                async move { Ok(CapabilitiesResponse { cap: Capabilities { read_logs } }) }
            })
            .method("LogDriver.StartLogging", move |asked: StartRequest| {
                let (driver, running) = (Arc::clone(&starting), running.clone());
                async move {
                    let log = driver.start(asked.info).await?;
                    running.start(asked.file, log)
                }
            })
            .method("LogDriver.StopLogging", move |asked: StopRequest| {
                // What is in the FIFO is read all the same: an engine closes it only after this.
                let stop = stopping.lock().remove(&asked.file);
                if let Some(stop) = stop {
                    stop.cancel();
                }
                async move { Ok(Nothing {}) }
            })
            .stream("LogDriver.ReadLogs", move |asked: ReadRequest| {
                let driver = Arc::clone(&reading);
                async move {
                    let entries = driver.read(asked.info, asked.config).await?;
                    let frames = entries.map(|entry| match entry {
                        Ok(entry) => Ok(Frame::data(Bytes::from(entry.frame()))),
                        Err(error) => Err(BodyError::from(error)),
                    });
                    Ok(StreamBody::new(frames).boxed_unsync())
                }
            })
    }
}

impl Running {
    fn start<L: Log>(&self, file: String, log: L) -> Result<Nothing> {
        // Without waiting for its other end, which some engines open only when they have the answer.
        let fifo = OpenOptions::new().open_receiver(&file).map_err(|error| Error::about(&file, error))?;
        let stop = CancellationToken::new();
        self.stops.lock().insert(file.clone(), stop.clone());
        let running = self.clone();
        self.tasks.spawn(async move {
            if let Err(error) = take_all(fifo, log, stop, &running.ending).await {
                tracing::warn!(file, %error, "a log is not taken to its end");
            }
            running.stops.lock().remove(&file);
        });
        Ok(Nothing {})
    }
}

async fn take_all<L: Log>(
    mut fifo: Receiver,
    mut log: L,
    stop: CancellationToken,
    ending: &CancellationToken,
) -> io::Result<()> {
    let taken = tokio::select! {
        taken = take(&mut fifo, &mut log, &stop) => taken,
        () = ending.cancelled() => Ok(()),
    };
    // What is unread is the engine's to send again.
    drop(fifo);
    log.end().await;
    taken
}

async fn take<L: Log>(fifo: &mut Receiver, log: &mut L, stop: &CancellationToken) -> io::Result<()> {
    let (mut frames, mut chunk) = (Frames::default(), vec![0; CHUNK]);
    let (mut has_begun, deadline) = (false, Instant::now() + OPENING);
    loop {
        while let Some(entry) = frames.entry().map_err(io::Error::other)? {
            log.take(entry).await;
        }
        let read = tokio::select! {
            biased;
            read = fifo.read(&mut chunk) => read?,
            () = rest(stop) => return Ok(()),
        };
        match read {
            // Nobody has it open for writing: not yet, or no longer.
            0 if has_begun || stop.is_cancelled() || Instant::now() > deadline => return Ok(()),
            0 => tokio::time::sleep(LOOK).await,
            read => {
                has_begun = true;
                frames.push(&chunk[..read]);
            }
        }
    }
}

async fn rest(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(REST).await;
}
