//! Plugins that violate the protocol: each call fails with the right error and in time.

#![allow(clippy::disallowed_methods, reason = "the work of a test ends with it")]

use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};

use gantry_plugin::wire::Nothing;
use gantry_plugin::{Error, Folders, Patience, Plugin, Plugins, SHORT, interface};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// A plugin that activates correctly, and then answers every call with these bytes.
struct Odd {
    folder: TempDir,
}

impl Odd {
    fn new() -> Odd {
        Odd { folder: tempfile::tempdir().expect("a directory") }
    }

    fn plugins(&self) -> Plugins {
        let folders = Folders { sockets: self.folder.path().to_owned(), specs: Vec::new() };
        Plugins::new(folders)
            .with_patience(Patience { first: Duration::from_millis(10), most: Duration::from_millis(200) })
    }

    /// Serves at `odd.sock`.
    fn serve<F: Future<Output = ()> + Send>(
        &self,
        answer: impl Fn(UnixStream, String) -> F + Clone + Send + 'static,
    ) {
        let listener = listen(&self.folder.path().join("odd.sock"));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let head = head(&mut stream).await;
                let path = head.split_whitespace().nth(1).unwrap_or_default().to_owned();
                match path.as_str() {
                    "/Plugin.Activate" => reply(stream, r#"{"Implements": ["VolumeDriver"]}"#).await,
                    _ => answer(stream, head).await,
                }
            }
        });
    }

    async fn plugin(&self) -> Plugin {
        self.plugins().get("odd", interface::VOLUME).await.expect("activated")
    }
}

fn listen(path: &Path) -> UnixListener {
    UnixListener::bind(path).expect("bound")
}

async fn head(stream: &mut UnixStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0; 1]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).await.is_ok_and(|read| read == 1) {
        head.extend(byte);
    }
    String::from_utf8_lossy(&head).into_owned()
}

async fn reply(mut stream: UnixStream, text: &str) {
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
    // The caller may have disconnected.
    let _ = stream.write_all(answer.as_bytes()).await;
}

async fn call(plugin: &Plugin) -> Result<serde_json::Value, Error> {
    plugin.call("VolumeDriver.List", &Nothing {}, SHORT).await
}

