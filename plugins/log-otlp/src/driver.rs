//! The driver: a queue and a sender for each container.
//!
//! ```text
//! FIFO ──take──> queue (one batch) ──> batch ──> collector, again and again
//! ```
//!
//! While the collector is away the batch is tried again, the queue fills, `take` waits, and with it the engine, which has the
//! lines on its disk.

use std::time::{Duration, Instant};

use gantry_plugin_sdk::Result;
use gantry_plugin_sdk::log::{Driver, Entry, Info, Log};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::collector::{Collector, Outcome};
use crate::options::Options;
use crate::record::{self, Joiner};
use crate::wire::{Export, LogRecord, Resource, ResourceLogs, Scope, ScopeLogs};

/// Between attempts, at first and at last.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);
/// Bytes of a batch: a collector takes four MiB at once.
const BYTES: usize = 2 << 20;

/// The driver.
#[derive(Clone, Debug)]
pub struct Otlp {
    /// The collector of those who do not name one.
    pub endpoint: String,
}

/// One container's log.
#[derive(Debug)]
pub struct Taker {
    joiner: Joiner,
    queue: mpsc::Sender<LogRecord>,
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
        Ok(Taker { joiner: Joiner::default(), queue, sending })
    }
}

impl Log for Taker {
    async fn take(&mut self, entry: Entry) {
        for record in self.joiner.take(entry) {
            // It is there until this has gone.
            let _ = self.queue.send(record).await;
        }
    }

    async fn end(mut self) {
        for record in self.joiner.end() {
            let _ = self.queue.send(record).await;
        }
        drop(self.queue);
        if self.sending.await.is_err() {
            tracing::error!("sending a log has failed");
        }
    }
}

struct Sender {
    collector: Collector,
    resource: Resource,
    container: String,
    options: Options,
    /// Records that were given up, and not told of.
    lost: u64,
}

impl Sender {
    async fn run(mut self, mut records: mpsc::Receiver<LogRecord>) {
        while let Some(first) = records.recv().await {
            let batch = self.batch(first, &mut records).await;
            self.send(batch).await;
        }
        if self.lost > 0 {
            // Nothing comes that it could be told with.
            self.send(Vec::new()).await;
        }
    }

    async fn batch(&self, first: LogRecord, records: &mut mpsc::Receiver<LogRecord>) -> Vec<LogRecord> {
        let mut bytes = size(&first);
        let mut batch = vec![first];
        let full = async {
            while batch.len() < self.options.batch && bytes < BYTES {
                let Some(record) = records.recv().await else { return };
                bytes += size(&record);
                batch.push(record);
            }
        };
        // What is in the batch stays there.
        let _ = tokio::time::timeout(self.options.wait, full).await;
        batch
    }

    /// Sends a batch, however long the collector is away, unless its time is over.
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

/// The plugin's server.
pub fn server(driver: Otlp) -> gantry_plugin_sdk::Server {
    gantry_plugin_sdk::Server::new().logs(driver)
}
