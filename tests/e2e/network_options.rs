//! Networks and endpoints, option by option, as with the reference.

mod ports;
mod sharing;

use gantry_tests::{Node, Side, sides};
use serde_json::{Value, json};

/// The message of a response; empty if there is none.
fn message(answer: &Value) -> &str {
    answer["message"].as_str().unwrap_or("")
}

/// Sends a request and checks status and message; `words` ending in `…` are the beginning.
fn expect(side: &Side, path: &str, body: &Value, status: u16, words: &str) -> Value {
    let (answer, said) = side.api("POST", path, &body.to_string());
    let same = match words.strip_suffix('…') {
        Some(beginning) => message(&said).starts_with(beginning),
        None => message(&said) == words,
    };
    assert!(answer == status && same, "{}: {path} {body}: {answer} {said}", side.who);
    said
}

fn network(side: &Side, name: &str, options: &[&str]) -> String {
    let name = side.name(name);
    side.docker(&[&["network", "create"], options, &[name.as_str()]].concat()).ok();
    name
}

fn run(side: &Side, name: &str, options: &[&str]) -> String {
    let name = side.name(name);
    side.docker(&[&["run", "-d", "--name", &name], options, &["busybox", "sleep", "1000"]].concat()).ok();
    name
}

/// Runs a container to its end. Returns its output.
fn output(side: &Side, options: &[&str], script: &str) -> String {
    side.docker(&[&["run", "--rm"], options, &["busybox", "sh", "-c", script]].concat()).ok()
}

fn inspect(side: &Side, kind: &str, name: &str) -> Value {
    let path =
        if kind == "network" { format!("/networks/{name}") } else { format!("/containers/{name}/json") };
    let (status, found) = side.api("GET", &path, "");
    assert_eq!(status, 200, "{}: {found}", side.who);
    found
}

fn clean(side: &Side, containers: &[&String], networks: &[&String]) {
    let remove = |command: &[&'static str], names: &[&String]| {
        let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
        if !names.is_empty() {
            side.docker(&[command, &names].concat()).ok();
        }
    };
    remove(&["rm", "-f"], containers);
    remove(&["network", "rm"], networks);
}

#[test]
fn networks_that_cannot_be_made_say_why() {
    let node = Node::start();
    let option = |name: &str, value: &str| json!({"Options": {name: value}});
    let subnet = |rest: Value| {
        let mut config = json!({"Subnet": "10.177.0.0/24"});
        config.as_object_mut().expect("an object").extend(rest.as_object().expect("an object").clone());
        json!({"IPAM": {"Config": [config]}})
    };
    let config = |text: &str| format!("invalid network config:\n{text}");
    let rows = [
        (json!({"Name": "bridge"}), 403, "operation is not permitted on predefined bridge network ".to_owned()),
        (json!({"Name": "default"}), 403, "operation is not permitted on predefined default network ".to_owned()),
        (json!({"Name": " "}), 400, "invalid name: name is empty".to_owned()),
        (json!({"Driver": "host"}), 403, "only one instance of \"host\" network is allowed".to_owned()),
        (json!({"Driver": "null"}), 403, "only one instance of \"null\" network is allowed".to_owned()),
        (json!({"Driver": "weave"}), 404, "plugin \"weave\" not found".to_owned()),
        (json!({"IPAM": {"Driver": "weave"}}), 404, "plugin \"weave\" not found".to_owned()),
        (json!({"Scope": "swarm"}), 403, "cannot create a swarm scoped network when swarm is not active".to_owned()),
        (json!({"Ingress": true}), 403, "Ingress network can only be global scope network".to_owned()),
        (json!({"EnableIPv4": false}), 400, "IPv4 or IPv6 must be enabled".to_owned()),
        (json!({"IPAM": {"Config": [{"Subnet": ""}]}}), 400, config("invalid subnet : invalid CIDR block notation")),
        (subnet(json!({"Subnet": "x"})), 400, config("invalid subnet x: invalid CIDR block notation")),
        (
            subnet(json!({"Subnet": "10.177.0.1/24"})),
            400,
            config("invalid subnet 10.177.0.1/24: it should be 10.177.0.0/24"),
        ),
        (
            subnet(json!({"Gateway": "10.178.0.1"})),
            400,
            config("invalid gateway 10.178.0.1: parent subnet 10.177.0.0/24 doesn't contain this address"),
        ),
        (
            subnet(json!({"IPRange": "10.177.0.0/16"})),
            400,
            config("invalid ip-range 10.177.0.0/16: CIDR block is bigger than its parent subnet 10.177.0.0/24"),
        ),
        (
            subnet(json!({"IPRange": "zz", "Gateway": "zz"})),
            400,
            config("* invalid ip-range zz: invalid CIDR block notation\n* invalid gateway zz: invalid address"),
        ),
        (
            subnet(json!({"AuxiliaryAddresses": {"a": "1.2.3.4"}})),
            400,
            config("invalid auxiliary address a: parent subnet 10.177.0.0/24 doesn't contain this address"),
        ),
        (option("com.docker.network.driver.mtu", "-1"), 400, "invalid MTU number: -1".to_owned()),
        (
            option("com.docker.network.bridge.enable_icc", "x"),
            400,
            "failed to parse com.docker.network.bridge.enable_icc value: x (strconv.ParseBool: parsing \"x\": invalid syntax)".to_owned(),
        ),
        (
            option("com.docker.network.bridge.gateway_mode_ipv4", "x"),
            400,
            "failed to parse com.docker.network.bridge.gateway_mode_ipv4 value: x (unknown gateway mode x)".to_owned(),
        ),
        (
            option("com.docker.network.bridge.host_binding_ipv4", "x"),
            400,
            "failed to parse com.docker.network.bridge.host_binding_ipv4 value: x (nil ip)".to_owned(),
        ),
    ];
    for side in sides(&node) {
        let first = network(&side, "first", &["--subnet", "10.177.8.0/24"]);
        for (mut body, status, words) in rows.clone() {
            let fields = body.as_object_mut().expect("an object");
            fields.entry("Name").or_insert_with(|| json!(side.name("refused")));
            expect(&side, "/networks/create", &body, status, &words);
        }
        let again = json!({"Name": first});
        expect(&side, "/networks/create", &again, 409, &format!("network with name {first} already exists"));
        let overlap = json!({"Name": side.name("x"), "IPAM": {"Config": [{"Subnet": "10.177.8.0/25"}]}});
        let words = "invalid pool request: Pool overlaps with other one on this address space…";
        expect(&side, "/networks/create", &overlap, 403, words);
        clean(&side, &[], &[&first]);
    }
}

