//! The gateway through its real socket, with an engine behind it that behaves.

#![allow(clippy::disallowed_methods, reason = "the work of a test ends with it")]

mod engine;
mod http;

use std::path::Path;
use std::time::Duration;

use gantry_api::engine::containers::{Inspect as _, Manage as _, Sizes};
use gantry_api::tasks::{Cause, Stage, StartFailure};
use gantry_fakes::Program;
use gantry_gateway::App;
use gantry_http::Listener;
use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, read_to_end};
use crate::http::{Client, request};

/// A gateway in a temporary directory, with or without an engine.
struct Gateway {
    directory: tempfile::TempDir,
    shutdown: CancellationToken,
}

impl Gateway {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let shutdown = CancellationToken::new();
        let app = App::new(directory.path(), None, shutdown.clone());
        let listener = Listener::unix(&directory.path().join("docker.sock"), 0o660).expect("bound");
        tokio::spawn(app.serve(listener));
        Self { directory, shutdown }
    }

    fn run(&self) -> &Path {
        self.directory.path()
    }

    async fn client(&self) -> Client {
        Client::connect(&self.run().join("docker.sock")).await
    }

    /// One request on a connection of its own.
    async fn ask(&self, method: &str, path: &str, body: Option<&str>) -> http::Reply {
        let mut client = self.client().await;
        client.send(&request(method, path, body)).await;
        client.reply().await
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

#[tokio::test]
async fn ping_needs_nobody() {
    let gateway = Gateway::start();
    let reply = gateway.ask("GET", "/_ping", None).await;
    assert_eq!((reply.status, reply.text()), (200, "OK"));
    let rows = [
        ("api-version", "1.51"),
        ("docker-experimental", "false"),
        ("ostype", "linux"),
        ("swarm", "inactive"),
        ("cache-control", "no-cache, no-store, must-revalidate"),
        ("pragma", "no-cache"),
        ("content-type", "text/plain; charset=utf-8"),
    ];
    for (name, value) in rows {
        assert_eq!(reply.header(name), Some(value), "{name}");
    }
    let mut client = gateway.client().await;
    client.send(&request("HEAD", "/v1.41/_ping", None)).await;
    let head = client.head().await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("0")));
}

#[tokio::test]
async fn the_disk_usage_leaves_out_volumes_whose_content_is_elsewhere() {
    use gantry_api::engine::VolumeSpec;
    use gantry_api::engine::volumes::Manage;

    let gateway = Gateway::start();
    let volumes = gantry_fakes::Volumes::default();
    let _engine = gantry_fakes::routes(&gateway.run().join("engine.sock"), volumes.routes());
    let named = |name: &str| VolumeSpec { name: name.to_owned(), ..VolumeSpec::default() };
    let driver_opts = [("type".to_owned(), "nfs".to_owned())].into();
    let of_a_plugin = VolumeSpec { driver: "plugin".to_owned(), ..named("of-a-plugin") };
    for spec in [named("here"), VolumeSpec { driver_opts, ..named("on-a-server") }, of_a_plugin] {
        volumes.create_volume(spec).await.expect("made");
    }
    let usage = gateway.ask("GET", "/system/df?type=volume", None).await.json();
    let told: Vec<_> = usage["Volumes"].as_array().expect("a list").iter().map(|one| &one["Name"]).collect();
    assert_eq!(told, ["here"]);
}

#[tokio::test]
async fn a_refused_body_is_taken_to_its_end() {
    let gateway = Gateway::start();
    let mut client = gateway.client().await;
    for path in ["/nowhere", "/v9.9/images/load", "/images/load?platform=x"] {
        // Far more than sockets hold: one that is not read would stop the client, or break its pipe.
        let mut sent =
            format!("POST {path} HTTP/1.1\r\nHost: d\r\nContent-Length: {}\r\n\r\n", 8 << 20).into_bytes();
        sent.resize(sent.len() + (8 << 20), b'x');
        client.send(&sent).await;
        let reply = client.reply().await;
        assert!(matches!(reply.status, 400 | 404), "{path}: {reply:?}");
    }
    client.send(&request("GET", "/_ping", None)).await;
    assert_eq!(client.reply().await.text(), "OK", "the connection goes on behind the body");
}

