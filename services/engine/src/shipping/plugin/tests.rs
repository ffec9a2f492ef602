use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{BoxStream, StreamExt};
use gantry_api::engine::{LogConfig, LogQuery};
use gantry_plugin::wire::log::{Entry as WireEntry, Frames, ReadConfig, StartRequest, StopRequest};
use gantry_plugin::{Folders, Patience};
use gantry_plugin_sdk::testing::Served;
use gantry_plugin_sdk::{Error as Refusal, Server, log};
use parking_lot::Mutex;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::OpenOptions;

use super::delivery::Delivery;
use super::*;
use crate::shipping::{Entry, Piece};

type Shared<T> = Arc<Mutex<T>>;

/// A plugin and the engine's side of the connection.
struct Stage {
    folder: tempfile::TempDir,
    driver: Plugged,
    _served: Served,
}

impl Stage {
    async fn new(server: Server) -> Stage {
        let folder = tempfile::tempdir().expect("a folder");
        let served = Served::start(server, folder.path(), "fake").await;
        let folders = Folders { sockets: folder.path().to_owned(), specs: Vec::new() };
        let patience = Patience { first: Duration::from_millis(5), most: Duration::from_millis(40) };
        let plugins = Plugins::new(folders).with_patience(patience);
        let fifos = Fifos::open(folder.path().join("logging")).expect("made");
        let driver = Plugged::new("fake", plugins, fifos);
        Stage { folder, driver, _served: served }
    }

    fn delivery(&self) -> Delivery {
        let mut delivery = Delivery::new(self.driver.clone(), info(&record(&[])));
        delivery.patience = Duration::from_millis(100);
        delivery
    }

    fn fifos(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("logging")).expect("there").count()
    }
}