#[test]
fn a_network_shows_what_was_asked_for() {
    let node = Node::start();
    for side in sides(&node) {
        let range = ["--subnet", "10.177.0.0/24", "--ip-range", "10.177.0.128/25", "--label", "a=b"];
        let own = network(&side, "own", &range);
        let auto = network(
            &side,
            "auto",
            &["--internal", "--attachable", "-o", "com.docker.network.container_iface_prefix=net"],
        );
        let shown = inspect(&side, "network", &own);
        assert_eq!(
            shown["IPAM"]["Config"],
            json!([{"Subnet": "10.177.0.0/24", "IPRange": "10.177.0.128/25"}]),
            "{}",
            side.who
        );
        assert_eq!((&shown["Labels"], &shown["Scope"]), (&json!({"a": "b"}), &json!("local")));
        let shown = inspect(&side, "network", &auto);
        assert!(shown["IPAM"]["Config"][0]["Gateway"].is_string(), "{}: {shown}", side.who);
        assert_eq!((&shown["Internal"], &shown["Attachable"]), (&json!(true), &json!(true)));
        let links = output(&side, &["--network", &auto], "ls /sys/class/net");
        assert_eq!(links, "lo\nnet0", "{}", side.who);

        let box_ = run(&side, "box", &["--network", &own, "--network-alias", "al", "--hostname", "h.x"]);
        let shown = inspect(&side, "network", &own);
        let id = inspect(&side, "container", &box_)["Id"].clone();
        let listed = &shown["Containers"][id.as_str().expect("an id")];
        assert_eq!(listed["IPv4Address"], "10.177.0.129/24", "{}: {shown}", side.who);
        let settings = inspect(&side, "container", &box_)["NetworkSettings"]["Networks"][&own].clone();
        let names = json!([box_, "al", &id.as_str().expect("an id")[..12], "h.x"]);
        assert_eq!(settings["DNSNames"], names, "{}", side.who);
        assert_eq!(settings["Gateway"], "10.177.0.128", "{}", side.who);
        side.docker(&["stop", "-t", "0", &box_]).ok();
        let stopped = inspect(&side, "container", &box_)["NetworkSettings"]["Networks"][&own].clone();
        assert_eq!((&stopped["DNSNames"], &stopped["NetworkID"]), (&names, &shown["Id"]), "{}", side.who);
        assert_eq!(stopped["IPAddress"], "", "{}", side.who);
        clean(&side, &[&box_], &[&own, &auto]);
    }
}