#[tokio::test]
async fn a_body_that_was_not_asked_for_is_not_awaited() {
    let gateway = Gateway::start();
    let mut client = gateway.client().await;
    client
        .send(b"POST /nowhere HTTP/1.1\r\nHost: d\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n")
        .await;
    assert_eq!(client.reply().await.status, 404, "and no 100 before it");
    assert_eq!(client.rest().await, b"", "the connection ends");
}

#[tokio::test]
async fn requests_have_as_many_headers_as_their_users_want() {
    let gateway = Gateway::start();
    let mut client = gateway.client().await;
    let more: String = (0..500).map(|at| format!("X-{at}: {at}\r\n")).collect();
    client.send(format!("GET /_ping HTTP/1.1\r\nHost: d\r\n{more}\r\n").as_bytes()).await;
    assert_eq!(client.reply().await.text(), "OK");
}

#[tokio::test]
async fn errors_have_dockers_statuses_and_words() {
    let gateway = Gateway::start();
    let create = "/containers/create";
    let rows = [
        ("GET", "/nothing", None, 404, "page not found"),
        ("PUT", "/containers/x/json", None, 404, "page not found"),
        (
            "GET",
            "/v1.52/info",
            None,
            400,
            "client version 1.52 is too new. Maximum supported API version is 1.51",
        ),
        (
            "GET",
            "/v1.23/info",
            None,
            400,
            "client version 1.23 is too old. Minimum supported API version is 1.24",
        ),
        ("GET", "/v1.x/info", None, 404, "page not found"),
        ("GET", "/containers/json", None, 503, "engine"),
        ("GET", "/networks", None, 503, "network"),
        ("GET", "/images/json", None, 503, "images"),
        ("GET", "/containers/x/logs?stdout=1", None, 503, "engine"),
        ("GET", "/containers/json?filters=%7B%22bad%22:%5B%22x%22%5D%7D", None, 400, "invalid filter 'bad'"),
        ("GET", "/containers/json?limit=abc", None, 400, "strconv.Atoi: parsing \"abc\": invalid syntax"),
        ("GET", "/containers/x/logs", None, 400, "you must choose at least one stream"),
        ("GET", "/containers/x/archive", None, 400, "path cannot be empty"),
        ("GET", "/containers/x/stats?stream=1&one-shot=1", None, 400, "one-shot"),
        ("POST", "/containers/x/wait?condition=foo", None, 400, "invalid condition: \"foo\""),
        ("POST", "/containers/x/rename", None, 400, "Neither old nor new names may be empty"),
        ("POST", "/containers/x/resize?h=a&w=1", None, 400, "invalid resize height"),
        ("POST", "/containers/x/exec", Some("{}"), 400, "No exec command specified"),
        ("POST", create, Some(""), 400, "invalid JSON: got EOF"),
        ("POST", create, Some("{}"), 400, "config cannot be empty"),
        ("POST", create, Some("{\"Image\":1}"), 400, "invalid JSON"),
        ("POST", create, Some("{\"Image\":\"x\"}{}"), 400, "unexpected content after JSON"),
        ("POST", "/networks/create", Some("{\"Name\":\"host\"}"), 403, "predefined"),
        ("POST", "/networks/create", Some("{}"), 400, "name is empty"),
        ("POST", "/images/create?fromImage=UPPER", None, 400, "invalid reference format"),
        ("GET", "/images/search?term=x", None, 501, "not supported"),
        ("POST", "/build", None, 501, "not supported"),
        ("POST", "/commit?container=x&repo=UPPER", None, 400, "invalid reference format"),
        ("POST", "/session", None, 501, "not supported"),
        ("GET", "/containers/x/attach/ws", None, 400, "not websocket protocol"),
        ("GET", "/swarm", None, 503, "This node is not a swarm manager"),
        ("GET", "/services", None, 503, "This node is not a swarm manager"),
        ("GET", "/plugins/x/json", None, 404, "plugin \"x\" not found"),
        ("GET", "/events?since=yesterday", None, 500, "yesterday"),
    ];
    for (method, path, body, status, words) in rows {
        let reply = gateway.ask(method, path, body).await;
        let message = reply.message();
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (status, Some("application/json")),
            "{method} {path}: {message}"
        );
        assert!(message.contains(words), "{method} {path}: {message}");
        assert_eq!(reply.header("api-version"), Some("1.51"));
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_or_of_another_type_is_refused() {
    let gateway = Gateway::start();
    let mut client = gateway.client().await;
    client.send(b"POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n{").await;
    assert_eq!(client.reply().await.status, 413);

    let mut client = gateway.client().await;
    client.send(b"POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}").await;
    let reply = client.reply().await;
    assert_eq!(reply.status, 400);
    assert!(
        reply.message().contains("unsupported Content-Type header (text/plain): must be 'application/json'")
    );

    // Without a length, piece by piece.
    let mut client = gateway.client().await;
    client.send(b"POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let chunk = [b"100000\r\n".as_slice(), &vec![b' '; 0x10_0000], b"\r\n"].concat();
    for _ in 0..5 {
        client.try_send(&chunk).await;
    }
    assert_eq!(client.reply().await.status, 413);
}

#[tokio::test]
async fn a_half_closed_client_is_still_answered() {
    let gateway = Gateway::start();
    let mut client = gateway.client().await;
    client.send(&request("GET", "/version", None)).await;
    client.close_input().await;
    let reply = client.reply().await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json()["Components"][0]["Name"], "Engine");
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let gateway = Gateway::start();
    let mut client = gateway.client().await;
    for _ in 0..3 {
        client.send(&request("GET", "/_ping", None)).await;
        assert_eq!(client.reply().await.status, 200);
        client.send(&request("POST", "/containers/x/attach", None)).await;
        assert_eq!(client.reply().await.status, 503);
        client = gateway.client().await;
    }
}

#[tokio::test]
async fn a_hundred_containers_are_listed() {
    let gateway = Gateway::start();
    let engine = Engine::start(gateway.run()).await;
    // The newest comes first.
    for number in (0..98).rev() {
        engine.make(&format!("c{number}")).await;
    }
    let reply = gateway.ask("GET", "/v1.41/containers/json?all=1", None).await;
    let rows = reply.json();
    assert_eq!((reply.status, rows.as_array().map(Vec::len)), (200, Some(100)));
    assert_eq!(rows[0]["Names"][0], "/c0");
    assert_eq!(rows[0]["Ports"], serde_json::json!([]));
}

#[tokio::test]
async fn a_list_is_kept_until_the_engine_has_a_newer_one() {
    let gateway = Gateway::start();
    let engine = Engine::start(gateway.run()).await;
    let first = async |path: &str| gateway.ask("GET", path, None).await.json()[0]["Names"][0].clone();
    for _ in 0..3 {
        assert_eq!(first("/containers/json").await, "/running");
        assert_eq!(first("/v1.41/containers/json").await, "/running");
        assert_eq!(first("/containers/json?all=1").await, "/running");
    }
    assert_eq!(engine.listed(), 3, "once for each, and each version that reads it");
    engine.rename_container("running", "one").await.expect("renamed");
    for _ in 0..2 {
        assert_eq!(first("/containers/json").await, "/one");
    }
    assert_eq!(engine.listed(), 4);
    for _ in 0..2 {
        assert_eq!(first("/containers/json?size=1").await, "/one");
    }
    assert_eq!(engine.listed(), 6, "sizes are told anew each time");
    // More than are kept.
    for limit in 1..=40 {
        let path = format!("/containers/json?limit={limit}");
        assert_eq!(first(&path).await, "/one");
    }
    engine.rename_container("one", "two").await.expect("renamed");
    assert_eq!(first("/containers/json").await, "/two");
    // What an engine said is not sent when it is away, nor when there is another.
    engine.kill();
    assert_eq!(gateway.ask("GET", "/containers/json", None).await.status, 503);
    let _engine = Engine::start(gateway.run()).await;
    assert_eq!(first("/containers/json").await, "/running");
}

#[tokio::test]
async fn the_engines_answers_become_statuses() {
    let gateway = Gateway::start();
    let _engine = Engine::start(gateway.run()).await;
    let rows = [
        ("POST", "/containers/created/kill", 409),
        ("POST", "/containers/created/start", 204),
        ("POST", "/containers/running/start", 304),
        ("POST", "/containers/unknown/start", 404),
        ("POST", "/containers/running/kill?signal=FOO", 400),
        ("DELETE", "/containers/running", 409),
        ("DELETE", "/containers/running?force=1", 204),
    ];
    for (method, path, status) in rows {
        let reply = gateway.ask(method, path, None).await;
        assert_eq!(reply.status, status, "{method} {path}: {}", String::from_utf8_lossy(&reply.body));
    }
    let reply = gateway.ask("POST", "/containers/running/start", Some("{\"HostConfig\":{}}")).await;
    assert_eq!(reply.status, 400);
}

#[tokio::test]
async fn creation_passes_everything_on() {
    let gateway = Gateway::start();
    let engine = Engine::start(gateway.run()).await;
    engine.network("net");
    let body = r#"{"Image":"busybox","Cmd":["sh"],"Entrypoint":[""],"Tty":true,"HostConfig":{"Binds":["/a:/b"],"Memory":6291456},
        "NetworkingConfig":{"EndpointsConfig":{"net":{"Aliases":["x"]}}}}"#;
    let reply =
        gateway.ask("POST", "/v1.43/containers/create?name=web&platform=linux/amd64", Some(body)).await;
    assert_eq!(reply.status, 201);
    let id = engine.container("web", Sizes::Untold).await.expect("made").id;
    assert_eq!(reply.json(), serde_json::json!({"Id": id, "Warnings": []}));
    let created = engine.spec("web");
    assert_eq!(
        (created.name.as_str(), created.platform.as_str(), created.api_version.as_str()),
        ("web", "linux/amd64", "1.43")
    );
    assert_eq!(created.config.entrypoint.expect("entrypoint"), [""]);
    assert_eq!(created.host.network_mode, "default");
    assert_eq!(created.host.resources.expect("resources").memory, 6 << 20);
    assert_eq!(created.networks["net"].aliases, ["x"]);
    assert_eq!((created.host.masked_paths, created.host.binds), (None, vec!["/a:/b".to_owned()]));
}

