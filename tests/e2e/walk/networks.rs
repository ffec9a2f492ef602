//! `docker network`: the options, filters and errors of each command.

use gantry_tests::{Node, Side, sides};
use serde_json::{Value, json};

fn make(side: &Side, name: &str, options: &[&str]) -> String {
    side.docker(&[&["network", "create"], options, &[name]].concat()).ok()
}

fn message(answer: &Value) -> &str {
    answer["message"].as_str().unwrap_or("")
}

#[test]
fn networks_are_listed_by_what_they_are() {
    let node = Node::start();
    for side in sides(&node) {
        let (a, b) = (side.name("a"), side.name("b"));
        let id = make(&side, &a, &["--label", "x=1", "--label", "y"]);
        make(&side, &b, &["--label", "x=2", "--internal"]);
        let list = |filters: &[&str]| {
            let filters: Vec<String> = filters
                .iter()
                .map(|filter| {
                    filter.replace("=ID", &format!("={}", &id[..10])).replace("=A", &format!("={a}"))
                })
                .collect();
            let mine = format!("name={}", side.name(""));
            let mut arguments = vec!["network", "ls", "--format", "{{.Name}}"];
            if !filters.iter().any(|filter| filter.starts_with("name")) {
                arguments.extend(["-f", &mine]);
            }
            arguments.extend(filters.iter().flat_map(|filter| ["-f", filter]));
            side.docker(&arguments)
        };
        for (filters, names) in [
            (&[][..], &["a", "b"][..]),
            (&["driver=bridge"], &["a", "b"]),
            (&["driver=host"], &[]),
            (&["driver=bridge", "driver=host"], &["a", "b"]),
            (&["id=ID"], &["a"]),
            (&["label=x"], &["a", "b"]),
            (&["label=x=1"], &["a"]),
            (&["label=x", "label=y"], &["a"]),
            (&["label=x=1", "label=x=2"], &[]),
            (&["name=A"], &["a"]),
            (&["scope=local"], &["a", "b"]),
            (&["scope=swarm"], &[]),
            (&["type=custom"], &["a", "b"]),
            (&["type=builtin"], &[]),
            (&["type=custom", "type=builtin"], &["a", "b"]),
            // Networks without containers; the reference counts networks with containers as dangling too.
            (&["dangling=true"], &["a", "b"]),
            (&["dangling=0"], &[]),
        ] {
            let shown = list(filters).ok();
            let wanted: Vec<String> = names.iter().map(|name| side.name(name)).collect();
            assert_eq!(shown.lines().collect::<Vec<_>>(), wanted, "{}: {filters:?}", side.who);
        }
        for (filters, words) in [
            (&["bogus=1"][..], "invalid filter 'bogus'"),
            (&["label!=x"], "invalid filter 'label!'"),
            (
                &["dangling=x"],
                "invalid value for filter 'dangling', must be \"true\" (or \"1\"), or \"false\" (or \"0\")",
            ),
            (&["dangling=true", "dangling=false"], "got more than one value for filter key \"dangling\""),
            (&["type=x"], "invalid filter: 'type'='x'"),
        ] {
            let said = list(filters).fails(1);
            assert!(said.contains(words), "{}: {filters:?}: {said}", side.who);
        }
        let row = "{{.ID}} {{.Name}} {{.Driver}} {{.Scope}} {{.IPv6}} {{.Internal}} {{.Label \"x\"}}";
        let by_name = format!("name={b}");
        let shown = side.docker(&["network", "ls", "--no-trunc", "--format", row, "-f", &by_name]).ok();
        let (shown_id, rest) = shown.split_once(' ').expect("words");
        assert_eq!(
            (shown_id.len(), rest),
            (64, format!("{b} bridge local false true 2").as_str()),
            "{}",
            side.who
        );
        side.docker(&["network", "rm", &a, &b]).ok();
    }
}

#[test]
fn a_network_is_found_by_any_name_it_can_have() {
    let node = Node::start();
    for side in sides(&node) {
        let user = side.name("user");
        side.docker(&["run", "-d", "--name", &user, "busybox", "sleep", "1000"]).ok();
        for odd in [side.name("x/y"), side.name("a b"), side.name("é"), side.name("x/connect")] {
            let id = make(&side, &odd, &[]);
            for name in [odd.as_str(), &id, &id[..12]] {
                let shown = side.docker(&["network", "inspect", "-f", "{{.Name}}", name]).ok();
                assert_eq!(shown, odd, "{}: {name}", side.who);
            }
            side.docker(&["network", "connect", &odd, &user]).ok();
            side.docker(&["network", "disconnect", &odd, &user]).ok();
            side.docker(&["network", "rm", &odd]).ok();
            side.docker(&["network", "inspect", &odd]).fails(1);
        }
        // Also for clients that do not know it.
        assert!(side.docker(&["network", "inspect", "bridge"]).ok().contains("\"EnableIPv4\": true"));
        for (query, status, words) in [
            ("verbose=true", 200, String::new()),
            ("scope=local", 200, String::new()),
            ("scope=swarm", 404, "network bridge not found".to_owned()),
            ("scope=bogus", 404, "network bridge not found".to_owned()),
            (
                "verbose=x",
                400,
                "invalid value for verbose: x: strconv.ParseBool: parsing \"x\": invalid syntax".to_owned(),
            ),
        ] {
            let (answer, said) = side.api("GET", &format!("/networks/bridge?{query}"), "");
            assert_eq!((answer, message(&said)), (status, words.as_str()), "{}: {query}", side.who);
        }
        side.docker(&["rm", "-f", &user]).ok();
    }
}

