//! Metrics, and traces in the logs.

use std::path::Path;
use std::time::Duration;

use gantry_tests::{Node, Outcome, eventually};

fn curl(node: &Node, arguments: &[&str]) -> Outcome {
    let mut command = node.inside(Path::new("curl"));
    command.args(["-sS", "--fail"]).args(arguments);
    Outcome::of(command, b"")
}

/// The value of the sample that begins with `name`.
fn sample(text: &str, name: &str) -> f64 {
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in {text}"));
    line.rsplit(' ').next().and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("a number: {line}"))
}

#[test]
fn metrics_of_all_services_are_one_text() {
    let node = Node::start();
    node.docker(&["run", "--rm", "busybox", "true"]).ok();
    let text = node.gantry(&["metrics"]).ok();
    for service in gantry_descriptor::names() {
        let of = |name: &str| sample(&text, &format!("{name}{{service=\"{service}\""));
        assert_eq!(of("gantry_up"), 1.0, "{service}");
        assert!(of("process_resident_memory_bytes") > 1e6, "{service}");
        assert!(of("process_open_fds") > 3.0, "{service}");
        assert!(of("process_start_time_seconds") > 1.7e9, "{service}");
    }
    let method = "method=\"gantry.engine.v1.Containers/Create\"";
    assert_eq!(
        sample(&text, &format!("gantry_rpc_calls_total{{service=\"engine\",{method},code=\"OK\"}}")),
        1.0
    );
    assert_eq!(sample(&text, &format!("gantry_rpc_call_seconds_count{{service=\"engine\",{method}}}")), 1.0);
    assert!(sample(&text, "gantry_content_committed_bytes_total{service=\"content\"}") > 1e5);
    assert_eq!(text.matches("# TYPE gantry_rpc_calls counter").count(), 1, "declared once");
    assert!(text.ends_with("# EOF"));

    let socket = node.socket("content.sock");
    let alone = curl(&node, &["--unix-socket", &socket.to_string_lossy(), "http://content/metrics"]).ok();
    assert!(alone.contains("gantry_content_blobs_committed_total") && !alone.contains("service=\"engine\""));
    assert_eq!(node.gantry(&["metrics", "nobody"]).code, 125);
}

#[test]
fn settings_are_read_from_files_and_prometheus_finds_its_address() {
    let node = Node::empty();
    node.gantry(&["down"]).ok();
    let folder = node.root().join("settings");
    std::fs::create_dir(&folder).expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("written");
    write("gateway.toml", "metrics = \"127.0.0.1:9464\"\nlog = \"debug\"");
    write("content.toml", "no_such_key = 1");
    let up = |arguments: &[&str]| {
        let config = folder.to_string_lossy();
        node.gantry(&[&["up", "--detach", "--config", &config], arguments].concat())
    };
    let told = up(&[]).fails(125);
    assert!(told.contains("content does not start: ") && told.contains("no_such_key"), "{told}");
    write("content.toml", "");
    up(&[]).ok();
    let text = curl(&node, &["http://127.0.0.1:9464/metrics"]).ok();
    assert_eq!(sample(&text, "gantry_up{service=\"engine\"}"), 1.0);
    assert_ne!(curl(&node, &["http://127.0.0.1:9464/"]).code, 0);
    assert!(node.logs().contains("DEBUG"), "the file's log level");
}

#[test]
fn one_request_has_one_trace_in_every_log() {
    let node = Node::start();
    node.gantry(&["down"]).ok();
    node.gantry(&["up", "--detach", "--log", "info,gantry_daemon=debug"]).ok();
    let id = "0af7651916cd43dd8448eb211c80319c";
    let header = format!("traceparent: 00-{id}-b7ad6b7169203331-01");
    let socket = node.socket("docker.sock");
    let post = |path: &str, body: &str| {
        let url = format!("http://docker{path}");
        let arguments = ["--unix-socket", &socket.to_string_lossy(), "-H", &header];
        let kind = ["-H", "Content-Type: application/json", "-X", "POST", "-d", body, &url];
        curl(&node, &[&arguments[..], &kind].concat()).ok()
    };
    post("/containers/create?name=box", r#"{"Image":"busybox","Cmd":["sleep","1000"]}"#);
    post("/containers/box/start", "");
    for service in ["engine", "images", "snapshots", "tasks", "network"] {
        eventually(&format!("the trace in {service}'s log"), Duration::from_secs(5), || {
            let path = node.root().join(format!("state/log/{service}.log"));
            let log = std::fs::read_to_string(path).unwrap_or_default();
            if log.contains(&format!("trace={id}")) { Ok(()) } else { Err(log) }
        });
    }
    node.docker(&["rm", "-f", "box"]).ok();
}
