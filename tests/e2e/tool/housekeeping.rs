//! The host's resources, their use, and what can be removed.

use gantry_tests::{Node, Setup, json_lines};

use super::refused;

#[test]
fn what_nobody_uses_is_counted_and_removed() {
    let node = Node::start();
    node.gantry(&["run", "--name", "done", "busybox", "sh", "-c", "head -c 1000000 /dev/zero > /big"]).ok();
    node.gantry(&["run", "-d", "--name", "busy", "-v", "data:/d", "busybox", "sleep", "1000"]).ok();
    node.gantry(&["volume", "create"]).ok();
    node.gantry(&["net", "create", "unused"]).ok();
    let table = node.gantry(&["df"]).ok();
    assert!(table.starts_with("TYPE") && table.contains("RECLAIMABLE"), "{table}");
    assert!(node.gantry(&["df", "-v"]).ok().contains("busybox:latest"));
    let kinds = json_lines(&node.gantry(&["--json", "df"]).ok());
    let of = |kind: &str| kinds.iter().find(|one| one["type"] == kind).expect("a kind").clone();
    assert_eq!((&of("images")["total"], &of("images")["active"]), (&1.into(), &1.into()));
    assert_eq!((&of("containers")["total"], &of("containers")["active"]), (&2.into(), &1.into()));
    assert!(of("containers")["reclaimable_bytes"].as_u64() >= Some(1_000_000), "{kinds:?}");
    assert_eq!((&of("volumes")["total"], &of("volumes")["active"]), (&2.into(), &1.into()));

    // Without a terminal, the question gets no yes.
    let asked = node.gantry(&["prune"]);
    assert!(asked.stderr.contains("Go on? [y/N]") && asked.stdout.is_empty(), "{asked:#?}");
    let pruned = node.gantry_with(&["prune", "--volumes"], b"y\n").ok();
    for words in ["removed container ", "removed network unused", "removed volume ", "freed 1.0"] {
        assert!(pruned.contains(words), "{words}: {pruned}");
    }
    assert_eq!(node.gantry(&["ps", "-a", "--format", "{{.Names}}"]).ok(), "busy");
    assert_eq!(node.gantry(&["volume", "ls", "-q"]).ok(), "data");
    node.gantry(&["rm", "-f", "busy"]).ok();
    assert!(node.gantry(&["image", "prune", "-af"]).ok().contains("untagged busybox:latest"));
    assert_eq!(node.gantry(&["images", "-q"]).ok(), "");
    node.gantry(&["volume", "rm", "data"]).ok();
    refused(&node, &["prune", "-f", "--filter", "colour=red"], 1, "invalid filter 'colour'");
    refused(&node, &["prune", "-f", "--filter", "until=yesterday"], 1, "yesterday");
    refused(&node, &["prune", "-f", "--volumes", "--filter", "until=1h"], 1, "leave out --volumes");
}

#[test]
fn the_machine_and_its_registries_are_shown() {
    let settings =
        "mirrors = { \"docker.io\" = [\"https://mirror.example\"] }\ninsecure = [\"registry.local:5000\"]";
    let node = Node::with(&Setup { settings: &[("images", settings)], ..Setup::default() });
    let info = node.gantry(&["info"]).ok();
    for words in ["mirrors https://mirror.example", "registry.local:5000; insecure", "docker.sock", "cgroups"]
    {
        assert!(info.contains(words), "{words}: {info}");
    }
    let whole = &json_lines(&node.gantry(&["--json", "info"]).ok())[0];
    assert_eq!(whole["containers"], 0);
    assert!(whole["memory_bytes"].as_u64() > Some(0));
    // Docker's client shows the same.
    let docker = node.docker(&["info"]).ok();
    assert!(docker.contains("https://mirror.example/") && docker.contains("registry.local:5000"), "{docker}");
    assert!(json_lines(&node.gantry(&["--json", "version"]).ok())[0]["services"].is_string());
}