#[test]
fn connections_that_cannot_be_say_why() {
    let node = Node::start();
    for side in sides(&node) {
        let own = network(&side, "own", &["--subnet", "10.177.16.0/24"]);
        let auto = network(&side, "auto", &[]);
        let on = run(&side, "on", &["--network", &own]);
        let none = run(&side, "none", &["--network", "none"]);
        let host = run(&side, "host", &["--network", "host"]);
        let shared = run(&side, "shared", &["--network", &format!("container:{on}")]);
        let plain = run(&side, "plain", &[]);
        let plain_id = inspect(&side, "container", &plain)["Id"].as_str().expect("an id").to_owned();
        let foreign = "container sharing network namespace with another container or host cannot be connected to any other network";
        let private = "container cannot be connected to multiple networks with one of the networks in private (none) mode";
        let settings = |text: &str| format!("invalid endpoint settings:\n{text}");
        let configured = "user specified IP address is supported only when connecting to networks with user configured subnets";
        let address = |text: &str| json!({"IPAMConfig": {"IPv4Address": text}});
        for (network, container, config, status, words) in [
            ("nosuch", on.as_str(), json!({}), 404, "network nosuch not found".to_owned()),
            (&own, "nosuch", json!({}), 404, "No such container: nosuch".to_owned()),
            (&own, "", json!({}), 400, "invalid name or ID supplied: \"\"".to_owned()),
            (&own, &on, json!({}), 403, format!("endpoint with name {on} already exists in network {own}")),
            (&own, &none, json!({}), 400, private.to_owned()),
            (&own, &host, json!({}), 400, foreign.to_owned()),
            (&own, &shared, json!({}), 400, foreign.to_owned()),
            ("none", &on, json!({}), 400, private.to_owned()),
            (
                "host",
                &on,
                json!({}),
                400,
                "cannot connect container to host network - container must be created in host network mode"
                    .to_owned(),
            ),
            (
                &own,
                &plain,
                address("10.99.0.2"),
                400,
                settings("no configured subnet or ip-range contain the IP address 10.99.0.2"),
            ),
            (&auto, &plain, address("172.18.0.9"), 400, settings(configured)),
            (
                "bridge",
                &on,
                json!({"Aliases": ["x"]}),
                400,
                settings("network-scoped alias is supported only for containers in user defined networks"),
            ),
            (&own, &plain, json!({"MacAddress": "zz"}), 400, "invalid MAC address zz".to_owned()),
            (&own, &plain, json!({"Links": ["x:y:z"]}), 500, "bad format for links: x:y:z".to_owned()),
        ] {
            let body = json!({"Container": container, "EndpointConfig": config});
            expect(&side, &format!("/networks/{network}/connect"), &body, status, &words);
        }
        for (network, container, force, status, words) in [
            ("nosuch", on.as_str(), false, 404, "network nosuch not found".to_owned()),
            (&own, "nosuch", false, 404, "No such container: nosuch".to_owned()),
            (&own, "nosuch", true, 404, "endpoint nosuch not found".to_owned()),
            (&own, &plain, false, 500, format!("container {plain_id} is not connected to network {own}")),
            (
                "host",
                &host,
                false,
                400,
                "cannot disconnect container from host network - container was created in host network mode"
                    .to_owned(),
            ),
        ] {
            let body = json!({"Container": container, "Force": force});
            expect(&side, &format!("/networks/{network}/disconnect"), &body, status, &words);
        }
        clean(&side, &[&shared, &on, &none, &host, &plain], &[&own, &auto]);
    }
}

#[test]
fn a_container_keeps_its_mode_without_any_network() {
    let node = Node::start();
    for side in sides(&node) {
        let (one, two) = (network(&side, "one", &[]), network(&side, "two", &[]));
        let name = side.name("box");
        let create = [
            "create",
            "--name",
            &name,
            "--network",
            &one,
            "--network-alias",
            "first",
            "busybox",
            "sleep",
            "1000",
        ];
        side.docker(&create).ok();
        let body = json!({"Container": name, "EndpointConfig": {"Aliases": ["second"]}});
        expect(&side, &format!("/networks/{one}/connect"), &body, 200, "");
        let aliases = |side: &Side| {
            inspect(side, "container", &name)["NetworkSettings"]["Networks"][&one]["Aliases"].clone()
        };
        assert_eq!(aliases(&side), json!(["first"]), "{}", side.who);
        side.docker(&["network", "disconnect", &one, &name]).ok();
        side.docker(&["start", &name]).ok();
        let shown = inspect(&side, "container", &name);
        assert_eq!(shown["NetworkSettings"]["Networks"], json!({}), "{}", side.who);
        assert_eq!(shown["HostConfig"]["NetworkMode"], json!(one), "{}", side.who);
        assert_eq!(side.docker(&["exec", &name, "ls", "/sys/class/net"]).ok(), "lo", "{}", side.who);
        side.docker(&["network", "connect", &two, &name]).ok();
        let shown = inspect(&side, "container", &name);
        assert_eq!(shown["HostConfig"]["NetworkMode"], json!(one), "{}", side.who);
        assert!(shown["NetworkSettings"]["Networks"][&two]["IPAddress"] != "", "{}", side.who);
        clean(&side, &[&name], &[&one, &two]);
    }
}

