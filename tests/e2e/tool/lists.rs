//! Lists in each format.

use gantry_tests::{Node, json_lines};

use super::refused;

#[test]
fn containers_are_listed_as_wanted() {
    let node = Node::start();
    let run = |name: &str, flags: &[&str], command: &[&str]| {
        node.gantry(&[&["run", "-d", "--name", name], flags, &["busybox"], command].concat()).ok()
    };
    let web = run("web", &["-p", "8080:80", "-l", "team=a"], &["sleep", "1000"]);
    run("db", &["--expose", "5432"], &["sleep", "1000"]);
    node.gantry(&["run", "--name", "job", "busybox", "sh", "-c", "exit 3"]);
    let list = |arguments: &[&str]| node.gantry(&[&["ps"], arguments].concat()).ok();
    let names = |arguments: &[&str]| {
        let text = list(&[arguments, &["--format", "{{.Names}}"]].concat());
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(names(&[]), ["db", "web"]);
    assert_eq!(names(&["-a"]), ["job", "db", "web"]);
    assert_eq!(names(&["-l"]), ["job"]);
    assert_eq!(names(&["-n", "2"]), ["job", "db"]);
    assert_eq!(names(&["--filter", "label=team=a"]), ["web"]);
    assert_eq!(names(&["-a", "--filter", "status=exited", "--filter", "exited=3"]), ["job"]);
    assert_eq!(names(&["--filter", "name=^d"]), ["db"]);
    let table = list(&[]);
    assert!(table.contains("0.0.0.0:8080->80/tcp") && table.contains("5432/tcp"), "{table}");
    assert!(table.lines().next().is_some_and(|titles| titles.contains("HEALTH") && titles.contains("PORTS")));
    assert!(list(&["-a"]).contains("Exited (3) "));
    assert_eq!(list(&["-q", "--no-trunc", "--filter", "name=web"]), web);
    assert_eq!(list(&["-q", "--filter", "name=web"]), &web[..12]);
    let shown = list(&["--format", r"table {{.Names}}\t{{.State}}", "--filter", "name=web"]);
    assert_eq!(shown, "NAMES   STATE\nweb     running");
    assert!(list(&["-s", "--filter", "name=web"]).contains("(virtual "));
    let whole = json_lines(&node.gantry(&["--json", "ps"]).ok());
    assert_eq!(whole.len(), 2);
    assert_eq!((&whole[1]["name"], &whole[1]["ports"][0]["host_port"]), (&"web".into(), &8080.into()));
    assert_eq!(json_lines(&list(&["--format", "json"])), whole);
    refused(&node, &["ps", "--filter", "colour=red"], 1, "invalid filter 'colour': it is one of ancestor, ");
    refused(&node, &["ps", "--filter", "name"], 1, "KEY=VALUE is expected");
    refused(&node, &["ps", "--format", "{{.Colour}}"], 1, "there is no field .Colour, but ID, Image, ");
    refused(&node, &["ps", "--format", "{{range .}}"], 1, "is none of what there is");
    refused(&node, &["--json", "ps", "--format", "{{.ID}}"], 1, "--json and --format");
}

#[test]
fn images_are_listed_as_wanted() {
    let node = Node::start();
    node.gantry(&["tag", "busybox", "r.example/team/app:1"]).ok();
    let list = |arguments: &[&str]| node.gantry(&[&["images"], arguments].concat()).ok();
    assert_eq!(list(&["--format", "{{.Repository}} {{.Tag}}", "busybox"]), "busybox latest");
    assert_eq!(list(&["--format", "{{.Name}}", "--filter", "reference=*/*/app"]), "r.example/team/app:1");
    assert_eq!(list(&["-q", "--filter", "dangling=true"]), "");
    assert_eq!(list(&["-q"]).len(), 12);
    assert!(list(&["--digests"]).lines().next().is_some_and(|titles| titles.contains("DIGEST")));
    node.gantry(&["create", "--name", "box", "busybox"]).ok();
    let whole = json_lines(&node.gantry(&["--json", "images"]).ok());
    assert_eq!((whole.len(), &whole[0]["containers"]), (1, &1.into()));
    assert_eq!(whole[0]["names"].as_array().map(Vec::len), Some(2));
    refused(&node, &["images", "--filter", "size=1"], 1, "invalid filter 'size'");
    refused(&node, &["images", "--filter", "dangling=maybe"], 1, "invalid filter");
    refused(&node, &["images", "--format", "{{.Colour}}"], 1, "there is no field .Colour");
}

#[test]
fn objects_are_inspected_one_document_a_line() {
    let node = Node::start();
    node.gantry(&["create", "--name", "box", "busybox"]).ok();
    node.gantry(&["volume", "create", "data"]).ok();
    let found = json_lines(&node.gantry(&["--json", "inspect", "box", "busybox", "data", "bridge"]).ok());
    let kinds: Vec<_> = found.iter().map(|one| one["kind"].as_str().unwrap_or_default()).collect();
    assert_eq!(kinds, ["container", "image", "volume", "network"]);
    let pretty = node.gantry(&["inspect", "box"]).ok();
    assert!(pretty.starts_with("{\n"), "{pretty}");
    let some = node.gantry(&["--json", "inspect", "nothing", "box"]);
    assert_eq!((some.code, json_lines(&some.stdout).len()), (1, 1));
    node.gantry(&["volume", "rm", "data"]).ok();
}
