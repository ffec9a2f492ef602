//! The driver: a queue and a sender for each container.
//!
//! ```text
//! FIFO ──take──> queue (one batch) ──> batch ──> collector, again and again
//! ```
//!
//! While the collector is away, the sender retries the batch and the queue fills. Then `take` waits, and with it the
//! engine, which has the lines on its disk. The queue is full when it has as many records as a batch, or [`QUEUED`]
//! bytes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gantry_plugin_sdk::Result;
use gantry_plugin_sdk::log::{Driver, Entry, Info, Log};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

use crate::collector::{Collector, Outcome};
use crate::options::Options;
use crate::record::{self, Joiner};
use crate::wire::{Export, LogRecord, Resource, ResourceLogs, Scope, ScopeLogs};

/// The first and the longest time between attempts.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);
/// Bytes of a batch. A collector accepts four MiB per request.
const BYTES: usize = 2 << 20;
/// Bytes in a queue. A line may be one MiB long.
const QUEUED: u32 = 4 << 20;

/// A record in the queue, with the space that it takes there.
type Queued = (LogRecord, OwnedSemaphorePermit);

/// The driver.
#[derive(Clone, Debug)]
pub struct Otlp {
    /// The collector of containers that name none.
    pub endpoint: String,
}

/// One container's log.
#[derive(Debug)]
pub struct Taker {
    joiner: Joiner,
    queue: mpsc::Sender<Queued>,
    /// The free space in the queue, bytes.
    room: Arc<Semaphore>,
    sending: JoinHandle<()>,
}

impl Driver for Otlp {
    type Log = Taker;

    async fn start(&self, info: Info) -> Result<Taker> {
        let options = Options::parse(&info.config, &self.endpoint)?;
        let (queue, records) = mpsc::channel(options.batch);
        let sender = Sender {
            collector: Collector::new(&options),
            resource: record::resource(&info, &options),
            container: info.container_id,
            options,
            lost: 0,
        };
        let sending = tokio::spawn(sender.run(records));
        let room = Arc::new(Semaphore::new(QUEUED as usize));
        Ok(Taker { joiner: Joiner::default(), queue, room, sending })
    }
}

impl Log for Taker {
    async fn take(&mut self, entry: Entry) {
        for record in self.joiner.take(entry) {
            self.put(record).await;
        }
    }

    async fn end(mut self) {
        for record in self.joiner.end() {
            self.put(record).await;
        }
        drop(self.queue);
        if self.sending.await.is_err() {
            tracing::error!("sending a log has failed");
        }
    }
}

impl Taker {
    /// Waits for space and puts a record into the queue.
    async fn put(&self, record: LogRecord) {
        let bytes = u32::try_from(size(&record)).unwrap_or(u32::MAX).min(QUEUED);
        // Neither can fail: the semaphore is never closed, and the sender ends only after the queue is dropped.
        if let Ok(room) = Arc::clone(&self.room).acquire_many_owned(bytes).await {
            let _ = self.queue.send((record, room)).await;
        }
    }
}

struct Sender {
    collector: Collector,
    resource: Resource,
    container: String,
    options: Options,
    /// Number of lost records that the collector has not been told of.
    lost: u64,
}

impl Sender {
    async fn run(mut self, mut records: mpsc::Receiver<Queued>) {
        while let Some((first, _)) = records.recv().await {
            let batch = self.batch(first, &mut records).await;
            self.send(batch).await;
        }
        if self.lost > 0 {
            // No further record follows that could tell the collector of the loss.
            self.send(Vec::new()).await;
        }
    }

    async fn batch(&self, first: LogRecord, records: &mut mpsc::Receiver<Queued>) -> Vec<LogRecord> {
        let mut bytes = size(&first);
        let mut batch = vec![first];
        let full = async {
            while batch.len() < self.options.batch && bytes < BYTES {
                let Some((record, _)) = records.recv().await else { return };
                bytes += size(&record);
                batch.push(record);
            }
        };
        // A timeout loses nothing, because received records are in the batch.
        let _ = tokio::time::timeout(self.options.wait, full).await;
        batch
    }

    /// Sends a batch, and retries while the collector is away, until `otlp-give-up` has passed.
    async fn send(&mut self, batch: Vec<LogRecord>) {
        let (begun, mut pause, mut attempt) = (Instant::now(), SHORTEST, 0_u32);
        let mut log_records = batch;
        let count = log_records.len() as u64;
        let told = self.lost;
        if told > 0 {
            log_records.insert(0, record::loss(told));
        }
        let scope =
            Scope { name: env!("CARGO_PKG_NAME").to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
        let scope_logs = vec![ScopeLogs { scope: Some(scope), log_records }];
        let resource = Some(self.resource.clone());
        let export = Export { resource_logs: vec![ResourceLogs { resource, scope_logs }] };
        loop {
            let (why, wanted) = match self.collector.export(&export).await {
                Outcome::Taken { refused, why } => {
                    self.lost = self.lost.saturating_sub(told);
                    if refused > 0 {
                        self.lose(refused, &why);
                    }
                    if attempt > 0 {
                        tracing::info!(container = self.container, attempt, "the collector is back");
                    }
                    return;
                }
                Outcome::Never(why) => return self.lose(count, &why),
                Outcome::Later(why, wanted) => (why, wanted),
            };
            if self.options.give_up.is_some_and(|most| begun.elapsed() >= most) {
                return self.lose(count, &why);
            }
            if attempt == 0 {
                tracing::warn!(container = self.container, why, "the collector is away");
            }
            attempt = attempt.saturating_add(1);
            let jitter = rand::random_range(0.5..1.0);
            let rest = self.options.give_up.map_or(LONGEST, |most| most.saturating_sub(begun.elapsed()));
            let next = wanted.unwrap_or_else(|| pause.mul_f64(jitter)).min(rest.max(SHORTEST));
            tokio::time::sleep(next).await;
            pause = (pause * 2).min(LONGEST);
        }
    }

    fn lose(&mut self, count: u64, why: &str) {
        self.lost += count;
        tracing::warn!(container = self.container, count, lost = self.lost, why, "log records are lost");
    }
}

fn size(record: &LogRecord) -> usize {
    prost::Message::encoded_len(record)
}

/// The plugin's server for this driver.
pub fn server(driver: Otlp) -> gantry_plugin_sdk::Server {
    gantry_plugin_sdk::Server::new().logs(driver)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn long_lines_fill_the_queue_by_their_bytes() {
        // No process listens there.
        let driver = Otlp { endpoint: "http://127.0.0.1:1".to_owned() };
        let mut log = driver.start(Info::default()).await.expect("started");
        let line = || Entry { source: "stdout".to_owned(), line: vec![b'x'; 1 << 20], ..Entry::default() };
        let mut taken = 0;
        while tokio::time::timeout(Duration::from_millis(500), log.take(line())).await.is_ok() {
            taken += 1;
            assert!(taken < 20, "far more than a batch and a queue may have");
        }
        assert!(taken >= 4, "{taken}");
    }
}