#[test]
fn endpoints_that_cannot_be_are_refused_at_create() {
    let node = Node::start();
    for side in sides(&node) {
        let own = network(&side, "own", &["--subnet", "10.177.32.0/24"]);
        let wrong = |network: &str, text: &str| format!("invalid config for network {network}: {text}");
        let refused = |network: &str, settings: Value, more: Value, words: &str| {
            let mut body = json!({
                "Image": "busybox",
                "HostConfig": {"NetworkMode": network},
                "NetworkingConfig": {"EndpointsConfig": {network: settings}},
            });
            body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            expect(&side, "/containers/create", &body, 400, words);
        };
        let settings = "invalid endpoint settings:\n";
        let address = |text: &str| json!({"IPAMConfig": {"IPv4Address": text}});
        let outside = "no configured subnet or ip-range contain the IP address";
        refused(
            &own,
            address("10.99.0.1"),
            json!({}),
            &wrong(&own, &format!("{settings}{outside} 10.99.0.1")),
        );
        let both = format!("{settings}* invalid IPv4 address: zz\n* {outside} zz");
        refused(&own, address("zz"), json!({}), &wrong(&own, &both));
        let alias = format!(
            "{settings}network-scoped alias is supported only for containers in user defined networks"
        );
        for network in ["bridge", "host"] {
            refused(network, json!({"Aliases": ["x"]}), json!({}), &wrong(network, &alias));
        }
        refused(&own, json!({"MacAddress": "zz"}), json!({}), &wrong(&own, "invalid MAC address zz"));
        refused("bridge", json!({}), json!({"MacAddress": "zz"}), &wrong("bridge", "invalid MAC address zz"));
        let two = "the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty";
        let body = json!({
            "Image": "busybox", "MacAddress": "02:00:00:00:00:01", "HostConfig": {"NetworkMode": own},
            "NetworkingConfig": {"EndpointsConfig": {&own: {"MacAddress": "02:00:00:00:00:02"}}},
        });
        expect(&side, "/containers/create", &body, 400, two);
        let body = json!({
            "Image": "busybox", "MacAddress": "02:00:00:00:00:01",
            "NetworkingConfig": {"EndpointsConfig": {&own: {}}},
        });
        let elsewhere = "unable to migrate container-wide MAC address to a specific network: HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks";
        expect(&side, "/containers/create", &body, 400, elsewhere);
        for (host, more, words) in [
            (json!({"ExtraHosts": ["x"]}), json!({}), "bad format for add-host: \"x\""),
            (json!({"ExtraHosts": ["x:y"]}), json!({}), "invalid IP address in add-host: \"y\""),
            (
                json!({"UTSMode": "host"}),
                json!({"Hostname": "x"}),
                "conflicting options: hostname and the UTS mode",
            ),
        ] {
            let mut body = json!({"Image": "busybox", "HostConfig": host});
            body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            expect(&side, "/containers/create", &body, 400, words);
        }
        clean(&side, &[], &[&own]);
    }
}

#[test]
fn hosts_have_full_and_short_names() {
    let node = Node::start();
    let script = "echo $HOSTNAME; cat /etc/hostname; tail -n +7 /etc/hosts | cut -f2";
    for side in sides(&node) {
        let internal = network(&side, "internal", &["--internal"]);
        for (options, expected) in [
            (&["--hostname", "a.b.c"][..], "a.b.c\na.b.c\na.b.c a"),
            (&["--hostname", "a", "--domainname", "x.y"], "a\na\na.x.y a"),
            (&["--hostname", "a.b.c", "--domainname", "x.y"], "a.b.c\na.b.c\na.b.c.x.y a"),
            (&["--hostname", "a", "--network", "none"], "a\na"),
            (&["--hostname", "a", "--add-host", "z:1.2.3.4"], "a\na\nz\na"),
        ] {
            assert_eq!(output(&side, options, script), expected, "{}: {options:?}", side.who);
        }
        let long = "a".repeat(64);
        assert_eq!(output(&side, &["--hostname", &long], "hostname"), long, "{}", side.who);
        // The default network's gateway stands for the host, even where no route leads to it.
        let shown = inspect(&side, "network", "bridge");
        let gateway = shown["IPAM"]["Config"][0]["Gateway"].as_str().expect("a gateway").to_owned();
        for network in ["bridge", &internal, "host"] {
            let options = ["--network", network, "--add-host", "z:host-gateway"];
            let line = output(&side, &options, "grep 'z$' /etc/hosts");
            assert_eq!(line, format!("{gateway}\tz"), "{}: {network}", side.who);
        }
        clean(&side, &[], &[&internal]);
    }
}