fn record(options: &[(&str, &str)]) -> Record {
    let config = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let mut record = Record { id: "0123".to_owned(), name: "box".to_owned(), ..Record::default() };
    record.command = ["sh", "-c", "x"].map(str::to_owned).to_vec();
    record.created_at = 1_700_000_000_500_000_000;
    record.config.image = "busybox".to_owned();
    record.config.labels.insert("team".to_owned(), "blue".to_owned());
    record.host.log_config = Some(LogConfig { r#type: "fake".to_owned(), config });
    record
}

fn entry(text: &str) -> Entry {
    let time = "2026-01-02T03:04:05.000000006Z".to_owned();
    Entry { text: text.to_owned(), error: false, time, piece: None }
}

/// A plugin that reads a given number of bytes of each FIFO, then closes it. Records the calls and what it has read.
#[derive(Clone, Default)]
struct Reader {
    /// Bytes to read of each FIFO in turn; all bytes of later ones.
    appetites: Shared<Vec<usize>>,
    asked: Shared<Vec<String>>,
    got: Shared<Vec<WireEntry>>,
}

impl Reader {
    fn server(&self) -> Server {
        let (starting, stopping) = (self.clone(), self.clone());
        Server::new()
            .implements(interface::LOG)
            .method("LogDriver.StartLogging", move |asked: StartRequest| {
                let reader = starting.clone();
                reader.asked.lock().push(format!("start {}", asked.info.container_name));
                async move {
                    let fifo = OpenOptions::new().open_receiver(&asked.file).map_err(Refusal::new)?;
                    let mut appetites = reader.appetites.lock();
                    let appetite = if appetites.is_empty() { usize::MAX } else { appetites.remove(0) };
                    drop(appetites);
                    tokio::spawn(async move { reader.read(fifo, appetite).await });
                    Ok(Nothing {})
                }
            })
            .method("LogDriver.StopLogging", move |_: StopRequest| {
                stopping.asked.lock().push("stop".to_owned());
                async { Ok(Nothing {}) }
            })
    }

    async fn read(self, mut fifo: tokio::net::unix::pipe::Receiver, mut appetite: usize) -> io::Result<()> {
        let (mut frames, mut byte) = (Frames::default(), [0]);
        while appetite > 0 {
            if fifo.read(&mut byte).await? == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
                continue;
            }
            appetite -= 1;
            frames.push(&byte);
            while let Some(entry) = frames.entry().map_err(io::Error::other)? {
                self.got.lock().push(entry);
            }
        }
        Ok(())
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().clone()
    }

    fn lines(&self) -> Vec<String> {
        let got = self.got.lock();
        got.iter().map(|entry| String::from_utf8_lossy(&entry.line).into_owned()).collect()
    }
}

async fn settled(delivery: &mut Delivery) {
    let all = async {
        loop {
            let _ = delivery.settle().await;
            if delivery.pending() == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), all).await.expect("it is read");
}

#[tokio::test]
async fn entries_and_their_container_come_as_from_docker() {
    let reader = Reader::default();
    let stage = Stage::new(reader.server()).await;
    let mut delivery = stage.delivery();
    delivery.connect().await.expect("started");
    delivery.send(&entry("one")).await.expect("sent");
    let piece = Some(Piece { id: "p".to_owned(), ordinal: 2, last: true });
    delivery.send(&Entry { error: true, piece, ..entry("two") }).await.expect("sent");
    settled(&mut delivery).await;
    assert_eq!(stage.fifos(), 1);
    delivery.end().await;
    assert_eq!((reader.asked(), stage.fifos()), (vec!["start /box".to_owned(), "stop".to_owned()], 0));
    let got = reader.got.lock().clone();
    let time_nano = 1_767_323_045_000_000_006;
    let one =
        WireEntry { source: "stdout".to_owned(), time_nano, line: b"one".to_vec(), ..Default::default() };
    assert_eq!(got[0], one);
    assert_eq!((got[1].source.as_str(), got[1].partial), ("stderr", true));
    let piece = got[1].partial_log_metadata.clone().expect("a piece");
    assert_eq!((piece.id.as_str(), piece.ordinal, piece.last), ("p", 2, true));
    let told = info(&record(&[("mode", "non-blocking")]));
    assert_eq!(told.config, BTreeMap::from([("mode".to_owned(), "non-blocking".to_owned())]));
    assert_eq!((told.container_entrypoint.as_str(), told.container_args.len()), ("sh", 2));
    assert_eq!(told.container_created, "2023-11-14T22:13:20.5Z");
    assert_eq!(told.container_labels["team"], "blue");
}

#[tokio::test]
async fn what_a_plugin_had_not_read_when_it_died_comes_again() {
    let reader = Reader::default();
    // Enough for the first entry and a part of the second.
    *reader.appetites.lock() = vec![wire_length("one") + 7, 0];
    let stage = Stage::new(reader.server()).await;
    let mut delivery = stage.delivery();
    delivery.connect().await.expect("started");
    for text in ["one", "two", "three"] {
        // A repeated attempt does not send the entry twice.
        while delivery.send(&entry(text)).await.is_err() {}
    }
    settled(&mut delivery).await;
    delivery.send(&entry("four")).await.expect("sent");
    settled(&mut delivery).await;
    assert_eq!(reader.lines(), ["one", "two", "three", "four"]);
    assert_eq!(reader.asked(), ["start /box"; 3]);
    assert_eq!(stage.fifos(), 1, "those of the dead are gone");
}

fn wire_length(text: &str) -> usize {
    let line = text.as_bytes().to_vec();
    let time_nano = 1_767_323_045_000_000_006;
    WireEntry { source: "stdout".to_owned(), time_nano, line, ..Default::default() }.frame().len()
}

#[tokio::test]
async fn a_plugin_that_does_not_read_costs_time_and_no_line() {
    let held: Shared<Vec<tokio::net::unix::pipe::Receiver>> = Arc::default();
    let holding = Arc::clone(&held);
    let server = Server::new()
        .implements(interface::LOG)
        .method("LogDriver.StartLogging", move |asked: StartRequest| {
            let fifo = OpenOptions::new().open_receiver(&asked.file).map_err(Refusal::new);
            let held = Arc::clone(&holding);
            async move {
                held.lock().push(fifo?);
                Ok(Nothing {})
            }
        })
        .method("LogDriver.StopLogging", |_: StopRequest| async { Ok(Nothing {}) });
    let stage = Stage::new(server).await;
    let mut delivery = stage.delivery();
    let long = "x".repeat(16 * 1024);
    let mut sent = 0_usize;
    let why = loop {
        match delivery.send(&entry(&long)).await {
            Ok(()) => sent += 1,
            Err(why) => break why,
        }
        assert!(sent < 100, "a FIFO has an end");
    };
    assert_eq!(why, "the plugin does not read");
    assert_eq!(delivery.pending(), sent, "all that it has not read is known");
    let mut fifo = held.lock().pop().expect("open");
    let reading = tokio::spawn(async move {
        let (mut frames, mut chunk, mut count) = (Frames::default(), vec![0; 65536], 0);
        while let Ok(read @ 1..) = fifo.read(&mut chunk).await {
            frames.push(&chunk[..read]);
            while frames.entry().expect("an entry").is_some() {
                count += 1;
            }
        }
        count
    });
    delivery.send(&entry(&long)).await.expect("sent");
    settled(&mut delivery).await;
    delivery.end().await;
    assert_eq!(reading.await.expect("joined"), sent + 1);
}

#[tokio::test]
async fn a_start_fails_in_dockers_words() {
    let server =
        Server::new().implements(interface::LOG).method("LogDriver.StartLogging", |_: StartRequest| async {
            Err::<Nothing, _>(Refusal::new("no way"))
        });
    let stage = Stage::new(server).await;
    let refused = stage.delivery().connect().await.expect_err("refused");
    assert_eq!((refused.as_str(), stage.fifos()), ("error creating logger: no way", 0));
    let nobody = Plugged { name: "nobody".to_owned(), ..stage.driver.clone() };
    let words = "error looking up logging plugin nobody: plugin \"nobody\" not found";
    assert_eq!(nobody.find().await.expect_err("none").to_string(), words);
    let refused = Delivery::new(nobody, info(&record(&[]))).connect().await.expect_err("none");
    assert_eq!(refused, words);
    stage.driver.find().await.expect("there");
}

#[tokio::test]
async fn a_log_that_is_not_read_to_its_end_leaves_no_fifo() {
    let reader = Reader::default();
    let stage = Stage::new(reader.server()).await;
    let mut delivery = stage.delivery();
    delivery.connect().await.expect("started");
    drop(delivery);
    assert_eq!(stage.fifos(), 0);
    std::fs::write(stage.folder.path().join("logging/left"), "").expect("written");
    Fifos::open(stage.folder.path().join("logging")).expect("opened");
    assert_eq!(stage.fifos(), 0, "those of another engine are gone, too");
}

/// A plugin that sends three entries, or cannot read logs.
struct Telling(bool);

impl log::Driver for Telling {
    type Log = Silent;

    async fn start(&self, _info: Info) -> gantry_plugin_sdk::Result<Silent> {
        Ok(Silent)
    }

    fn can_read(&self) -> bool {
        self.0
    }

    async fn read(
        &self,
        _info: Info,
        config: ReadConfig,
    ) -> gantry_plugin_sdk::Result<BoxStream<'static, gantry_plugin_sdk::Result<WireEntry>>> {
        if config.tail == 0 {
            return Err(Refusal::new("it is burnt"));
        }
        assert_eq!(
            (config.tail, config.follow, config.until.as_str()),
            (7, false, "1970-01-01T00:00:00.000000003Z")
        );
        let entry = |time_nano| WireEntry { time_nano, source: "stdout".to_owned(), ..Default::default() };
        Ok(futures::stream::iter((1..5).map(move |time| Ok(entry(time)))).boxed())
    }
}