#[tokio::test]
async fn its_own_words_are_told_and_shortened() {
    let odd = Odd::new();
    odd.serve(|stream, _| async { reply(stream, r#"{"Err": "out of paper"}"#).await });
    let refused = call(&odd.plugin().await).await.expect_err("refused");
    assert_eq!(refused.to_string(), "out of paper");

    let odd = Odd::new();
    odd.serve(|stream, _| async {
        reply(stream, &format!("{{\"Err\": \"{}\"}}", "ä".repeat(100_000))).await
    });
    let refused = call(&odd.plugin().await).await.expect_err("refused").to_string();
    assert!(refused.len() < 5000 && refused.ends_with('…'), "{} bytes", refused.len());
}

#[tokio::test]
async fn a_status_comes_with_the_method() {
    let odd = Odd::new();
    odd.serve(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 500 No\r\nContent-Length: 17\r\n\r\n{\"Err\": \"no way\"}").await;
    });
    let refused = call(&odd.plugin().await).await.expect_err("refused");
    assert_eq!(refused.to_string(), "VolumeDriver.List: no way");
    assert!(!refused.is_unknown_method());
}

#[tokio::test]
async fn junk_and_too_much_are_refused() {
    for junk in ["junk", "", "[1]", "{\"a\": "] {
        let odd = Odd::new();
        odd.serve(move |stream, _| async move { reply(stream, junk).await });
        let answered: Result<gantry_plugin::wire::volume::ListResponse, _> =
            odd.plugin().await.call("VolumeDriver.List", &Nothing {}, SHORT).await;
        assert!(matches!(answered, Err(Error::Answer { .. })), "{junk:?}");
    }
    let odd = Odd::new();
    odd.serve(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        let part = vec![b' '; 1 << 16];
        while stream.write_all(&part).await.is_ok() {}
    });
    let error = call(&odd.plugin().await).await.expect_err("endless").to_string();
    assert!(error.ends_with("it has more than 16777216 bytes"), "{error}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_refusal() {
    for (head, body, passing) in [
        ("Content-Length: 100", "{\"Err\": ", true),
        ("Transfer-Encoding: chunked", "8\r\n{\"Err\": \r\n", true),
        ("Transfer-Encoding: chunked", "9\r\n{\"Er", true),
        ("Transfer-Encoding: chunked", "nine\r\n{\"Err\": \r\n", false),
    ] {
        let odd = Odd::new();
        odd.serve(move |mut stream, _| async move {
            let answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}");
            let _ = stream.write_all(answer.as_bytes()).await;
        });
        let error = call(&odd.plugin().await).await.expect_err("half an answer");
        assert_eq!(error.is_passing(), passing, "{head}: {error}");
        assert_eq!(matches!(error, Error::Answer { .. }), !passing, "{head}: {error}");
    }
}

#[tokio::test]
async fn one_that_hangs_is_left_in_time() {
    let odd = Odd::new();
    odd.serve(|stream, _| async move {
        tokio::time::sleep(Duration::from_secs(30)).await;
        drop(stream);
    });
    let plugin = odd.plugin().await;
    let begun = Instant::now();
    let late = plugin.call::<Nothing>("VolumeDriver.List", &Nothing {}, Duration::from_millis(100)).await;
    assert!(matches!(late, Err(Error::Late { .. })));
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn one_that_closes_is_asked_again_and_then_given_up() {
    let odd = Odd::new();
    odd.serve(|stream, _| async move { drop(stream) });
    let error = call(&odd.plugin().await).await.expect_err("closed");
    assert!(error.is_passing(), "{error}");
    // The kernel's error depends on what was left unread.
    let why = error.to_string();
    let said = ["EOF", "connection reset by peer"].iter().any(|words| why.ends_with(words));
    assert!(said && why.starts_with("Post \"http://plugin.moby.localhost/VolumeDriver.List\": "), "{why}");
}

#[tokio::test]
async fn one_that_is_away_for_a_moment_is_waited_for() {
    let odd = Odd::new();
    odd.serve(|stream, _| async { reply(stream, "{}").await });
    let plugin = odd.plugin().await;
    let (socket, aside) = (odd.folder.path().join("odd.sock"), odd.folder.path().join("aside"));
    std::fs::rename(&socket, &aside).expect("moved");
    let back = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        std::fs::rename(aside, socket).expect("moved");
    });
    call(&plugin).await.expect("answered when it was back");
    back.await.expect("joined");
}

#[tokio::test]
async fn a_name_without_a_trace_is_refused_at_once_or_waited_for() {
    let odd = Odd::new();
    let plugins = odd.plugins();
    let missing = plugins.get("odd", interface::VOLUME).await.expect_err("not there");
    assert_eq!(missing.to_string(), "plugin \"odd\" not found");
    let coming = tokio::spawn(async move { plugins.wait_for("odd", interface::VOLUME).await });
    tokio::time::sleep(Duration::from_millis(20)).await;
    odd.serve(|stream, _| async { reply(stream, "{}").await });
    coming.await.expect("joined").expect("it came");
}

#[tokio::test]
async fn one_that_nobody_serves_or_that_does_something_else_is_told_of() {
    let odd = Odd::new();
    drop(listen(&odd.folder.path().join("dead.sock")));
    let plugins = odd.plugins();
    let dead = plugins.get("dead", interface::VOLUME).await.expect_err("dead").to_string();
    let path = odd.folder.path().join("dead.sock");
    let dialled = format!("dial unix {}: connect: connection refused", path.display());
    assert_eq!(
        dead,
        format!("legacy plugin: Post \"http://plugin.moby.localhost/Plugin.Activate\": {dialled}")
    );
    odd.serve(|stream, _| async { reply(stream, "{}").await });
    let other = plugins.get("odd", interface::NETWORK).await.expect_err("a driver of volumes").to_string();
    assert_eq!(
        other,
        "legacy plugin: Plugin does not implement the requested driver: plugin=\"odd\", requested implementation=\"NetworkDriver\""
    );
    let (found, failed) = plugins.all(interface::VOLUME).await;
    assert_eq!(found.iter().map(Plugin::name).collect::<Vec<_>>(), ["odd"]);
    assert_eq!(failed.len(), 1);
    assert_eq!(plugins.active_names(interface::VOLUME), ["odd"]);
}
