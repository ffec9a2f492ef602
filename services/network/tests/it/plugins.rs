//! Networks of plugins: the calls that a plugin gets, and what remains on the host.

use std::sync::Arc;

use gantry_netlink::{Mac, Namespace, Route, Veth};
use gantry_plugin::{interface, wire::Nothing, wire::network as wire};
use gantry_plugin_sdk::testing::Served;
use gantry_plugin_sdk::{Error, Server};
use gantry_proto::gantry::network::v1 as pb;
use parking_lot::Mutex;

use crate::world::*;

/// A driver whose links are veth pairs, of which the host keeps the end `h…`. It records the calls that it gets.
struct Links {
    asked: Arc<Mutex<Vec<String>>>,
    /// The call that it never answers.
    hangs: Arc<Mutex<&'static str>>,
    /// The scope that it states.
    scope: Arc<Mutex<&'static str>>,
    _served: Served,
}

impl Links {
    fn start(world: &World) -> Links {
        let scope: Arc<Mutex<&str>> = Arc::new(Mutex::new("local"));
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let hangs: Arc<Mutex<&str>> = Arc::default();
        let note = |what: &'static str| {
            let (asked, hangs) = (asked.clone(), hangs.clone());
            move || {
                asked.lock().push(what.to_owned());
                let hangs = *hangs.lock() == what;
                async move {
                    if hangs {
                        std::future::pending().await
                    }
                }
            }
        };
        let (create, delete) = (note("create"), note("delete"));
        let (make, join, gone, part) = (note("make"), note("join"), note("gone"), note("leave"));
        let host = world.host.clone();
        let server = Server::new()
            .implements(interface::NETWORK)
            .method("NetworkDriver.GetCapabilities", {
                let scope = scope.clone();
                move |_: Nothing| {
                    let scope = scope.lock().to_string();
                    async move { Ok(wire::Capabilities { scope }) }
                }
            })
            .method("NetworkDriver.CreateNetwork", move |_: wire::Network| nothing(create()))
            .method("NetworkDriver.DeleteNetwork", move |_: wire::NetworkId| nothing(delete()))
            .method("NetworkDriver.CreateEndpoint", move |_: wire::EndpointRequest| {
                let answer = make();
                async move {
                    answer.await;
                    Ok(wire::EndpointResponse::default())
                }
            })
            .method("NetworkDriver.Join", move |asked: wire::JoinRequest| {
                let answer = join();
                let made = host.run(|| veth(&host, &asked.endpoint_id)).unwrap();
                let src_name = format!("c{}", &asked.endpoint_id[..8]);
                async move {
                    answer.await;
                    made.map_err(Error::new)?;
                    let interface_name = wire::InterfaceName { src_name, dst_prefix: "eth".to_owned() };
                    let gateway = "10.78.0.1".to_owned();
                    Ok(wire::JoinResponse { interface_name, gateway, ..Default::default() })
                }
            })
            .method("NetworkDriver.Leave", move |_: wire::EndpointId| nothing(part()))
            .method("NetworkDriver.DeleteEndpoint", move |_: wire::EndpointId| nothing(gone()));
        let served = world.runtime.block_on(Served::start(server, &world.plugins(), "links"));
        Links { asked, hangs, scope, _served: served }
    }

    /// The calls since the last time this was called.
    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock())
    }
}

async fn nothing(answer: impl Future<Output = ()>) -> Result<Nothing, Error> {
    answer.await;
    Ok(Nothing {})
}

fn veth(host: &Namespace, endpoint: &str) -> gantry_netlink::Result<()> {
    let (name, peer) = (format!("h{}", &endpoint[..8]), format!("c{}", &endpoint[..8]));
    let (mac, port) = (Mac::random(), Default::default());
    let veth = Veth { name: &name, master: None, peer: &peer, namespace: host, mac, mtu: 1500, port };
    Route::open()?.add_veth(&veth)
}

fn create(name: &str) -> pb::CreateRequest {
    let config = vec![pb::IpamConfig { subnet: "10.78.0.0/16".to_owned(), ..Default::default() }];
    let ipam = Some(pb::Ipam { config, ..Default::default() });
    pb::CreateRequest { name: name.to_owned(), driver: "links".to_owned(), ipam, ..Default::default() }
}

/// The driver's links on the host.
fn links(world: &World) -> Vec<String> {
    let ours = |name: &String| name.len() == 9 && (name.starts_with('c') || name.starts_with('h'));
    let mut links: Vec<String> =
        world.links().into_iter().filter(ours).map(|it| it[..1].to_owned()).collect();
    links.sort_unstable();
    links
}

#[test]
fn a_link_is_given_back_and_one_that_has_gone_is_no_error() {
    let world = World::new();
    let plugin = Links::start(&world);
    world.create(create("net")).unwrap();
    assert_eq!(plugin.heard(), ["create"]);
    let attached = world.attach(netns('a', "a", &["net"], &[])).unwrap();
    assert_eq!(links(&world), ["h"], "its other end is in the container");
    world.detach(&attached.id);
    assert_eq!(links(&world), ["c", "h"]);
    assert_eq!(plugin.heard(), ["make", "join", "leave", "gone"]);

    let delete = |first: char| {
        let mut route = Route::open().unwrap();
        let all = route.links().unwrap().into_iter().map(|link| link.name);
        let all: Vec<String> = all.filter(|name| name.len() == 9 && name.starts_with(first)).collect();
        route.delete_links(all.iter().map(String::as_str)).unwrap();
    };
    world.host.run(|| delete('h')).unwrap();
    let attached = world.attach(netns('b', "b", &["net"], &[])).unwrap();
    world.host.run(|| delete('h')).unwrap();
    world.detach(&attached.id);
    assert_eq!(plugin.heard(), ["make", "join", "leave", "gone"]);

    let attached = world.attach(netns('d', "d", &["net"], &[])).unwrap();
    Namespace::unpin(&world.roots().run.join("netns").join(&attached.id)).unwrap();
    world.detach(&attached.id);
    assert_eq!(plugin.heard(), ["make", "join", "leave", "gone"]);
    wait("the namespace takes its link along", || links(&world).is_empty());
    world.remove("net").unwrap();
    assert_eq!(plugin.heard(), ["delete"]);
    assert_eq!(world.check(false), Vec::<String>::new());
}

