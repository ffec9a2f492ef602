//! Sends entries through a FIFO to a plugin.
//!
//! ```text
//! Closed ──StartLogging──> Told ──the plugin opens it──> Open
//!    ^                      |                             |
//!    └──────────────────────┴─ no reader any more ─────────┘
//! ```
//!
//! The engine knows what the plugin has not read ([`gantry_host::pipe::unread`]) and keeps it. If the plugin dies, a
//! new plugin process is told of a new FIFO and gets this again. Entries are sent again whole, because the dead
//! process may have read a part. What the dead process had read completely is not sent again.

use std::collections::VecDeque;
use std::time::Duration;

use gantry_plugin::SHORT;
use gantry_plugin::wire::Nothing;
use gantry_plugin::wire::log::{Entry as WireEntry, Info, Piece as WirePiece, StartRequest, StopRequest};
use tokio::net::unix::pipe;
use tokio::time::Instant;

use super::Plugged;
use super::fifo::Fifo;
use crate::shipping::receiver::PATIENCE;
use crate::shipping::{Entry, Sender};

/// How long to wait at the log's end until the plugin has read the FIFO.
const REST: Duration = Duration::from_secs(2);
/// Time between checks whether the FIFO has been read.
const LOOK: Duration = Duration::from_millis(2);
/// Time between attempts to reach a plugin that does not answer.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// The state of the FIFO to the plugin.
enum Way {
    Closed,
    Told(Fifo),
    Open(Fifo, pipe::Sender),
}

/// One container's log.
pub(super) struct Delivery {
    driver: Plugged,
    info: Info,
    way: Way,
    /// Entries that the plugin has not read, as far as is known, each encoded for the FIFO.
    frames: VecDeque<Vec<u8>>,
    /// Bytes of these frames that are in the FIFO and were unread at the last check.
    written: usize,
    /// Whether the last frame is of an entry whose `send` has not succeeded yet.
    is_offered: bool,
    /// How long the plugin may take to read a frame.
    pub(super) patience: Duration,
    pause: Duration,
    rested: Instant,
}

impl Delivery {
    pub(super) fn new(driver: Plugged, info: Info) -> Delivery {
        let (frames, way) = (VecDeque::new(), Way::Closed);
        Delivery {
            driver,
            info,
            way,
            frames,
            written: 0,
            is_offered: false,
            patience: PATIENCE,
            pause: SHORTEST,
            rested: Instant::now(),
        }
    }

    /// Makes a new FIFO and tells the plugin of it.
    async fn start(&mut self) -> Result<(), String> {
        let plugin = self.driver.plugin().await?;
        let failed = |why: String| format!("error creating logger: {why}");
        let fifo = self.driver.fifos.make().map_err(|error| failed(gantry_rpc::chain(&error)))?;
        let asked = StartRequest { file: fifo.file(), info: self.info.clone() };
        let (told, opened) = {
            let telling = plugin.call::<Nothing>("LogDriver.StartLogging", &asked, SHORT);
            let opening = fifo.opened();
            tokio::pin!(telling, opening);
            let mut opened = None;
            loop {
                tokio::select! {
                    told = &mut telling => break (told, opened),
                    // Some plugins open the FIFO before they answer, and block until the other end is opened.
                    done = &mut opening, if opened.is_none() => opened = Some(done),
                }
            }
        };
        told.map_err(|error| failed(gantry_rpc::chain(&error)))?;
        self.written = 0;
        self.way = match opened {
            Some(Ok(pipe)) => Way::Open(fifo, pipe),
            Some(Err(error)) => return Err(failed(error.to_string())),
            None => Way::Told(fifo),
        };
        Ok(())
    }

    /// Returns once the plugin has a FIFO open.
    async fn open(&mut self) -> Result<(), String> {
        loop {
            match &mut self.way {
                Way::Open(..) => return Ok(()),
                Way::Closed => self.start().await?,
                Way::Told(fifo) => {
                    let opened = tokio::time::timeout(self.patience, fifo.opened()).await;
                    // If this fails, the plugin is told of a new FIFO: it may have died before it opened this one.
                    if let Way::Told(fifo) = std::mem::replace(&mut self.way, Way::Closed) {
                        let opened = opened.map_err(|_| "the plugin does not open its FIFO".to_owned())?;
                        self.way = Way::Open(fifo, opened.map_err(|error| error.to_string())?);
                    }
                }
            }
        }
    }

