//! Networks and published ports, with real packets.

use std::time::Duration;

use gantry_tests::{Node, eventually};

const SERVE: &str = "while :; do echo -e 'HTTP/1.0 200 OK\\r\\n\\r\\nhi' | nc -l -p 80 >/dev/null; done";

fn fetch(node: &Node, prefix: &[&str], address: &str) -> Result<String, String> {
    let url = format!("http://{address}/");
    let arguments: Vec<_> = prefix.iter().chain(&["curl", "-s", "-m", "2", url.as_str()]).copied().collect();
    let outcome = node.exec(&arguments);
    if outcome.stdout.trim() == "hi" { Ok(outcome.stdout) } else { Err(format!("{outcome:?}")) }
}

#[test]
fn a_published_port_answers_from_everywhere() {
    let node = Node::start();
    node.docker(&["run", "-d", "--name", "web", "-p", "8080:80", "busybox", "sh", "-c", SERVE]).ok();
    assert!(node.docker(&["port", "web"]).ok().contains("80/tcp -> 0.0.0.0:8080"));
    let limit = Duration::from_secs(5);
    eventually("127.0.0.1 answers", limit, || fetch(&node, &[], "127.0.0.1:8080"));

    // Another host on the node's network.
    let other = format!("{}-peer", node.netns());
    let _away = Netns(&other);
    let script = format!(
        "ip netns add {other}
         ip link add outside type veth peer name inside netns {other}
         ip addr add 10.99.0.1/24 dev outside; ip link set outside up
         ip -n {other} addr add 10.99.0.2/24 dev inside; ip -n {other} link set inside up; ip -n {other} link set lo up
         ip -n {other} route add default via 10.99.0.1"
    );
    node.exec(&["sh", "-ec", &script]).ok();
    eventually("the host's own address answers", limit, || fetch(&node, &[], "10.99.0.1:8080"));
    eventually("another host is answered", limit, || {
        fetch(&node, &["ip", "netns", "exec", &other], "10.99.0.1:8080")
    });

    // The reverse: a container reaches the outside, masqueraded.
    let listen = [
        "ip", "netns", "exec", &other, "timeout", "8", "busybox", "nc", "-ll", "-p", "9000", "-e", "echo",
        "ok",
    ];
    std::thread::scope(|scope| {
        scope.spawn(|| node.exec(&listen));
        eventually("the outside is reached", limit, || {
            let outcome = node.docker(&["run", "--rm", "busybox", "nc", "-w", "2", "10.99.0.2", "9000"]);
            if outcome.stdout.trim() == "ok" { Ok(()) } else { Err(format!("{outcome:?}")) }
        });
    });
}

/// A network namespace, removed when it is dropped.
struct Netns<'a>(&'a str);

impl Drop for Netns<'_> {
    fn drop(&mut self) {
        let _ = std::process::Command::new("ip").args(["netns", "del", self.0]).status();
    }
}

#[test]
fn ports_are_chosen_ranged_and_refused() {
    let node = Node::start();
    node.docker(&[
        "run",
        "-d",
        "--name",
        "first",
        "-p",
        "127.0.0.1::80",
        "-p",
        "9000:81/udp",
        "busybox",
        "sleep",
        "1000",
    ])
    .ok();
    let ports = node.docker(&["port", "first"]).ok();
    assert!(ports.contains("80/tcp -> 127.0.0.1:") && ports.contains("81/udp -> 0.0.0.0:9000"), "{ports}");
    node.docker(&["run", "-d", "--name", "second", "-p", "7000-7002:80", "busybox", "sleep", "1000"]).ok();
    node.docker(&["run", "-d", "--name", "box", "-p", "7000-7002:80", "busybox", "sleep", "1000"]).ok();
    assert_ne!(node.docker(&["port", "second", "80"]).ok(), node.docker(&["port", "box", "80"]).ok());
    let complaint =
        node.docker(&["run", "--name", "other", "-p", "9000:81/udp", "busybox", "true"]).fails(125);
    assert!(complaint.contains("port is already allocated"), "{complaint}");
    assert_eq!(node.docker(&["inspect", "-f", "{{.State.Status}}", "other"]).ok(), "created");
    node.docker(&["rm", "-f", "first"]).ok();
    node.docker(&["start", "-a", "other"]).ok();
}

#[test]
fn containers_find_each_other_by_name() {
    let node = Node::start();
    node.docker(&["network", "create", "--subnet", "10.50.0.0/24", "back"]).ok();
    node.docker(&[
        "run",
        "-d",
        "--name",
        "db",
        "--network",
        "back",
        "--network-alias",
        "store",
        "busybox",
        "sleep",
        "1000",
    ])
    .ok();
    let ask = |name: &str| node.docker(&["run", "--rm", "--network", "back", "busybox", "nslookup", name]);
    assert!(ask("db").ok().contains("10.50.0.2"));
    assert!(ask("store").ok().contains("10.50.0.2"));
    assert_ne!(ask("nobody").code, 0);
    node.docker(&["run", "--rm", "--network", "back", "busybox", "ping", "-c1", "-W2", "db"]).ok();
    let complaint = node.docker(&["network", "rm", "back"]).fails(1);
    assert!(complaint.contains("has active endpoints"), "{complaint}");
    node.docker(&["rm", "-f", "db"]).ok();
    node.docker(&["network", "rm", "back"]).ok();
    node.docker(&["network", "rm", "bridge"]).fails(1);
}

#[test]
fn networks_are_connected_and_disconnected_live() {
    let node = Node::start();
    node.docker(&["network", "create", "one"]).ok();
    node.docker(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).ok();
    node.docker(&["network", "connect", "one", "box"]).ok();
    let interfaces = node.docker(&["exec", "box", "ip", "-o", "-4", "addr"]).ok();
    assert_eq!(interfaces.lines().count(), 3, "{interfaces}");
    node.docker(&["network", "disconnect", "one", "box"]).ok();
    let interfaces = node.docker(&["exec", "box", "ip", "-o", "-4", "addr"]).ok();
    assert_eq!(interfaces.lines().count(), 2, "{interfaces}");
    let inspected = node.docker(&["network", "inspect", "bridge", "-f", "{{len .Containers}}"]).ok();
    assert_eq!(inspected, "1");
}

#[test]
fn namespaces_are_shared_on_demand() {
    let node = Node::start();
    node.docker(&["run", "-d", "--name", "web", "busybox", "sh", "-c", SERVE]).ok();
    eventually("the neighbour answers", Duration::from_secs(5), || {
        let fetch =
            ["run", "--rm", "--network", "container:web", "busybox", "wget", "-qO-", "http://127.0.0.1/"];
        let outcome = node.docker(&fetch);
        if outcome.stdout.trim() == "hi" { Ok(()) } else { Err(format!("{outcome:?}")) }
    });
    assert_eq!(
        node.docker(&["run", "--rm", "--network", "none", "busybox", "sh", "-c", "ls /sys/class/net"]).ok(),
        "lo"
    );
    let host =
        node.docker(&["run", "--rm", "--network", "host", "busybox", "readlink", "/proc/self/ns/net"]).ok();
    assert_eq!(host, node.exec(&["readlink", "/proc/self/ns/net"]).ok());
}
