//! Tests of the plugin, called as by an engine, with a collector.

#![allow(clippy::disallowed_methods, reason = "the work of a test ends with it")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use gantry_log_otlp::testing::Collector;
use gantry_log_otlp::wire::Value;
use gantry_log_otlp::{Otlp, server};
use gantry_plugin_sdk::interface;
use gantry_plugin_sdk::testing::Served;
use gantry_plugin_sdk::wire::Nothing;
use gantry_plugin_sdk::wire::log::{Entry, Info, Piece, StartRequest, StopRequest};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe::{OpenOptions, Sender};

const PATIENCE: Duration = Duration::from_secs(60);

/// A container's FIFO.
struct Fifo {
    path: PathBuf,
    writer: Sender,
}

/// The served plugin and a collector.
struct Stage {
    folder: tempfile::TempDir,
    served: Served,
    collector: Collector,
}

impl Stage {
    async fn start() -> Stage {
        let folder = tempfile::tempdir().expect("a folder");
        let collector = Collector::default();
        let endpoint = format!("http://{}", collector.start().await);
        let served = Served::start(server(Otlp { endpoint }), folder.path(), "otlp").await;
        Stage { folder, served, collector }
    }

    async fn call(&self, method: &str, asked: &impl serde::Serialize) -> Result<Nothing, String> {
        let plugin = self.served.plugin(interface::LOG).await;
        plugin.call(method, asked, PATIENCE).await.map_err(|error| error.to_string())
    }

    async fn log(&self, name: &str, options: &[(&str, &str)]) -> Fifo {
        let path = self.folder.path().join(name);
        make_fifo(&path);
        let file = path.display().to_string();
        self.call("LogDriver.StartLogging", &StartRequest { file, info: info(name, options) })
            .await
            .expect("started");
        let writer = OpenOptions::new().open_sender(&path).expect("it is read");
        Fifo { path, writer }
    }

    async fn stop(&self, fifo: Fifo) {
        let file = fifo.path.display().to_string();
        self.call("LogDriver.StopLogging", &StopRequest { file }).await.expect("stopped");
    }

    async fn lines(&self, count: usize) -> Vec<String> {
        wait(|| self.collector.lines().len() >= count).await;
        self.collector.lines()
    }
}

fn make_fifo(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status().expect("it runs");
    assert!(made.success());
}

fn info(name: &str, options: &[(&str, &str)]) -> Info {
    Info {
        config: options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        container_id: "0123".to_owned(),
        container_name: format!("/{name}"),
        container_image_id: "sha256:45".to_owned(),
        container_image_name: "busybox".to_owned(),
        container_env: vec!["STAGE=test".to_owned(), "SECRET=1".to_owned()],
        container_labels: [("team".to_owned(), "blue".to_owned())].into(),
        ..Info::default()
    }
}

fn entry(source: &str, line: &str) -> Entry {
    Entry {
        source: source.to_owned(),
        time_nano: 1_700_000_000_000_000_005,
        line: line.into(),
        ..Entry::default()
    }
}

impl Fifo {
    async fn say(&mut self, entries: &[Entry]) {
        for entry in entries {
            self.writer.write_all(&entry.frame()).await.expect("written");
        }
    }
}

async fn wait(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it becomes so");
}

#[tokio::test]
async fn lines_come_with_who_said_them() {
    let stage = Stage::start().await;
    let options = [("labels", "team"), ("env-regex", "^STA"), ("otlp-headers", "x-test=one")];
    let mut fifo = stage.log("box", &options).await;
    let piece = |line, ordinal, last| Entry {
        partial: true,
        partial_log_metadata: Some(Piece { last, id: "p".to_owned(), ordinal }),
        ..entry("stdout", line)
    };
    fifo.say(&[entry("stderr", "oops"), piece("be", 1, false), piece("gun", 2, true)]).await;
    assert_eq!(stage.lines(2).await, ["oops", "begun"]);
    stage.stop(fifo).await;
    let got = stage.collector.got();
    let text = |text: &str| Value::Text(text.to_owned());
    let expected = [
        ("container.id", "0123"),
        ("container.image.id", "sha256:45"),
        ("container.image.name", "busybox"),
        ("container.label.team", "blue"),
        ("container.name", "box"),
        ("process.environment_variable.STAGE", "test"),
        ("service.name", "box"),
    ];
    let expected = expected.map(|(key, value)| (key.to_owned(), text(value)));
    assert_eq!(got[0].resource, expected.into_iter().collect());
    assert_eq!((got[0].severity, got[1].severity), (17, 9));
    assert_eq!(got[0].time, 1_700_000_000_000_000_005);
    assert_eq!(got[0].attributes["log.iostream"], text("stderr"));
    assert_eq!(stage.collector.headers()[0], "one");
    stage.served.stop().await;
}

