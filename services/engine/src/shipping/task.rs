//! Tasks that send containers' logs elsewhere, one for each container.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gantry_api::engine::Status;
use gantry_daemon::Context;
use gantry_rpc::carry;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::spool::{Position, Spool};
use super::{Entry, Persistence, Sender};
use crate::blocking::blocking;
use crate::container::Container;
use crate::error::{Error, Result};
use crate::logs::Logs;
use crate::record::Record;

/// Time between two looks at a log that has just grown, and at one that has not grown for a while.
const SHORTEST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_millis(200);
/// Longest time between attempts to reach a receiver.
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// How long a container that removes itself waits for its last lines to be sent.
const DRAIN: Duration = Duration::from_secs(10);

/// The tasks by container id. Cheap to clone.
#[derive(Clone, Default)]
pub struct Shippers(Arc<Mutex<HashMap<String, Shipper>>>);

struct Shipper {
    /// A unique number.
    number: u64,
    stop: CancellationToken,
    done: CancellationToken,
}

/// A receiver to which a starting container has connected. If the container does not start, the receiver is told.
pub struct Prepared {
    sender: Option<Box<dyn Sender>>,
    context: Context,
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if let Some(mut sender) = self.sender.take() {
            self.context.spawn("end a log", async move { sender.end().await });
        }
    }
}

/// The ends of entries that were sent and are not recorded yet.
#[derive(Default)]
struct Sent(VecDeque<Position>);

impl Sent {
    /// Records the position before the last `pending` entries.
    fn save(&mut self, note: &Path, pending: usize) -> Result<()> {
        let settled = self.0.len().saturating_sub(pending);
        let Some(sent) = self.0.drain(..settled).next_back() else { return Ok(()) };
        match sent.save(note) {
            // The container has been removed.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            saved => saved.map_err(|source| Error::io("write", note, source)),
        }
    }
}

impl Logs {
    /// Connects to the receiver of a container's log.
    ///
    /// # Errors
    ///
    /// The receiver cannot be reached; the error has Docker's words.
    pub(crate) async fn prepare(&self, record: &Record) -> Result<Option<Prepared>> {
        let Some(mut sender) = self.sender_of(record)? else { return Ok(None) };
        if let Err(why) = sender.connect().await {
            let message = format!("failed to initialize logging driver: {why}");
            return Err(Error::StartFailed { message, exit_code: 128 });
        }
        Ok(Some(Prepared { sender: Some(sender), context: self.context.clone() }))
    }

    fn sender_of(&self, record: &Record) -> Result<Option<Box<dyn Sender>>> {
        self.drivers.of(record)?.sender(record, &self.hostname)
    }

    /// Sends a container's log from now on, after what is left of it.
    pub(crate) async fn ship(&self, container: &Arc<Container>, prepared: Option<Prepared>) {
        let sender = match prepared {
            Some(mut prepared) => Ok(prepared.sender.take()),
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
        // Only one task at a time, because each one records the position.
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
        let (logs, container, guard) = (self.clone(), Arc::clone(container), done.drop_guard());
        self.context.spawn("send a log", async move {
            if let Err(error) = logs.ship_all(&container, sender, &stop).await {
                tracing::warn!(container = %container.id(), error = %gantry_rpc::chain(&error), "log not sent to its end");
            }
            let mut all = logs.shippers.0.lock();
            if all.get(container.id()).is_some_and(|shipper| shipper.number == number) {
                all.remove(container.id());
            }
            drop(all);
            drop(guard);
        });
    }

    /// Waits for a limited time until the log of a container that has ended is sent completely.
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
        let note = self.paths.log(container.id()).with_file_name("shipped");
        let mut sent = Sent::default();
        let shipped = self.ship_until(container, &mut *sender, stop, (&note, &mut sent)).await;
        sender.end().await;
        sent.save(&note, sender.pending())?;
        shipped
    }

    /// Sends until everything is sent of a container that has ended, or until another task takes over.
    async fn ship_until(
        &self,
        container: &Arc<Container>,
        sender: &mut dyn Sender,
        stop: &CancellationToken,
        (note, sent): (&Path, &mut Sent),
    ) -> Result<()> {
        let path = self.paths.log(container.id());
        let io = |source| Error::io("read the log", &path, source);
        let (from, at) = (path.clone(), note.to_owned());
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
            let (ended, removed) = {
                let life = watch.borrow_and_update();
                let runs = life.has_process() || life.status() == Status::Restarting;
                (life.is_removed() || !runs, life.is_removed())
            };
            let reading = carry::blocking(move || (spool.next(), spool));
            let Some((next, back)) = reading.await else { return Ok(()) };
            spool = back;
            let (entries, gap) = next.map_err(io)?;
            lost = gap;
            if entries.is_empty() {
                let settled = tokio::select! {
                    settled = sender.settle() => settled,
                    () = stop.cancelled() => return Ok(()),
                };
                if let Err(why) = settled {
                    tracing::warn!(container = %container.id(), why, "a log's receiver is away");
                }
                let pending = sender.pending();
                sent.save(note, pending)?;
                if removed || ended && pending == 0 || stop.is_cancelled() {
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
            for read in entries {
                if !Self::ship_one(container, sender, &read.entry, stop).await {
                    return Ok(());
                }
                sent.0.push_back(read.end);
            }
            sent.save(note, sender.pending())?;
        }
    }

    /// Sends an entry, however long its receiver is away; returns false if another task has to send it.
    async fn ship_one(
        container: &Container,
        sender: &mut dyn Sender,
        entry: &Entry,
        stop: &CancellationToken,
    ) -> bool {
        let Persistence { attempts, mut pause } = sender.persistence();
        for attempt in 0.. {
            let sending = async {
                match sender.send(entry).await {
                    // A connection that was replaced because of its age is made anew at once.
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