    /// Forgets frames that have been read. Returns false if the plugin closed the FIFO with frames unread.
    fn look(&mut self) -> bool {
        let Way::Open(_, pipe) = &self.way else { return true };
        let has_reader = gantry_host::pipe::has_reader(pipe).unwrap_or(false);
        let unread = gantry_host::pipe::unread(pipe).unwrap_or(self.written);
        let mut read = self.written.saturating_sub(unread);
        while let Some(first) = self.frames.front()
            && first.len() <= read
        {
            read -= first.len();
            self.written -= first.len();
            self.frames.pop_front();
        }
        if !has_reader {
            self.way = Way::Closed;
            self.written = 0;
        }
        has_reader
    }

    /// Writes all frames that are not in the FIFO yet.
    async fn write(&mut self) -> Result<(), String> {
        if !self.look() {
            tracing::debug!(plugin = self.driver.name, "a plugin has gone that was reading a log");
        }
        if self.frames.is_empty() {
            return Ok(());
        }
        self.open().await?;
        let writing = tokio::time::timeout(self.patience, self.write_rest()).await;
        writing.unwrap_or_else(|_| Err("the plugin does not read".to_owned()))
    }

    async fn write_rest(&mut self) -> Result<(), String> {
        let mut before = 0;
        let mut at = 0;
        while let Some(frame) = self.frames.get(at) {
            let Way::Open(_, pipe) = &self.way else { return Err("broken pipe".to_owned()) };
            let end = before + frame.len();
            if self.written >= end {
                (before, at) = (end, at + 1);
                continue;
            }
            pipe.writable().await.map_err(|error| error.to_string())?;
            match pipe.try_write(&frame[self.written - before..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    self.look();
                    return Err(crate::archive::words(&error));
                }
            }
        }
        Ok(())
    }

    /// Waits for the plugin to read what is in the FIFO, for a limited time.
    async fn drain(&mut self) {
        let emptied = async {
            while self.look() && self.written > 0 {
                tokio::time::sleep(LOOK).await;
            }
        };
        // What is still unread is reported by `pending`.
        let _ = tokio::time::timeout(REST, emptied).await;
    }
}

#[tonic::async_trait]
impl Sender for Delivery {
    async fn connect(&mut self) -> Result<(), String> {
        self.start().await
    }

    async fn send(&mut self, entry: &Entry) -> Result<(), String> {
        // A repeated attempt sends the same entry; it is queued once.
        if !std::mem::replace(&mut self.is_offered, true) {
            self.frames.push_back(wire(entry).frame());
        }
        self.write().await?;
        self.is_offered = false;
        Ok(())
    }

    fn pending(&mut self) -> usize {
        self.look();
        self.frames.len() - usize::from(self.is_offered && !self.frames.is_empty())
    }

    async fn settle(&mut self) -> Result<(), String> {
        if Instant::now() < self.rested {
            return Ok(());
        }
        let written = self.write().await;
        self.pause = if written.is_ok() { SHORTEST } else { (self.pause * 2).min(LONGEST) };
        if written.is_err() {
            self.rested = Instant::now() + self.pause;
        }
        written
    }

    async fn end(&mut self) {
        if !self.look() {
            return;
        }
        let file = match &self.way {
            Way::Closed => return,
            Way::Told(fifo) | Way::Open(fifo, _) => fifo.file(),
        };
        let telling = async {
            let plugin = self.driver.plugin().await?;
            let told = plugin.call::<Nothing>("LogDriver.StopLogging", &StopRequest { file }, SHORT).await;
            told.map(drop).map_err(|error| gantry_rpc::chain(&error))
        };
        let told = tokio::time::timeout(PATIENCE, telling).await;
        if let Err(why) = told.unwrap_or_else(|_| Err("no answer".to_owned())) {
            tracing::warn!(
                container = self.info.container_id,
                plugin = self.driver.name,
                why,
                "a plugin is not told that a log is over"
            );
        }
        self.drain().await;
        self.way = Way::Closed;
    }
}

fn wire(entry: &Entry) -> WireEntry {
    let piece = |piece: &crate::shipping::Piece| WirePiece {
        last: piece.last,
        id: piece.id.clone(),
        ordinal: i32::try_from(piece.ordinal).unwrap_or(i32::MAX),
    };
    WireEntry {
        source: if entry.error { "stderr" } else { "stdout" }.to_owned(),
        time_nano: entry.nanos(),
        line: entry.text.clone().into_bytes(),
        partial: entry.piece.is_some(),
        partial_log_metadata: entry.piece.as_ref().map(piece),
    }
}
