//! Invalid and endless HTTP requests: each gets a status and `{"message": …}`, and other clients are served.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use gantry_tests::Node;

fn connect(node: &Node) -> UnixStream {
    let stream = UnixStream::connect(node.socket("docker.sock")).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("set");
    stream.set_write_timeout(Some(Duration::from_secs(60))).expect("set");
    stream
}

/// Reads the status line and the body.
fn answer(mut stream: UnixStream) -> (String, String) {
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert!(!is_timeout(&error), "no end of the answer: {:?}", String::from_utf8_lossy(&answer));
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
}

/// Whether the error is a timeout of [`connect`] (socket(7)).
fn is_timeout(error: &std::io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock
}

fn request(method: &str, path: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[track_caller]
fn is_refused(node: &Node, text: &str, status: &str) -> String {
    let mut stream = connect(node);
    stream.write_all(text.as_bytes()).expect("written");
    let (line, body) = answer(stream);
    assert_eq!(line.split(' ').nth(1), Some(status), "{text}: {line} {body}");
    message(&body)
}

#[track_caller]
fn message(body: &str) -> String {
    let value: serde_json::Value =
        serde_json::from_str(body).unwrap_or_else(|_| panic!("{body:?} is no JSON"));
    let message = value["message"].as_str().unwrap_or_else(|| panic!("{body} has no message"));
    assert!(!message.is_empty(), "{body}");
    message.to_owned()
}

#[test]
fn bodies_of_wrong_types() {
    let node = Node::start();
    node.docker(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).ok();
    let exec = node.docker(&["inspect", "-f", "{{.Id}}", "box"]).ok();
    let routes = [
        ("/containers/create", r#"{"Image": 5}"#),
        ("/containers/create", r#"{"Image": "busybox", "Cmd": 7}"#),
        ("/containers/create", r#"{"Image": "busybox", "Cmd": [7]}"#),
        ("/containers/create", r#"{"Image": "busybox", "Env": {"A": "B"}}"#),
        ("/containers/create", r#"{"Image": "busybox", "Tty": "yes"}"#),
        ("/containers/create", r#"{"Image": "busybox", "HostConfig": []}"#),
        ("/containers/create", r#"{"Image": "busybox", "HostConfig": {"Memory": "1g"}}"#),
        ("/containers/create", r#"{"Image": "busybox", "HostConfig": {"Memory": 1e300}}"#),
        ("/containers/create", r#"{"Image": "busybox", "HostConfig": {"Binds": "a:b"}}"#),
        ("/containers/create", r#"{"Image": "busybox", "HostConfig": {"PortBindings": [1]}}"#),
        ("/containers/create", r#"{"Image": "busybox", "HostConfig": {"RestartPolicy": "always"}}"#),
        ("/containers/create", r#"{"Image": "busybox", "NetworkingConfig": 1}"#),
        ("/containers/create", "[]"),
        ("/containers/create", "null trailing"),
        ("/containers/create", "{\"Image\": \"x\"} trailing"),
        ("/containers/create", "not json"),
        ("/containers/create", ""),
        ("/containers/box/exec", r#"{"Cmd": 7}"#),
        ("/containers/box/exec", r#"{"Cmd": ["ls"], "Tty": 1}"#),
        ("/containers/box/update", r#"{"Memory": "much"}"#),
        ("/networks/create", r#"{"Name": 5}"#),
        ("/networks/create", r#"{"Name": "n", "IPAM": {"Config": {}}}"#),
        ("/networks/bridge/connect", r#"{"Container": []}"#),
        ("/volumes/create", r#"{"Name": {}}"#),
        ("/volumes/create", r#"{"Name": "v", "DriverOpts": ["a"]}"#),
        ("/auth", r#"{"username": 1}"#),
    ];
    for (path, body) in routes {
        is_refused(&node, &request("POST", &format!("/v1.51{path}"), body), "400");
    }
    // Nested deeper than any real request.
    let deep = format!("{{\"Image\": \"busybox\", \"Labels\": {}", "[".repeat(100_000));
    is_refused(&node, &request("POST", "/v1.51/containers/create", &deep), "400");
    assert_eq!(node.docker(&["ps", "-aq", "--no-trunc"]).ok(), exec);
    assert_eq!(node.docker(&["volume", "ls", "-q"]).ok(), "");
    assert_eq!(node.docker(&["exec", "box", "echo", "alive"]).ok(), "alive");
}

#[test]
fn paths_versions_and_parameters() {
    let node = Node::empty();
    for (method, path, status) in [
        ("POST", "/v9.99/containers/create", "400"),
        ("POST", "/v1.1/containers/create", "400"),
        ("GET", "/v1.999999999999/info", "400"),
        ("GET", "/v1.52/info", "400"),
        ("GET", "/v1.23/info", "400"),
        ("POST", "/v1.51/no/such/path", "404"),
        ("GET", "/containers/../../etc/passwd", "404"),
        ("BREW", "/v1.51/info", "404"),
        ("POST", "/v1.51/containers/x/resize?h=a&w=b", "400"),
        ("POST", "/v1.51/containers/x/stop?t=soon", "400"),
        ("GET", "/v1.51/containers/json?limit=many", "400"),
        ("GET", "/v1.51/containers/json?filters=%7B", "400"),
        ("GET", "/v1.51/containers/json?filters=%5B1%5D", "400"),
        ("GET", "/v1.51/containers/x/logs", "400"),
        ("GET", "/v1.51/containers/x/logs?stdout=1&tail=some", "404"),
        ("GET", "/v1.51/images/json?filters=%7B%22no%22%3A%5B%22x%22%5D%7D", "400"),
        ("POST", "/v1.51/images/create?fromImage=UPPER%20case", "400"),
        ("POST", "/v1.51/build", "501"),
    ] {
        is_refused(&node, &request(method, path, ""), status);
    }
    let message = is_refused(&node, &request("GET", "/v1.52/info", ""), "400");
    assert!(message.contains("too new") && message.contains("1.51"), "{message}");
    let message = is_refused(&node, &request("GET", "/v1.12/info", ""), "400");
    assert!(message.contains("too old") && message.contains("1.24"), "{message}");
}

#[test]
fn heads_that_are_none() {
    let node = Node::empty();
    for text in [
        "nonsense\r\n\r\n".to_owned(),
        "GET /info HTTP/9.9\r\n\r\n".to_owned(),
        format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(1 << 20)),
        format!("GET /info HTTP/1.1\r\nHost: x\r\n{}\r\n", "X-Header: y\r\n".repeat(100_000)),
        "POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n".to_owned(),
        "POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"
            .to_owned(),
    ] {
        let mut stream = connect(&node);
        // The server may close the connection before it has read everything.
        let _ = stream.write_all(text.as_bytes());
        let (line, _) = answer(stream);
        assert!(line.is_empty() || line.starts_with("HTTP/1.1 4"), "{:.60}: {line}", text);
    }
    assert_eq!(node.docker(&["ps", "-q"]).ok(), "");
}

const ENDLESS: &str = "POST /v1.51/containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                       Connection: close\r\n";

#[test]
fn a_body_that_is_too_long_is_cut_off() {
    let node = Node::empty();
    let mut stream = connect(&node);
    stream.write_all(format!("{ENDLESS}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).expect("written");
    let chunk = format!("{:x}\r\n{}\r\n", 65536, "[".repeat(65536));
    let refused = (0..4096).find_map(|_| stream.write_all(chunk.as_bytes()).err());
    let refused = refused.expect("not 256 MB of JSON are read");
    assert!(!is_timeout(&refused), "the client is told");
    // A request whose header says that it is too long is refused at once.
    let mut stream = connect(&node);
    stream.write_all(format!("{ENDLESS}Content-Length: 99999999999\r\n\r\n").as_bytes()).expect("written");
    let (line, body) = answer(stream);
    assert!(line.contains(" 413 ") && message(&body).contains("larger than"), "{line} {body}");
    assert_eq!(node.docker(&["ps", "-q"]).ok(), "");
}

#[test]
fn bodies_that_never_end_are_given_up() {
    let node = Node::start();
    let began = Instant::now();
    // Many connections that each send a byte, and then one more now and then.
    let streams: Vec<_> = (0..200)
        .map(|_| {
            let mut stream = connect(&node);
            let head = format!("{ENDLESS}Transfer-Encoding: chunked\r\n\r\n1\r\n{{\r\n");
            stream.write_all(head.as_bytes()).expect("written");
            stream
        })
        .collect();
    assert_eq!(node.docker(&["run", "--rm", "busybox", "echo", "alive"]).ok(), "alive");
    std::thread::scope(|scope| {
        let mut dripping = streams[0].try_clone().expect("a second handle");
        scope.spawn(move || {
            while began.elapsed() < Duration::from_secs(90) && dripping.write_all(b"1\r\n \r\n").is_ok() {
                std::thread::sleep(Duration::from_millis(500));
            }
        });
        for stream in streams {
            let (line, body) = answer(stream);
            assert!(line.contains(" 408 ") && message(&body).contains("in time"), "{line} {body}");
        }
    });
    assert!(began.elapsed() < Duration::from_secs(60), "after {:?}", began.elapsed());
    assert_eq!(node.docker(&["ps", "-aq"]).ok(), "");
}

#[test]
fn a_client_that_goes_away_in_the_middle() {
    let node = Node::start();
    let archive =
        "POST /v1.51/images/load HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let import = archive.replace("images/load", "images/create?fromSrc=-&repo=half");
    let head = format!("{ENDLESS}Content-Length: 100\r\n\r\n{{\"Image\":");
    for text in [archive, &import, &head] {
        let mut stream = connect(&node);
        stream.write_all(text.as_bytes()).expect("written");
        drop(stream);
    }
    assert_eq!(node.docker(&["run", "--rm", "busybox", "echo", "alive"]).ok(), "alive");
    assert_eq!(node.docker(&["images", "--format", "{{.Repository}}"]).ok(), "busybox");
    assert_eq!(node.docker(&["ps", "-aq"]).ok(), "");
}
