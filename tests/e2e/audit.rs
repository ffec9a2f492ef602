//! The audit record has every change with its caller, if the setting is on.

use std::time::{Duration, Instant};

use gantry_tests::{Node, Setup, json_lines};
use serde_json::Value;

/// The engine's audit record, once it has `count` lines.
fn record(node: &Node, count: usize) -> Vec<Value> {
    let path = node.root().join("state/engine/audit.log");
    let begun = Instant::now();
    loop {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        if text.lines().count() >= count {
            return json_lines(&text);
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{text}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn changes_are_recorded_with_the_client_who_made_them() {
    let node = Node::with(&Setup { settings: &[("engine", "audit = true")], ..Setup::default() });
    node.docker(&["volume", "create", "data"]).ok();
    node.docker(&["volume", "ls"]).ok();
    node.docker(&["volume", "rm", "nothing"]).fails(1);
    let lines = record(&node, 2);
    let methods: Vec<_> = lines.iter().map(|line| line["method"].as_str().unwrap_or_default()).collect();
    assert!(!methods.iter().any(|method| method.ends_with("/List")), "reading is not recorded: {methods:?}");
    for (method, object, code) in [("Create", "data", "OK"), ("Remove", "nothing", "NOT_FOUND")] {
        let method = format!("gantry.engine.v1.Volumes/{method}");
        let line = lines.iter().find(|line| line["method"] == method).unwrap_or_else(|| panic!("{lines:?}"));
        assert_eq!((line["object"].as_str(), line["code"].as_str()), (Some(object), Some(code)), "{line}");
        // The caller is the client's process, not the gateway's.
        let caller = line["caller"].as_str().expect("a caller");
        assert!(caller.starts_with("uid=0 gid=0 pid="), "{line}");
        assert!(!caller.ends_with(&format!("pid={}", node.pid("gateway"))), "{line}");
    }
}