#[tokio::test]
async fn a_wait_answers_its_head_at_once() {
    let gateway = Gateway::start();
    let engine = Engine::start(gateway.run()).await;
    let mut client = gateway.client().await;
    client.send(&request("POST", "/containers/running/wait?condition=next-exit", None)).await;
    let head = client.head().await;
    assert_eq!((head.status, head.header("content-type")), (200, Some("application/json")));
    engine.end("running", 7);
    let reply = client.body_of(head).await;
    assert_eq!(reply.json(), serde_json::json!({"StatusCode": 7}));

    assert_eq!(gateway.ask("POST", "/containers/unknown/wait", None).await.status, 404);
}

#[tokio::test]
async fn a_wait_outlives_its_engine() {
    let gateway = Gateway::start();
    let engine = Engine::start(gateway.run()).await;
    let mut client = gateway.client().await;
    client.send(&request("POST", "/containers/running/wait", None)).await;
    let head = client.head().await;
    let engine = engine.again(gateway.run());
    engine.until("a wait is registered", |engine| engine.waiting() > 0).await;
    engine.end("running", 3);
    assert_eq!(client.body_of(head).await.json(), serde_json::json!({"StatusCode": 3}));
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_work() {
    let gateway = Gateway::start();
    let engine = Engine::start(gateway.run()).await;
    let mut client = gateway.client().await;
    client.send(&request("POST", "/containers/running/wait", None)).await;
    client.head().await;
    assert_eq!(engine.waiting(), 1);
    drop(client);
    engine.until("no wait is left", |engine| engine.waiting() == 0).await;
}

#[tokio::test]
async fn attach_answers_before_the_container_starts() {
    let gateway = Gateway::start();
    let engine = Engine::start(gateway.run()).await;
    let mut client = gateway.client().await;
    client.send(b"POST /v1.51/containers/created/attach?stream=1&stdin=1&stdout=1&stderr=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: text/plain\r\n\r\n").await;
    let head = client.head().await;
    assert_eq!((head.status, head.reason.as_str()), (101, "UPGRADED"));
    assert_eq!(head.header("content-type"), Some("application/vnd.docker.multiplexed-stream"));
    assert_eq!(head.header("upgrade"), Some("tcp"));

    let start = async { gateway.ask("POST", "/containers/created/start", None).await.status };
    let attached = async {
        let mut attached = engine.attached().await;
        assert!(attached.streams.stdin && attached.streams.stdout && attached.streams.stdin_once);
        client.send(b"typed").await;
        client.close_input().await;
        assert_eq!(read_to_end(&mut attached.stream).await, "typed");
        attached.stream.write_all(b"\x01\0\0\0\0\0\0\x03out").await.expect("sent");
    };
    let (started, ()) = tokio::join!(start, attached);
    assert_eq!(started, 204, "the engine was told that the client is connected");
    assert_eq!(client.rest().await, b"\x01\0\0\0\0\0\0\x03out");
    assert!(!engine.is_awaited("created"));
}

#[tokio::test]
async fn old_clients_get_their_raw_stream_with_200() {
    let gateway = Gateway::start();
    let engine = Engine::start(gateway.run()).await;
    let mut client = gateway.client().await;
    client.send(b"POST /v1.41/containers/running/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n").await;
    engine.attached().await.stream.write_all(b"raw output").await.expect("sent");
    let all = String::from_utf8(client.rest().await).expect("text");
    assert_eq!(all, "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\nraw output");
}

#[tokio::test]
async fn a_refused_attach_is_plain_text() {
    let gateway = Gateway::start();
    let _engine = Engine::start(gateway.run()).await;
    let mut client = gateway.client().await;
    client.send(b"POST /containers/unknown/attach?stream=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n").await;
    let reply = client.reply().await;
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (404, Some("application/vnd.docker.raw-stream"))
    );
    assert_eq!(reply.text(), "unknown: no such container\r\n");
}

