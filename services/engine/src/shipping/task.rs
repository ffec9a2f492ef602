//! One task for each container whose log is sent elsewhere.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gantry_api::engine::Status;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::spool::{Position, Spool};
use super::{Entry, Persistence, Sender};
use crate::container::Container;
use crate::container::create::blocking;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::record::Record;

/// Between looks at a log that has just grown, and at one that has not for a while.
const SHORTEST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_millis(200);
/// Between attempts at a receiver that stays away.
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// What a container that removes itself waits for its last lines to be sent.
const DRAIN: Duration = Duration::from_secs(10);

/// The tasks, by their containers' ids.
#[derive(Default)]
pub struct Shippers(Mutex<HashMap<String, Shipper>>);

struct Shipper {
    /// No two have the same.
    number: u64,
    stop: CancellationToken,
    done: CancellationToken,
}

/// A receiver that a container which starts has found.
pub struct Prepared(Box<dyn Sender>);

impl Engine {
    /// Connects to where a container's log is to be sent.
    ///
    /// # Errors
    ///
    /// A receiver that is not there, as Docker says it.
    pub(crate) async fn prepare_shipping(&self, record: &Record) -> Result<Option<Prepared>> {
        let Some(mut sender) = self.sender_of(record)? else { return Ok(None) };
        if let Err(why) = sender.connect().await {
            let message = format!("failed to initialize logging driver: {why}");
            return Err(Error::StartFailed { message, exit_code: 128 });
        }
        Ok(Some(Prepared(sender)))
    }

    fn sender_of(&self, record: &Record) -> Result<Option<Box<dyn Sender>>> {
        self.log_drivers.of(record)?.sender(record, &self.facts.hostname)
    }

    /// Sends a container's log from now on, and what is left of it.
    pub(crate) async fn ship(&self, container: &Arc<Container>, prepared: Option<Prepared>) {
        let sender = match prepared {
            Some(Prepared(sender)) => Ok(Some(sender)),
            None => self.sender_of(&container.record()),
        };
        let sender = match sender {
            Ok(Some(sender)) => sender,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(container = %container.id(), error = %gantry_rpc::chain(&error), "log not sent");
                return;
            }
        };
        // One at a time: the note of what was sent is the task's own.
        let before = self.shippers.0.lock().remove(container.id());
        if let Some(before) = before {
            before.stop.cancel();
            before.done.cancelled().await;
        }
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let (stop, done) = (CancellationToken::new(), CancellationToken::new());
        let shipper = Shipper { number, stop: stop.clone(), done: done.clone() };
        self.shippers.0.lock().insert(container.id().to_owned(), shipper);
        let (engine, container, guard) = (self.clone(), Arc::clone(container), done.drop_guard());
        self.spawn("send a log", async move {
            if let Err(error) = engine.ship_all(&container, sender, &stop).await {
                tracing::warn!(container = %container.id(), error = %gantry_rpc::chain(&error), "log not sent to its end");
            }
            let mut all = engine.shippers.0.lock();
            if all.get(container.id()).is_some_and(|shipper| shipper.number == number) {
                all.remove(container.id());
            }
            drop(all);
            drop(guard);
        });
    }

    /// Waits until all of a container's log is sent that has ended, but not for ever.
    pub(crate) async fn shipped(&self, container: &Container) {
        let done = self.shippers.0.lock().get(container.id()).map(|shipper| shipper.done.clone());
        if let Some(done) = done
            && tokio::time::timeout(DRAIN, done.cancelled()).await.is_err()
        {
            tracing::warn!(container = %container.id(), "the end of a log is not sent: its receiver is away");
        }
    }

    async fn ship_all(
        &self,
        container: &Arc<Container>,
        mut sender: Box<dyn Sender>,
        stop: &CancellationToken,
    ) -> Result<()> {
        let path = self.paths.log(container.id());
        let note = path.with_file_name("shipped");
        let io = |source| Error::io("read the log", &path, source);
        let (from, at) = (path.clone(), note.clone());
        let opened = blocking(move || {
            Spool::open(&from, Position::load(&at)).map_err(|source| Error::io("open log", from, source))
        });
        let (mut spool, mut lost) = opened.await?;
        let mut watch = container.watch();
        let mut pause = SHORTEST;
        loop {
            if std::mem::take(&mut lost) {
                tracing::warn!(container = %container.id(), "lines were rotated away before their receiver had taken them");
            }
            let ended = {
                let life = watch.borrow_and_update();
                life.is_removed() || !(life.has_process() || life.status() == Status::Restarting)
            };
            let reading = tokio::task::spawn_blocking(move || (spool.next(), spool));
            let (next, back) =
                reading.await.map_err(|_| Error::Broken("reading a log panicked".to_owned()))?;
            spool = back;
            let (entries, gap) = next.map_err(io)?;
            lost = gap;
            if entries.is_empty() {
                if ended || stop.is_cancelled() {
                    return Ok(());
                }
                tokio::select! {
                    () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST),
                    _ = watch.changed() => {}
                    () = stop.cancelled() => {}
                }
                continue;
            }
            pause = SHORTEST;
            let mut sent = None;
            for read in entries {
                if !self.ship_one(container, &mut *sender, &read.entry, stop).await {
                    save(&note, sent)?;
                    return Ok(());
                }
                sent = Some(read.end);
            }
            save(&note, sent)?;
        }
    }

    /// Sends an entry, however long its receiver is away; false when it is to be left for another.
    async fn ship_one(
        &self,
        container: &Container,
        sender: &mut dyn Sender,
        entry: &Entry,
        stop: &CancellationToken,
    ) -> bool {
        let Persistence { attempts, mut pause } = sender.persistence();
        for attempt in 0.. {
            let sending = async {
                match sender.send(entry).await {
                    // A connection that has grown old is made anew at once.
                    Err(_) if attempt == 0 => sender.send(entry).await,
                    sent => sent,
                }
            };
            let sent = tokio::select! {
                sent = sending => sent,
                () = stop.cancelled() => return false,
            };
            let Err(why) = sent else { return true };
            if attempts.is_some_and(|most| attempt >= most) {
                tracing::warn!(container = %container.id(), why, "a line is given up: its receiver is away");
                return true;
            }
            if attempt <= 1 {
                tracing::warn!(container = %container.id(), why, "a log's receiver is away");
            }
            let removed = container.life().is_removed();
            if removed {
                return false;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).clamp(SHORTEST, LONGEST_RETRY),
                () = stop.cancelled() => return false,
            }
        }
        true
    }
}

fn save(note: &std::path::Path, sent: Option<Position>) -> Result<()> {
    match sent {
        Some(sent) => match sent.save(note) {
            // The container has been removed.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            saved => saved.map_err(|source| Error::io("write", note, source)),
        },
        None => Ok(()),
    }
}
