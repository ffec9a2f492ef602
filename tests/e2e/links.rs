//! Links between containers, the mechanism before user-defined networks.

use gantry_tests::{Node, Side, sides};
use serde_json::{Value, json};

const SLEEP: [&str; 3] = ["busybox", "sleep", "1000"];

fn run(side: &Side, name: &str, options: &[&str]) -> String {
    let name = side.name(name);
    let arguments = [&["run", "-d", "--name", &name], options, &SLEEP].concat();
    side.docker(&arguments).ok();
    name
}

fn inspected(side: &Side, name: &str, what: &str) -> String {
    side.docker(&["inspect", "-f", what, name]).ok()
}

fn address(side: &Side, name: &str) -> String {
    inspected(side, name, "{{.NetworkSettings.IPAddress}}")
}

/// The names of a container in a list.
fn names(side: &Side, id: &str) -> Vec<String> {
    let (status, list) = side.api("GET", "/containers/json?all=1", "");
    assert_eq!(status, 200);
    let rows = list.as_array().expect("a list");
    let row = rows.iter().find(|row| row["Id"] == id).expect("it is there");
    serde_json::from_value(row["Names"].clone()).expect("names")
}

fn clean(side: &Side, names: &[&String]) {
    let all: Vec<&str> = ["rm", "-f"].into_iter().chain(names.iter().map(|name| name.as_str())).collect();
    side.docker(&all).ok();
}

#[test]
fn a_link_is_a_line_variables_and_a_name() {
    let node = Node::start();
    for side in sides(&node) {
        let db = run(&side, "db", &["-e", "FOO=bar", "--expose", "5432", "--expose", "7000-7001"]);
        let web = run(&side, "web", &["--link", &format!("{db}:my-db"), "--link", &db]);
        let (id, ip) = (inspected(&side, &db, "{{.Id}}"), address(&side, &db));
        let hosts = side.docker(&["exec", &web, "cat", "/etc/hosts"]).ok();
        let short = &id[..12];
        for line in [format!("{ip}\tmy-db {short} {db}"), format!("{ip}\t{db} {short}")] {
            assert!(hosts.lines().any(|known| known == line), "{}: {line}: {hosts}", side.who);
        }
        let variables = side.docker(&["exec", &web, "env"]).ok();
        for (name, value) in [
            ("PORT", format!("tcp://{ip}:5432")),
            ("PORT_5432_TCP", format!("tcp://{ip}:5432")),
            ("PORT_5432_TCP_ADDR", ip.clone()),
            ("PORT_7001_TCP_PROTO", "tcp".to_owned()),
            ("PORT_7000_TCP_PORT_END", "7001".to_owned()),
            ("NAME", format!("/{web}/my-db")),
            ("ENV_FOO", "bar".to_owned()),
        ] {
            let line = format!("MY_DB_{name}={value}");
            assert!(variables.lines().any(|known| known == line), "{}: {line}: {variables}", side.who);
        }
        let first = side.docker(&["exec", &web, "cat", "/proc/1/environ"]).ok();
        assert!(first.contains("MY_DB_ENV_FOO=bar"), "{}: {first}", side.who);

        // The container is found by each of its names.
        let links = inspected(&side, &web, "{{json .HostConfig.Links}}");
        let mut links: Vec<String> = serde_json::from_str(&links).expect("a list");
        links.sort();
        let mut expected = vec![format!("/{db}:/{web}/{db}"), format!("/{db}:/{web}/my-db")];
        expected.sort();
        assert_eq!(links, expected, "{}", side.who);
        assert_eq!(inspected(&side, &format!("{web}/my-db"), "{{.Id}}"), id, "{}", side.who);
        let mut listed = names(&side, &id);
        assert_eq!(listed.remove(0), format!("/{db}"), "{}", side.who);
        listed.sort();
        let mut expected = vec![format!("/{web}/my-db"), format!("/{web}/{db}")];
        expected.sort();
        assert_eq!(listed, expected, "{}", side.who);

        // The links follow both renamed containers.
        let renamed = side.name("store");
        side.docker(&["rename", &db, &renamed]).ok();
        assert!(
            inspected(&side, &web, "{{.HostConfig.Links}}").contains(&format!("/{renamed}:/{web}/my-db"))
        );
        let shop = side.name("shop");
        side.docker(&["rename", &web, &shop]).ok();
        assert!(names(&side, &id).contains(&format!("/{shop}/my-db")), "{}", side.who);

        // A link is removed alone.
        for (name, status) in [
            (format!("{shop}/my-db"), 204),
            (format!("{shop}/my-db"), 404),
            (format!("{shop}%2fnobody"), 404),
            (shop.clone(), 500),
        ] {
            let (answer, said) = side.api("DELETE", &format!("/containers/{name}?link=1"), "");
            assert_eq!(answer, status, "{}: {name}: {said}", side.who);
        }
        assert!(!names(&side, &id).contains(&format!("/{shop}/my-db")), "{}", side.who);
        let hosts = side.docker(&["exec", &shop, "cat", "/etc/hosts"]).ok();
        assert!(!hosts.contains("my-db"), "{}: {hosts}", side.who);
        assert!(!side.docker(&["exec", &shop, "env"]).ok().contains("MY_DB"), "{}", side.who);
        clean(&side, &[&shop]);
        assert_eq!(names(&side, &id), [format!("/{renamed}")], "{}", side.who);
        clean(&side, &[&renamed]);
    }
}