struct Silent;

impl log::Log for Silent {
    async fn take(&mut self, _entry: WireEntry) {}

    async fn end(self) {}
}

#[tokio::test]
async fn a_plugin_that_can_tell_its_log_is_asked_for_it() {
    let stage = Stage::new(Server::new().logs(Telling(true))).await;
    let Reading::Theirs(theirs) = stage.driver.reading(&record(&[])).await else { panic!("not theirs") };
    let query = LogQuery { since: 2, until: 3, tail: 7, ..LogQuery::default() };
    let mut told = theirs.ask(&query).await.expect("asked");
    let mut times = Vec::new();
    while let Some(entry) = told.next().await.expect("an entry") {
        times.push(entry.time_nano);
    }
    assert_eq!(times, [2, 3], "what the plugin leaves undone is done here");
    let refused = theirs.ask(&LogQuery::default()).await.err();
    assert_eq!(refused.as_deref(), Some("error getting log reader: LogDriver.ReadLogs: it is burnt"));
}

#[tokio::test]
async fn what_a_plugin_cannot_tell_is_kept_here_unless_the_user_says_no() {
    let stage = Stage::new(Server::new().logs(Telling(false))).await;
    assert!(matches!(stage.driver.reading(&record(&[])).await, Reading::Kept));
    let disabled = record(&[("cache-disabled", "true")]);
    assert!(matches!(stage.driver.reading(&disabled).await, Reading::Nobody));
    let gone = Plugged { name: "gone".to_owned(), ..stage.driver.clone() };
    assert!(matches!(gone.reading(&record(&[])).await, Reading::Kept));
}
