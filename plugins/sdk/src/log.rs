//! Containers' logs: the trait of a log driver, and the methods that serve it.

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

/// How long an engine may take to open a FIFO that it has announced.
const OPENING: Duration = Duration::from_secs(60);
/// How long the rest in a FIFO may take to arrive after the engine has announced the end.
const REST: Duration = Duration::from_secs(5);
/// Time between checks whether it has arrived.
const LOOK: Duration = Duration::from_millis(10);
/// Bytes per read.
const CHUNK: usize = 16 * 1024;

/// Takes one container's log.
///
/// [`Log::end`] is not called when the process is killed: an entry that must not be lost has to be stored when `take`
/// returns. A server that ends calls [`Log::end`], and waits ten seconds for it.
pub trait Log: Send + 'static {
    /// Takes an entry. The next one is read when this returns. While a driver waits here, the engine waits too and
    /// keeps the lines.
    fn take(&mut self, entry: Entry) -> impl Future<Output = ()> + Send;

    /// Called after the last entry: the container has ended, or the engine continues with another FIFO.
    fn end(self) -> impl Future<Output = ()> + Send;
}

/// A log driver.
///
/// ```text
/// start ──> Log::take, for each entry ──> Log::end
/// ```
///
/// A container's log may be started twice at the same time, because the engine that began the first one may have
/// died.
pub trait Driver: Send + Sync + 'static {
    /// The type that takes a container's log.
    type Log: Log;

    /// Begins a container's log. The options are as the user typed them. An error here fails the start of the
    /// container.
    fn start(&self, info: Info) -> impl Future<Output = Result<Self::Log>> + Send;

    /// Whether the driver can read back what it has taken. If not, the engine keeps the lines for readers.
    fn can_read(&self) -> bool {
        false
    }

    /// Returns a container's log, and with `follow` also its future lines.
    fn read(
        &self,
        info: Info,
        _config: ReadConfig,
    ) -> impl Future<Output = Result<BoxStream<'static, Result<Entry>>>> + Send {
        async move { Err(Error::about(info.container_id, "logs cannot be read back")) }
    }
}

/// The logs in progress.
#[derive(Clone)]
struct Running {
    /// By FIFO; a FIFO may have been started more than once. The lock is held for single edits.
    stops: Arc<Mutex<BTreeMap<String, Vec<Arc<CancellationToken>>>>>,
    tasks: TaskTracker,
    ending: CancellationToken,
}

impl Server {
    /// Adds a log driver to the server.
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
                // The rest of the FIFO is still read, because an engine closes it only after this call.
                let stops = stopping.lock().remove(&asked.file).unwrap_or_default();
                stops.iter().for_each(|stop| stop.cancel());
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
        // Opened without waiting for the other end, which some engines open only after the answer.
        let fifo = OpenOptions::new().open_receiver(&file).map_err(|error| Error::about(&file, error))?;
        let stop = Arc::new(CancellationToken::new());
        self.stops.lock().entry(file.clone()).or_default().push(Arc::clone(&stop));
        let running = self.clone();
        self.tasks.spawn(async move {
            if let Err(error) = take_all(fifo, log, &stop, &running.ending).await {
                tracing::warn!(file, %error, "a log is not taken to its end");
            }
            let mut stops = running.stops.lock();
            if let Some(of_file) = stops.get_mut(&file) {
                of_file.retain(|other| !Arc::ptr_eq(other, &stop));
                if of_file.is_empty() {
                    stops.remove(&file);
                }
            }
        });
        Ok(Nothing {})
    }
}

async fn take_all<L: Log>(
    mut fifo: Receiver,
    mut log: L,
    stop: &CancellationToken,
    ending: &CancellationToken,
) -> io::Result<()> {
    let taken = tokio::select! {
        taken = take(&mut fifo, &mut log, stop) => taken,
        () = ending.cancelled() => Ok(()),
    };
    // The engine sends unread entries again.
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
            // No process has it open for writing: not yet, or no longer.
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