#[tokio::test]
async fn an_exec_ends_when_its_exit_code_is_known() {
    let gateway = Gateway::start();
    let engine = Engine::start(gateway.run()).await;
    let id = engine.note("true").await;
    let mut client = gateway.client().await;
    client.send(&http::upgrade(&format!("/exec/{id}/start"), r#"{"Detach":false,"Tty":false}"#)).await;
    assert_eq!(client.head().await.status, 101);
    let mut attached = engine.attached().await;
    assert_eq!(attached.exec.as_deref(), Some(id.as_str()));
    attached.stream.write_all(b"\x01\0\0\0\0\0\0\x02hi").await.expect("sent");
    drop(attached);
    let reading = tokio::spawn(async move { client.rest().await });
    engine.until("it runs", |engine| engine.runs(&id)).await;
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert!(!reading.is_finished(), "the exit code is not known yet");
    engine.end_exec(&id, 5);
    assert_eq!(reading.await.expect("joined"), b"\x01\0\0\0\0\0\0\x02hi");
    let reply = gateway.ask("GET", &format!("/exec/{id}/json"), None).await;
    assert_eq!((&reply.json()["ExitCode"], &reply.json()["Running"]), (&5.into(), &false.into()));
}

#[tokio::test]
async fn an_exec_that_cannot_start_says_why() {
    let gateway = Gateway::start();
    let engine = Engine::start(gateway.run()).await;
    let missing = StartFailure { cause: Cause::NotFound, errno: 2, stage: Stage::Execute };
    engine.install("bad", Program::Fails(missing));
    let id = engine.note("bad").await;
    let mut client = gateway.client().await;
    client.send(&http::upgrade(&format!("/exec/{id}/start"), r#"{"Detach":false,"Tty":false}"#)).await;
    assert_eq!(client.head().await.status, 101);
    drop(engine.attached().await);
    let rest = client.rest().await;
    assert_eq!(
        (&rest[..4], &rest[8..]),
        (&b"\x01\0\0\0"[..], &b"bad: executable file not found in $PATH\r\n"[..])
    );

    assert_eq!(gateway.ask("POST", "/exec/unknown/start", Some("{}")).await.status, 404);
    let path = format!("/exec/{}/start", engine.note("true").await);
    assert_eq!(gateway.ask("POST", &path, Some(r#"{"Detach":true}"#)).await.status, 200);
}

#[tokio::test]
async fn events_are_lines() {
    let gateway = Gateway::start();
    let _engine = Engine::start(gateway.run()).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let path = format!("/events?until={}.{:09}", now.as_secs(), now.subsec_nanos());
    let reply = gateway.ask("GET", &path, None).await;
    let lines: Vec<serde_json::Value> =
        reply.text().lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect();
    let actions: Vec<_> = lines.iter().map(|line| line["Action"].as_str().expect("an action")).collect();
    assert_eq!(actions, ["create", "create", "start"]);
}

#[tokio::test]
async fn logs_are_spliced() {
    let gateway = Gateway::start();
    let engine = Engine::start(gateway.run()).await;
    engine.print("running", "log");
    let reply = gateway.ask("GET", "/containers/running/logs?stdout=1", None).await;
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, Some("application/vnd.docker.multiplexed-stream"))
    );
    assert_eq!(reply.body, b"\x01\0\0\0\0\0\0\x04log\n");
    let reply = gateway.ask("GET", "/v1.41/containers/running/logs?stdout=1", None).await;
    assert_eq!(reply.header("content-type"), Some("application/vnd.docker.raw-stream"));
    assert_eq!(gateway.ask("GET", "/containers/unknown/logs?stdout=1", None).await.status, 404);
}

#[tokio::test]
async fn a_followed_log_goes_on_with_the_next_engine() {
    let gateway = Gateway::start();
    let engine = Engine::start(gateway.run()).await;
    engine.print("running", "log");
    let mut client = gateway.client().await;
    client.send(&request("GET", "/containers/running/logs?stdout=1&follow=1", None)).await;
    let head = client.head().await;
    client.until(b"log\n").await;
    let engine = engine.again(gateway.run());
    engine.until("the log is followed again", |engine| engine.telling() > 0).await;
    engine.print("running", "more");
    engine.end("running", 0);
    let body = client.body_of(head).await.body;
    assert_eq!(body, b"\x01\0\0\0\0\0\0\x04log\n\x01\0\0\0\0\0\0\x05more\n");
}

#[tokio::test]
async fn a_log_whose_engine_says_nothing_of_its_end_has_none() {
    let gateway = Gateway::start();
    let _engine = Engine::dying(gateway.run()).await;
    let mut client = gateway.client().await;
    client.send(&request("GET", "/containers/running/logs?stdout=1&tail=1", None)).await;
    assert_eq!(client.head().await.status, 200);
    let rest = client.rest().await;
    assert!(rest.windows(4).any(|piece| piece == b"log\n") && !rest.ends_with(b"0\r\n\r\n"), "{rest:?}");
}

#[tokio::test]
async fn a_followed_log_that_cannot_go_on_has_no_end() {
    let gateway = Gateway::start();
    let engine = Engine::start(gateway.run()).await;
    engine.print("running", "log");
    let mut client = gateway.client().await;
    client.send(&request("GET", "/containers/running/logs?stdout=1&follow=1&tail=1", None)).await;
    client.head().await;
    client.until(b"log\n").await;
    engine.kill();
    let _engine = Engine::start(gateway.run()).await;
    assert!(!client.rest().await.ends_with(b"0\r\n\r\n"), "no last chunk");
}

#[tokio::test]
async fn archives_go_in_and_out() {
    let gateway = Gateway::start();
    let _engine = Engine::start(gateway.run()).await;
    for (archive, status) in [(&[0; 1024][..], 200), (b"bad", 400)] {
        let mut client = gateway.client().await;
        let head = format!(
            "PUT /containers/running/archive?path=/ HTTP/1.1\r\nHost: d\r\nContent-Length: {}\r\n\r\n",
            archive.len()
        );
        client.send(&[head.as_bytes(), archive].concat()).await;
        let reply = client.reply().await;
        assert_eq!(reply.status, status, "{}", String::from_utf8_lossy(&reply.body));
    }
    let reply = gateway.ask("GET", "/containers/running/archive?path=/etc/passwd", None).await;
    assert_eq!(
        (reply.status, reply.header("content-type"), &reply.body[..6], reply.body.len()),
        (200, Some("application/x-tar"), &b"passwd"[..], 4 * 512)
    );
    use base64::Engine as _;
    let stat = reply.header("x-docker-container-path-stat").expect("the path's state");
    let stat = base64::engine::general_purpose::STANDARD.decode(stat).expect("base64");
    assert_eq!(
        String::from_utf8(stat).expect("text"),
        r#"{"name":"passwd","size":30,"mode":420,"mtime":"0001-01-01T00:00:00Z","linkTarget":""}"#
    );
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_an_archive_ends_its_unpacking() {
    let gateway = Gateway::start();
    let engine = Engine::start(gateway.run()).await;
    let mut client = gateway.client().await;
    client
        .send(
            b"PUT /containers/running/archive?path=/ HTTP/1.1\r\nHost: d\r\nContent-Length: 100\r\n\r\nfull",
        )
        .await;
    engine.until("the archive is being taken", |engine| engine.taking() == 1).await;
    drop(client);
    engine.until("the archive has ended", |engine| engine.taking() == 0).await;
}

#[tokio::test]
async fn an_archive_that_its_sender_does_not_end_is_not_passed_for_whole() {
    let gateway = Gateway::start();
    let _engine = Engine::dying(gateway.run()).await;
    let mut client = gateway.client().await;
    client.send(&request("GET", "/containers/running/archive?path=/etc/passwd", None)).await;
    assert!(!client.rest().await.ends_with(b"0\r\n\r\n"), "no last chunk");
}

#[tokio::test]
async fn events_of_an_engine_that_died_have_no_end() {
    let gateway = Gateway::start();
    let engine = Engine::start(gateway.run()).await;
    let mut client = gateway.client().await;
    client.send(&request("GET", "/events", None)).await;
    client.head().await;
    engine.kill();
    assert!(!client.rest().await.ends_with(b"0\r\n\r\n"), "no last chunk");
}

#[tokio::test]
async fn a_request_in_flight_is_answered_at_the_end_of_the_gateway() {
    let gateway = Gateway::start();
    let engine = Engine::start(gateway.run()).await;
    let mut waiting = gateway.client().await;
    waiting.send(&request("POST", "/containers/running/wait", None)).await;
    let head = waiting.head().await;
    let mut idle = gateway.client().await;
    idle.send(&request("GET", "/_ping", None)).await;
    idle.reply().await;
    gateway.shutdown.cancel();
    assert_eq!(idle.rest().await, b"", "an idle connection is closed");
    engine.end("running", 4);
    assert_eq!(waiting.body_of(head).await.json(), serde_json::json!({"StatusCode": 4}));
}