#[test]
fn addresses_that_are_taken_are_refused() {
    let node = Node::start();
    for side in sides(&node) {
        let (network, first, second) = (side.name("net"), side.name("first"), side.name("second"));
        make(&side, &network, &["--subnet", "10.177.64.0/24", "--aux-address", "printer=10.177.64.77"]);
        let address = ["--network", &network, "--ip", "10.177.64.5"];
        side.docker(
            &[&["run", "-d", "--name", &first], &address[..], &["busybox", "sleep", "1000"]].concat(),
        )
        .ok();
        let taken = "failed to set up container networking: Address already in use";
        for address in ["10.177.64.5", "10.177.64.1", "10.177.64.77", "10.177.64.0", "10.177.64.255"] {
            let body = json!({
                "Image": "busybox",
                "HostConfig": {"NetworkMode": network},
                "NetworkingConfig": {"EndpointsConfig": {&network: {"IPAMConfig": {"IPv4Address": address}}}},
            });
            let (status, made) = side.api("POST", "/containers/create", &body.to_string());
            assert_eq!(status, 201, "{}: {made}", side.who);
            let id = made["Id"].as_str().expect("an id");
            let (status, said) = side.api("POST", &format!("/containers/{id}/start"), "");
            assert_eq!((status, message(&said)), (403, taken), "{}: {address}", side.who);
            side.docker(&["rm", id]).ok();
        }
        side.docker(&["run", "-d", "--name", &second, "busybox", "sleep", "1000"]).ok();
        let connect = format!("/networks/{network}/connect");
        let body =
            json!({"Container": second, "EndpointConfig": {"IPAMConfig": {"IPv4Address": "10.177.64.5"}}});
        let (status, said) = side.api("POST", &connect, &body.to_string());
        assert_eq!((status, message(&said)), (403, "Address already in use"), "{}", side.who);
        let (status, said) = side.api("DELETE", &format!("/networks/{network}"), "");
        assert_eq!(status, 403, "{}", side.who);
        let words =
            format!("error while removing network: network {network} has active endpoints (name:\"{first}\"");
        assert!(message(&said).starts_with(&words), "{}: {said}", side.who);
        side.docker(&["rm", "-f", &first, &second]).ok();
        side.docker(&["network", "rm", &network]).ok();
    }
}

#[test]
fn requests_that_say_nothing_are_refused() {
    let node = Node::start();
    for side in sides(&node) {
        let network = side.name("net");
        make(&side, &network, &[]);
        let nobody = "invalid name or ID supplied: \"\"";
        for (path, body, words) in [
            (format!("/networks/{network}/connect"), "{}", nobody),
            (format!("/networks/{network}/connect"), "", nobody),
            (format!("/networks/{network}/disconnect"), "{}", nobody),
            (format!("/networks/{network}/disconnect"), "", nobody),
            ("/networks/create".to_owned(), "{}", "invalid name: name is empty"),
            ("/networks/create".to_owned(), "", "invalid name: name is empty"),
            (
                "/networks/prune?filters=%7B%22until%22%3A%5B%22x%22%5D%7D".to_owned(),
                "",
                "failed to parse value as time or duration: \"x\"",
            ),
            (
                "/networks/prune?filters=%7B%22dangling%22%3A%5B%22true%22%5D%7D".to_owned(),
                "",
                "invalid filter 'dangling'",
            ),
        ] {
            let (status, said) = side.api("POST", &path, body);
            assert_eq!((status, message(&said)), (400, words), "{}: {path} {body}", side.who);
        }
        for (config, status, words) in [
            (
                json!([{"Subnet": "10.177.65.0/24", "Gateway": "fd00::1"}]),
                400,
                "invalid network config:\ninvalid gateway fd00::1: parent subnet is an IPv4 block",
            ),
            // Last, because the reference does not release what it took.
            (
                json!([{"Subnet": "10.177.66.0/24"}, {"Subnet": "10.177.67.0/24"}]),
                403,
                "bridge driver doesn't support multiple subnets",
            ),
        ] {
            if side.who == "reference" && status == 403 {
                continue;
            }
            let body = json!({"Name": side.name("refused"), "IPAM": {"Config": config}});
            let (answer, said) = side.api("POST", "/networks/create", &body.to_string());
            assert_eq!((answer, message(&said)), (status, words), "{}: {body}", side.who);
        }
        side.docker(&["network", "rm", &network]).ok();
    }
}

#[test]
fn a_network_may_be_made_after_the_container() {
    let node = Node::start();
    for side in sides(&node) {
        let (name, network) = (side.name("early"), side.name("later"));
        side.docker(&["create", "--name", &name, "--network", &network, "busybox", "sleep", "1000"]).ok();
        let (status, said) = side.api("POST", &format!("/containers/{name}/start"), "");
        let words = format!("failed to set up container networking: network {network} not found");
        assert!(status == 404 && said["message"] == words, "{}: {status} {said}", side.who);
        let state = side.docker(&["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", &name]).ok();
        assert_eq!(state, "created 128", "{}", side.who);
        side.docker(&["network", "create", &network]).ok();
        side.docker(&["start", &name]).ok();
        let format = format!("{{{{(index .NetworkSettings.Networks \"{network}\").IPAddress}}}}");
        assert_ne!(side.docker(&["inspect", "-f", &format, &name]).ok(), "", "{}", side.who);
        side.docker(&["rm", "-f", &name]).ok();
        side.docker(&["network", "rm", &network]).ok();
    }
}
