//! Networks of a plugin, with `network` killed between its records and the calls: the plugin knows what there is, and nothing else.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use gantry_plugin_sdk::wire::{Nothing, network};
use gantry_plugin_sdk::{Error, Result, Server, interface};
use gantry_tests::plugin::{SETTINGS, Served};
use gantry_tests::{Node, Setup, eventually};
use parking_lot::Mutex;

const PATIENCE: Duration = Duration::from_secs(60);

/// What may be said by those whose service was killed.
const PERMITTED: &[&str] = &["did not start: signal: 9 (SIGKILL)"];

/// A command line of the docker client.
type Line = &'static [&'static str];

/// The points, each with what is done before it is passed, and what passes it.
const TRIALS: &[(&str, &[Line], Line)] = &[
    ("network.create.noted", &[], CREATE),
    ("network.create.told", &[], CREATE),
    ("network.remove.recorded", &[CREATE], REMOVE),
    ("network.remove.told", &[CREATE], REMOVE),
    ("network.attach.made", &[CREATE, BOX], START),
    ("network.attach.joined", &[CREATE, BOX], START),
    ("network.attach.recorded", &[CREATE, BOX], START),
    ("network.detach.told", &[CREATE, BOX, START], STOP),
    ("network.detach.unpinned", &[CREATE, BOX, START], STOP),
    ("network.connect.made", &[CREATE, OTHER], CONNECT),
    ("network.connect.joined", &[CREATE, OTHER], CONNECT),
    ("network.connect.recorded", &[CREATE, OTHER, CONNECT], DISCONNECT),
    ("network.connect.left", &[CREATE, OTHER, CONNECT], DISCONNECT),
];

const CREATE: Line = &["network", "create", "-d", "links", "--subnet", "10.78.0.0/16", "net"];
const REMOVE: Line = &["network", "rm", "net"];
const BOX: Line =
    &["create", "--name", "box", "--stop-signal", "KILL", "--network", "net", "busybox", "sleep", "1000"];
const START: Line = &["start", "box"];
const STOP: Line = &["stop", "box"];
const OTHER: Line = &["run", "-d", "--name", "box", "--stop-signal", "KILL", "busybox", "sleep", "1000"];
const CONNECT: Line = &["network", "connect", "net", "box"];
const DISCONNECT: Line = &["network", "disconnect", "net", "box"];

/// The ids of networks and endpoints that a plugin has heard of, and not of the end of.
type Known = Arc<Mutex<BTreeSet<String>>>;

/// A driver whose links are veth pairs in the network namespace of a node.
fn server(node: &Node, known: &Known) -> Server {
    let (netns, hear) = (node.netns().to_owned(), Arc::clone(known));
    let ip = move |words: &str| {
        let mut command = Command::new("ip");
        match command.args(["-n", &netns]).args(words.split(' ')).output() {
            Ok(output) if output.status.success() => Ok(()),
            other => Err(Error::about(words, format!("{other:?}"))),
        }
    };
    let begins = {
        let known = Arc::clone(&hear);
        move |id: String| {
            known.lock().insert(id);
            async { Ok(Nothing {}) }
        }
    };
    let ends = move |id: &str| _ = hear.lock().remove(id);
    let (gone, begun, remove) = (ends.clone(), begins.clone(), ip.clone());
    Server::new()
        .implements(interface::NETWORK)
        .method("NetworkDriver.GetCapabilities", |_: Nothing| async {
            Ok(network::Capabilities { scope: "local".to_owned() })
        })
        .method("NetworkDriver.CreateNetwork", move |asked: network::Network| begins(asked.network_id))
        .method("NetworkDriver.DeleteNetwork", move |asked: network::NetworkId| {
            ends(&asked.network_id);
            async { Ok(Nothing {}) }
        })
        .method("NetworkDriver.CreateEndpoint", move |asked: network::EndpointRequest| {
            begun(asked.endpoint_id)
        })
        .method("NetworkDriver.Join", move |asked: network::JoinRequest| {
            let short = &asked.endpoint_id[..8];
            let made = ip(&format!("link add h{short} type veth peer name c{short}"));
            let src_name = format!("c{short}");
            async move {
                made?;
                let interface_name = network::InterfaceName { src_name, dst_prefix: "eth".to_owned() };
                Ok(network::JoinResponse { interface_name, ..Default::default() })
            }
        })
        .method("NetworkDriver.Leave", |_: network::EndpointId| async { Ok(Nothing {}) })
        .method("NetworkDriver.DeleteEndpoint", move |asked: network::EndpointId| {
            gone(&asked.endpoint_id);
            // A link that has gone need not go.
            let _: Result<()> = remove(&format!("link del h{}", &asked.endpoint_id[..8]));
            async { Ok(Nothing {}) }
        })
}

/// The networks of the plugin's that there are, and the endpoints on them.
fn there(node: &Node) -> BTreeSet<String> {
    let networks = node.docker(&["network", "ls", "-q", "--no-trunc", "-f", "driver=links"]).ok();
    let mut all: BTreeSet<String> = networks.lines().map(str::to_owned).collect();
    for network in networks.lines() {
        let format = "{{range .Containers}}{{.EndpointID}} {{end}}";
        let endpoints = node.docker(&["network", "inspect", "-f", format, network]).ok();
        all.extend(endpoints.split_whitespace().map(str::to_owned));
    }
    all
}

fn links(node: &Node) -> BTreeSet<String> {
    let links = node.exec(&["ip", "-o", "link"]).ok();
    let name =
        |line: &str| line.split(": ").nth(1).map(|name| name.split('@').next().unwrap_or(name).to_owned());
    links.lines().filter_map(name).filter(|name| name.len() == 9 && name.starts_with(['c', 'h'])).collect()
}

#[test]
fn a_plugin_knows_what_there_is_whenever_the_service_is_killed() {
    let settings = [("engine", SETTINGS), ("network", SETTINGS)];
    let node = Node::with(&Setup { settings: &settings, ..Setup::default() });
    node.permit(PERMITTED);
    node.import_busybox();
    let sockets = node.root().join("plugins");
    std::fs::create_dir_all(&sockets).expect("made");
    let known = Known::default();
    let _served = Served::start(server(&node, &known), sockets.join("links.sock"));
    let same = |what: &str| {
        eventually(what, PATIENCE, || {
            let (known, there) = (known.lock().clone(), there(&node));
            if known == there { Ok(()) } else { Err(format!("it knows {known:?}, there are {there:?}")) }
        });
    };
    for (point, before, command) in TRIALS {
        for line in *before {
            node.docker(line).ok();
        }
        let pid = node.pid("network");
        node.orders().give(point, "kill");
        // Whether it succeeds is its own affair: the service is asked again when it is back.
        let outcome = node.docker(command);
        eventually(point, PATIENCE, || match node.orders().was_reached(point) {
            true => Ok(()),
            false => Err(format!("it is not passed: {outcome:#?}")),
        });
        node.wait_for_successor("network", pid);
        node.orders().withdraw();
        same(point);
        node.docker(&["rm", "-f", "box"]);
        node.docker(REMOVE);
        same(point);
        assert_eq!((known.lock().clone(), links(&node)), Default::default(), "after {point}");
    }
}
