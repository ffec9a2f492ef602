//! Ports: published, exposed, and in filters.

use super::*;

#[test]
fn containers_are_found_by_ports_and_networks() {
    let node = Node::start();
    for side in sides(&node) {
        let back = network(&side, "back", &[]);
        let web = run(
            &side,
            "web",
            &["-p", "127.0.0.1:18093:80", "-p", "127.0.0.1:18094:81/udp", "--expose", "90"],
        );
        let other = run(&side, "other", &["--expose", "7001", "--network", &back]);
        let id = inspect(&side, "network", &back)["Id"].as_str().expect("an id").to_owned();
        let ours = [&web, &other].map(String::as_str);
        let found = |filters: &[&str]| -> Vec<String> {
            let filters: Vec<String> = filters.iter().map(|filter| format!("--filter={filter}")).collect();
            let mut arguments = vec!["ps", "-a", "--format", "{{.Names}}"];
            arguments.extend(filters.iter().map(String::as_str));
            let listed = side.docker(&arguments).ok();
            listed.lines().filter(|name| ours.contains(name)).map(str::to_owned).collect()
        };
        for (filters, expected) in [
            (&["publish=18093"][..], Some(&web)),
            (&["publish=80"], None),
            (&["publish=18094/udp"], Some(&web)),
            (&["publish=18094"], None),
            (&["publish=18090-18099"], Some(&web)),
            (&["expose=80"], Some(&web)),
            (&["expose=90"], Some(&web)),
            (&["expose=7000-7005"], Some(&other)),
            (&["expose=18093"], None),
            (&[&format!("network={back}")], Some(&other)),
            (&[&format!("network={id}")], Some(&other)),
            (&[&format!("network={}", &id[..12])], Some(&other)),
            (&["network=nosuch"], None),
        ] {
            let expected: Vec<String> = expected.into_iter().cloned().collect();
            assert_eq!(found(filters), expected, "{}: {filters:?}", side.who);
        }
        clean(&side, &[&web, &other], &[&back]);
    }
}

#[test]
fn runs_of_exposed_ports_are_published_one_by_one() {
    let node = Node::start();
    let body = json!({
        "Image": "busybox", "Cmd": ["sleep", "1000"], "ExposedPorts": {"7000-7002/tcp": {}, "53/UDP": {}},
        "HostConfig": {"PublishAllPorts": true},
    });
    let side = &sides(&node)[0];
    let id = expect(side, "/containers/create", &body, 201, "")["Id"].as_str().expect("an id").to_owned();
    side.docker(&["start", &id]).ok();
    let ports = inspect(side, "container", &id)["NetworkSettings"]["Ports"].clone();
    for port in ["7000/tcp", "7001/tcp", "7002/tcp", "53/udp"] {
        assert!(ports[port][0]["HostPort"].is_string(), "{port}: {ports}");
    }
}

#[test]
fn what_cannot_be_published_is_said() {
    let node = Node::start();
    for (address, said) in
        [("[::1]", "publish it on 127.0.0.1"), ("[2001:db8::1]", "the container has no IPv6 address")]
    {
        let publish = format!("{address}:18099:80");
        let error = node.docker(&["run", "--rm", "-p", &publish, "busybox", "true"]).fails(125);
        assert!(error.contains(said), "{error}");
    }
}