#[test]
fn a_line_follows_a_child_that_starts_again() {
    let node = Node::start();
    for side in sides(&node) {
        let db = run(&side, "db", &[]);
        let web = run(&side, "web", &["--link", &format!("{db}:store")]);
        let before = address(&side, &db);
        side.docker(&["exec", &web, "sh", "-c", "echo 192.0.2.9 mine >>/etc/hosts"]).ok();
        side.docker(&["stop", "-t", "0", &db]).ok();
        // Takes the address that is free now.
        let other = run(&side, "other", &[]);
        side.docker(&["start", &db]).ok();
        let after = address(&side, &db);
        assert_ne!(before, after, "{}", side.who);
        let hosts = side.docker(&["exec", &web, "cat", "/etc/hosts"]).ok();
        assert!(hosts.contains(&format!("{after}\tstore ")), "{}: {hosts}", side.who);
        assert!(!hosts.contains(&format!("{before}\t")) && hosts.contains("mine"), "{}: {hosts}", side.who);

        // The parent does not start without its child.
        side.docker(&["stop", "-t", "0", &web, &db]).ok();
        let (status, said) = side.api("POST", &format!("/containers/{web}/start"), "");
        let words = format!("Cannot link to a non running container: /{db} AS /{web}/store");
        assert_eq!((status, &said["message"]), (500, &json!(words)), "{}", side.who);
        side.docker(&["start", &db, &web]).ok();
        clean(&side, &[&db]);
        assert_eq!(inspected(&side, &web, "{{.HostConfig.Links}}"), format!("[/{db}:/{web}/store]"));
        clean(&side, &[&web, &other]);
    }
}

#[test]
fn links_that_cannot_be_are_refused() {
    let node = Node::start();
    for side in sides(&node) {
        let (db, host) = (run(&side, "db", &[]), run(&side, "host", &["--network", "host"]));
        let network = side.name("back");
        side.docker(&["network", "create", &network]).ok();
        let away = run(&side, "away", &["--network", &network]);
        let create = |mode: &str, link: &str| {
            let host = json!({"NetworkMode": mode, "Links": [link]});
            let body = json!({"Image": "busybox", "Cmd": ["true"], "HostConfig": host}).to_string();
            side.api("POST", "/containers/create", &body)
        };
        let kinds = |kind: &str| {
            format!(
                "conflicting options: {kind} can't be used with links. This would result in undefined behavior"
            )
        };
        for (mode, link, status, words) in [
            (
                "bridge",
                "nobody:a",
                400,
                "could not get container for nobody: No such container: nobody".to_owned(),
            ),
            ("bridge", "a:b:c", 500, "bad format for links: a:b:c".to_owned()),
            ("bridge", "", 500, "empty string specified for links".to_owned()),
            (
                "bridge",
                ":a",
                400,
                "could not get container for : invalid name or ID supplied: \"\"".to_owned(),
            ),
            ("bridge", &format!("{host}:a"), 400, kinds("host type networking")),
            ("host", &format!("{db}:a"), 400, kinds("host type networking")),
            (&format!("container:{db}"), &format!("{db}:a"), 400, kinds("container type network")),
        ] {
            let (answer, said) = create(mode, link);
            assert_eq!((answer, &said["message"]), (status, &json!(words)), "{}: {mode} {link}", side.who);
        }
        let (status, made) = create("bridge", &format!("{away}:a"));
        assert_eq!(status, 201, "{}: {made}", side.who);
        let id = made["Id"].as_str().expect("an id").to_owned();
        let (status, said) = side.api("POST", &format!("/containers/{id}/start"), "");
        let away_id = inspected(&side, &away, "{{.Id}}");
        let words = format!("container {away_id} not attached to default bridge network");
        assert_eq!((status, &said["message"]), (500, &Value::String(words)), "{}", side.who);
        clean(&side, &[&id, &db, &host, &away]);
        side.docker(&["network", "rm", &network]).ok();
    }
}

#[test]
fn a_link_on_a_network_of_ones_own_is_a_name_for_oneself() {
    let node = Node::start();
    for side in sides(&node) {
        let network = side.name("back");
        side.docker(&["network", "create", &network]).ok();
        let db = run(&side, "db", &["--network", &network]);
        let web = run(&side, "web", &["--network", &network, "--link", &format!("{db}:store")]);
        let ask = |who: &str| side.docker(&["exec", who, "nslookup", "store"]);
        let ip = inspected(
            &side,
            &db,
            &format!("{{{{(index .NetworkSettings.Networks {network:?}).IPAddress}}}}"),
        );
        assert!(ask(&web).stdout.contains(&ip), "{}: {:?}", side.who, ask(&web));
        assert!(!ask(&db).stdout.contains(&ip), "{}: {:?}", side.who, ask(&db));
        assert_eq!(inspected(&side, &web, "{{json .HostConfig.Links}}"), "null", "{}", side.who);
        clean(&side, &[&web, &db]);
        side.docker(&["network", "rm", &network]).ok();
    }
}