#[test]
fn a_network_reaches_as_far_as_its_plugin_has_said_when_it_was_made() {
    let mut world = World::new();
    let plugin = Links::start(&world);
    *plugin.scope.lock() = "global";
    world.create(create("net")).unwrap();
    *plugin.scope.lock() = "odd";
    let scopes = |world: &World| ["net", "bridge"].map(|name| world.network(name).unwrap().scope);
    assert_eq!(scopes(&world), ["global", "local"]);
    world.stop();
    world.start();
    assert_eq!(scopes(&world), ["global", "local"]);

    let refused = world.create(create("other")).unwrap_err();
    assert_eq!(refused.message(), "could not resolve driver links in registry");
    assert_eq!(refused.code(), tonic::Code::NotFound);
}

#[test]
fn what_a_plugin_was_asked_for_when_the_service_died_is_as_the_records_say() {
    let mut world = World::new();
    let plugin = Links::start(&world);
    let heard = |what: &'static str| {
        let asked = plugin.asked.clone();
        wait(what, || asked.lock().iter().any(|one| one == what));
    };
    let die = |world: &mut World| {
        world.stop();
        *plugin.hangs.lock() = "";
        world.start();
    };

    *plugin.hangs.lock() = "create";
    let mut networks = world.peers.networks();
    world.runtime.spawn(async move { networks.create(create("net")).await });
    heard("create");
    die(&mut world);
    heard("delete");
    assert_eq!(plugin.heard(), ["create", "delete"]);
    assert_eq!(world.network("net").unwrap_err().code(), tonic::Code::NotFound);

    world.create(create("net")).unwrap();
    let mut namespaces = world.peers.netns();
    *plugin.hangs.lock() = "join";
    world.runtime.spawn(async move { namespaces.attach(netns('a', "a", &["net"], &[])).await });
    heard("join");
    die(&mut world);
    heard("gone");
    assert_eq!(plugin.heard(), ["create", "make", "join", "leave", "gone"]);

    let attached = world.attach(netns('a', "a", &["net"], &[])).unwrap();
    *plugin.hangs.lock() = "leave";
    let (mut namespaces, netns) = (world.peers.netns(), attached.id);
    world.runtime.spawn(async move { namespaces.detach(pb::DetachRequest { netns }).await });
    heard("leave");
    die(&mut world);
    heard("gone");
    assert_eq!(plugin.heard(), ["make", "join", "leave", "leave", "gone"]);
    assert_eq!(links(&world), ["c", "c", "h", "h"], "nothing is left in a container");

    *plugin.hangs.lock() = "delete";
    let mut networks = world.peers.networks();
    world.runtime.spawn(async move { networks.remove(pb::RemoveRequest { network: "net".into() }).await });
    heard("delete");
    assert_eq!(plugin.heard(), ["delete"]);
    die(&mut world);
    heard("delete");
    assert_eq!(plugin.heard(), ["delete"]);
    assert_eq!(world.network("net").unwrap_err().code(), tonic::Code::NotFound);
    assert_eq!(world.check(false), Vec::<String>::new());

    // Each end was told once, and nothing is left to tell.
    world.stop();
    world.start();
    world.create(create("net")).unwrap();
    assert_eq!(plugin.heard(), ["create"]);
}

#[test]
fn a_port_is_left_to_the_plugin_while_its_endpoint_is_the_way_out() {
    let world = World::new();
    let plugin = Links::start(&world);
    world.create(create("net")).unwrap();
    let free = || world.host.run(|| std::net::TcpListener::bind("0.0.0.0:8080").is_ok()).unwrap();
    let attached = world.attach(netns('a', "a", &["net"], &[tcp("", 8080, 80)])).unwrap();
    assert!(attached.ports.is_empty() && free(), "the plugin may bind it");

    // The network's name sorts first, so it has the default route.
    let (mut namespaces, netns) = (world.peers.netns(), attached.id.clone());
    let request = pb::ConnectRequest { netns: netns.clone(), endpoint: Some(on("bridge")) };
    let connected = world.runtime.block_on(namespaces.connect(request)).unwrap().into_inner();
    assert_eq!(connected.ports.iter().map(|port| port.host_port).collect::<Vec<_>>(), [8080]);
    assert!(!free());
    let taken = world.attach(crate::world::netns('b', "b", &["bridge"], &[tcp("", 8080, 80)])).unwrap_err();
    assert!(taken.message().contains("port is already allocated"), "{taken}");

    let request = pb::DisconnectRequest { netns, network: "bridge".to_owned() };
    let left = world.runtime.block_on(namespaces.disconnect(request)).unwrap().into_inner();
    assert!(left.ports.is_empty() && free());
    world.detach(&attached.id);
    assert_eq!(plugin.heard(), ["create", "make", "join", "leave", "gone"]);
}