#[tokio::test]
async fn what_waits_for_a_collector_is_bounded_and_comes_when_it_is_back() {
    let stage = Stage::start().await;
    stage.collector.is_away.store(true, Ordering::Relaxed);
    let mut fifo = stage.log("box", &[("otlp-batch", "10")]).await;
    let line = |number: usize| entry("stdout", &format!("{number:1000}"));
    // Two batches of ten, one record in between, and the content of a FIFO.
    let mut taken = 0;
    while tokio::time::timeout(Duration::from_millis(500), fifo.say(&[line(taken)])).await.is_ok() {
        taken += 1;
        assert!(taken < 200, "it takes whatever comes");
    }
    stage.collector.is_away.store(false, Ordering::Relaxed);
    let lines = stage.lines(taken).await;
    let numbers: Vec<usize> =
        lines.iter().take(taken).map(|line| line.trim().parse().expect("a number")).collect();
    assert_eq!(numbers, (0..taken).collect::<Vec<_>>());
    assert_eq!(stage.collector.lost(), 0);
}

#[tokio::test]
async fn what_is_given_up_or_refused_is_counted_and_told() {
    let stage = Stage::start().await;
    stage.collector.is_away.store(true, Ordering::Relaxed);
    let options = [("otlp-batch", "5"), ("otlp-batch-wait", "50ms"), ("otlp-give-up", "300ms")];
    let mut fifo = stage.log("box", &options).await;
    fifo.say(&["a", "b", "c", "d", "e"].map(|line| entry("stdout", line))).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    stage.collector.is_away.store(false, Ordering::Relaxed);
    fifo.say(&[entry("stdout", "after")]).await;
    assert_eq!(stage.lines(1).await, ["after"]);
    assert_eq!(stage.collector.lost(), 5);
    stage.collector.refuses.store(true, Ordering::Relaxed);
    fifo.say(&[entry("stdout", "never")]).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    stage.collector.refuses.store(false, Ordering::Relaxed);
    stage.collector.is_picky.store(true, Ordering::Relaxed);
    fifo.say(&[entry("stdout", "picked")]).await;
    wait(|| stage.collector.lost() == 6).await;
    stage.collector.is_picky.store(false, Ordering::Relaxed);
    fifo.say(&[entry("stdout", "last")]).await;
    wait(|| stage.collector.lost() == 7).await;
}

#[tokio::test]
async fn a_plugin_that_ends_sends_what_it_has() {
    let stage = Stage::start().await;
    let mut fifo = stage.log("box", &[("otlp-batch-wait", "1h")]).await;
    fifo.say(&[entry("stdout", "one"), entry("stdout", "two")]).await;
    // The plugin has read them.
    tokio::time::sleep(Duration::from_millis(300)).await;
    stage.served.stop().await;
    assert_eq!(stage.collector.lines(), ["one", "two"]);
}

#[tokio::test]
async fn options_that_make_no_sense_are_refused() {
    let stage = Stage::start().await;
    let info = info("box", &[("otlp-colour", "red")]);
    let refused =
        stage.call("LogDriver.StartLogging", &StartRequest { file: "/nowhere".to_owned(), info }).await;
    assert_eq!(refused.map(drop), Err("unknown log opt 'otlp-colour' for otlp log driver".to_owned()));
}

/// Answers one request over HTTP/1.1, and returns the request.
fn answer_once(listener: std::net::TcpListener, status: &str, more: &str) -> (String, Vec<u8>) {
    use std::io::{BufRead, BufReader, Read};
    let (stream, _) = listener.accept().expect("a connection");
    let mut reader = BufReader::new(&stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line");
        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().expect("a number");
        }
        if line == "\r\n" {
            break;
        }
        head += &line;
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    let answer = format!("HTTP/1.1 {status}\r\n{more}Content-Length: 0\r\nConnection: close\r\n\r\n");
    (&stream).write_all(answer.as_bytes()).expect("answered");
    (head, body)
}

#[tokio::test]
async fn http_is_spoken_too_and_asked_again_when_it_is_told() {
    let stage = Stage::start().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}/base", listener.local_addr().expect("an address"));
    let again = listener.try_clone().expect("a second one");
    let options = [("otlp-endpoint", endpoint.as_str()), ("otlp-protocol", "http/protobuf")];
    let mut fifo = stage.log("box", &options).await;
    fifo.say(&[entry("stdout", "by post")]).await;
    let answering = tokio::task::spawn_blocking(move || {
        answer_once(listener, "503 Busy", "Retry-After: 1\r\n");
        answer_once(again, "200 OK", "")
    });
    let (head, body) = answering.await.expect("joined");
    assert!(head.starts_with("POST /base/v1/logs HTTP/1.1\r\n"), "{head}");
    assert!(head.to_ascii_lowercase().contains("content-type: application/x-protobuf"), "{head}");
    let other = Collector::default();
    other.take(&body).expect("a message");
    assert_eq!(other.lines(), ["by post"]);
}
