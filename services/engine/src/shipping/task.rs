//! One task for each container whose log is sent elsewhere.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gantry_proto::gantry::engine::v1::Status;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::options::{Address, Driver, is_shipped};
use super::receiver::{PATIENCE, Receiver};
use super::spool::{Position, Spool};
use super::{Entry, Facts, fluentd, gelf, journald, syslog};
use crate::container::Container;
use crate::container::create::blocking;
use crate::container::log;
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

/// What a task sends with.
struct Sender {
    driver: Driver,
    facts: Facts,
    receiver: Option<Receiver>,
    connected_at: Instant,
    epoch: String,
    ordinal: u64,
}

impl Sender {
    fn new(record: &Record, hostname: &str) -> Result<Option<Sender>> {
        let Some(config) = record.host.log_config.as_ref().filter(|log| is_shipped(&log.r#type)) else {
            return Ok(None);
        };
        let driver = Driver::parse(&config.r#type, &config.config, &log::COMMON)?;
        let facts = Facts::of(record, hostname)?;
        Ok(Some(Sender {
            driver,
            facts,
            receiver: None,
            connected_at: Instant::now(),
            epoch: crate::names::new_id(),
            ordinal: 0,
        }))
    }

    async fn connect(&mut self) -> std::result::Result<&mut Receiver, String> {
        if let Driver::Fluentd { renewed: Some(renewed), .. } = self.driver
            && self.connected_at.elapsed() > renewed
        {
            self.receiver = None;
        }
        if self.receiver.is_none() {
            let journal = Address::UnixDatagrams(journald::SOCKET.into());
            let (address, words) = match &self.driver {
                Driver::Syslog { address, .. } | Driver::Fluentd { address, .. } => (address, String::new()),
                Driver::Gelf { address: address @ Address::Tcp(host), .. } => {
                    (address, format!("gelf: cannot connect to GELF endpoint: {host} "))
                }
                Driver::Gelf { address, .. } => (address, String::new()),
                Driver::Journald => (&journal, String::new()),
            };
            let connected = Receiver::connect(address).await;
            let connected = connected.map_err(|why| match self.driver {
                Driver::Journald => "journald is not enabled on this host".to_owned(),
                _ => words + &why,
            });
            self.receiver = Some(connected?);
            self.connected_at = Instant::now();
        }
        Ok(self.receiver.as_mut().expect("just connected"))
    }

    async fn send(&mut self, entry: &Entry) -> std::result::Result<(), String> {
        let (facts, mut answer) = (&self.facts, None);
        let messages = match &self.driver {
            Driver::Syslog { facility, form, address } => {
                let line = syslog::line(*form, *facility, entry, facts, std::process::id());
                vec![if matches!(address, Address::Tls(..)) { form.framed(line) } else { line }]
            }
            Driver::Gelf { address, packing, .. } => match (gelf::json(entry, facts), address) {
                (None, _) => Vec::new(),
                (Some(json), Address::Tcp(_)) => vec![[json.as_bytes(), b"\0"].concat()],
                (Some(json), _) => gelf::datagrams(&json, *packing),
            },
            Driver::Fluentd { sub_second, acknowledged, .. } => {
                let event = fluentd::event(entry, facts, *sub_second, *acknowledged);
                answer = event.chunk.as_deref().map(fluentd::acknowledgement);
                vec![event.bytes]
            }
            Driver::Journald => vec![journald::datagram(entry, facts, &self.epoch, self.ordinal + 1)],
        };
        let patience = match &self.driver {
            Driver::Fluentd { patience, .. } => *patience,
            _ => PATIENCE,
        };
        let receiver = self.connect().await?;
        let sent = async {
            for message in &messages {
                receiver.send(message, patience).await?;
            }
            match &answer {
                Some(answer) => receiver.expect(answer).await,
                None => Ok(()),
            }
        };
        if let Err(error) = sent.await {
            self.receiver = None;
            return Err(crate::archive::words(&error));
        }
        self.ordinal += 1;
        Ok(())
    }

    /// How often one entry is tried, where its user has said so, and how long it is waited in between at first.
    fn persistence(&self) -> (Option<u64>, Duration) {
        match &self.driver {
            Driver::Gelf { attempts, pause, .. } | Driver::Fluentd { attempts, pause, .. } => {
                (*attempts, *pause)
            }
            Driver::Syslog { .. } | Driver::Journald => (None, Duration::from_secs(1)),
        }
    }
}

/// A receiver that a container which starts has found.
pub struct Prepared(Sender);

impl Engine {
    /// Connects to where a container's log is to be sent.
    ///
    /// # Errors
    ///
    /// A receiver that is not there, as Docker says it.
    pub(crate) async fn prepare_shipping(&self, record: &Record) -> Result<Option<Prepared>> {
        let Some(mut sender) = Sender::new(record, &self.facts.hostname)? else { return Ok(None) };
        if !matches!(sender.driver, Driver::Fluentd { asynchronous: true, .. })
            && let Err(why) = sender.connect().await
        {
            let message = format!("failed to initialize logging driver: {why}");
            return Err(Error::StartFailed { message, exit_code: 128 });
        }
        Ok(Some(Prepared(sender)))
    }

    /// Sends a container's log from now on, and what is left of it.
    pub(crate) async fn ship(&self, container: &Arc<Container>, prepared: Option<Prepared>) {
        let sender = match prepared {
            Some(Prepared(sender)) => Ok(Some(sender)),
            None => Sender::new(&container.record(), &self.facts.hostname),
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
        mut sender: Sender,
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
                if !self.ship_one(container, &mut sender, &read.entry, stop).await {
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
        sender: &mut Sender,
        entry: &Entry,
        stop: &CancellationToken,
    ) -> bool {
        let (attempts, mut pause) = sender.persistence();
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
