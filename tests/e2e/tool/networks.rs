//! Networks.

use gantry_tests::{Node, json_lines};

use super::refused;

#[test]
fn networks_are_made_used_and_removed() {
    let node = Node::start();
    let net = |arguments: &[&str]| node.gantry(&[&["net"], arguments].concat());
    let id =
        net(&["create", "--subnet", "10.77.0.0/24", "--gateway", "10.77.0.9", "--label", "team=a", "back"])
            .ok();
    assert_eq!(id.len(), 64);
    let inspected: serde_json::Value =
        serde_json::from_str(&node.docker(&["network", "inspect", "back"]).ok()).expect("JSON");
    assert_eq!(inspected[0]["IPAM"]["Config"][0]["Gateway"], "10.77.0.9");
    node.gantry(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).ok();
    net(&["connect", "--alias", "db", "--ip", "10.77.0.5", "back", "box"]).ok();
    assert!(node.gantry(&["exec", "box", "ip", "addr"]).ok().contains("10.77.0.5/24"));
    let found = &json_lines(&node.gantry(&["--json", "net", "inspect", "back"]).ok())[0];
    assert_eq!(found["endpoints"][0]["ipv4_address"], "10.77.0.5");
    refused(&node, &["net", "rm", "back"], 1, "active endpoints");
    assert!(!net(&["prune", "-f"]).ok().contains("back"));
    net(&["disconnect", "back", "box"]).ok();
    assert!(!node.gantry(&["exec", "box", "ip", "addr"]).ok().contains("10.77.0.5"));
    assert_eq!(net(&["ls", "-q", "--no-trunc", "--filter", "label=team=a"]).ok(), id);
    assert_eq!(
        net(&["ls", "--format", "{{.Name}} {{.Subnets}}", "--filter", "type=custom"]).ok(),
        "back 10.77.0.0/24"
    );
    assert_eq!(json_lines(&node.gantry(&["--json", "net", "ls"]).ok()).len(), 4);
    assert_eq!(net(&["rm", "back"]).ok(), "back");
    net(&["create", "unused"]).ok();
    assert!(net(&["prune", "-f", "--filter", "label!=x"]).ok().contains("removed network unused"));
    let events = node.gantry(&["events", "--since", "1h", "--until", "0s", "--filter", "type=network"]).ok();
    for action in ["create", "connect", "disconnect", "destroy", "prune"] {
        assert!(events.contains(&format!(" network {action} ")), "{action}: {events}");
    }
}

#[test]
fn what_cannot_be_is_told_in_one_line() {
    let node = Node::start();
    refused(&node, &["net", "create", "bridge"], 1, "is always there");
    refused(&node, &["net", "create", "-d", "floppy", "a"], 1, "floppy");
    refused(&node, &["net", "create", "--subnet", "much", "a"], 1, "--subnet much");
    refused(&node, &["net", "create", "--gateway", "10.0.0.1", "a"], 1, "no --subnet has it");
    refused(
        &node,
        &["net", "create", "--subnet", "10.1.0.0/24", "--gateway", "10.2.0.1", "a"],
        1,
        "no --subnet has it",
    );
    refused(&node, &["net", "rm", "nowhere"], 1, "nowhere");
    refused(&node, &["net", "rm", "host"], 1, "pre-defined network");
    refused(&node, &["net", "inspect", "nowhere"], 1, "nowhere");
    refused(&node, &["net", "connect", "bridge", "nobody"], 1, "No such container: nobody");
    refused(&node, &["net", "ls", "--filter", "type=odd"], 1, "invalid filter 'type=odd'");
    node.gantry(&["net", "create", "a"]).ok();
    refused(&node, &["net", "create", "a"], 1, "already exists");
    assert_eq!(node.gantry(&["net", "rm", "-f", "nowhere", "a"]).ok(), "a");
}
