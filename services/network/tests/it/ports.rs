//! Published ports: which clients reach them, and which source address the container sees.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use gantry_netlink::route::RouteEntry;
use gantry_netlink::{Route, sysctl};
use gantry_proto::gantry::network::v1 as pb;
use tonic::Code;

use crate::world::*;

#[test]
fn a_published_port_answers_from_everywhere() {
    // br_netfilter passes bridged packets through the rules too: ports must work with it and without.
    for filtered in ["1", "0"] {
        let world = World::new();
        let set = || gantry_netlink::sysctl::write("net/bridge/bridge-nf-call-iptables", filtered);
        let _ = world.host.run(set).unwrap();
        from_everywhere(&world);
    }
}

fn from_everywhere(world: &World) {
    let web = world.attach(netns('a', "web", &["bridge"], &[tcp("", 8080, 80)])).unwrap();
    assert_eq!(web.ports.len(), 1);
    assert_eq!((web.ports[0].host_ip.as_str(), web.ports[0].host_port), ("0.0.0.0", 8080));
    let gateway = web.endpoints[0].ipv4_gateway.clone();
    let address = web.endpoints[0].ipv4_address.clone();
    let inside = world.pin(&web.id);
    serve(&inside, 80);

    assert_eq!(seen(&world.host, &address, 80).as_deref(), Some(gateway.as_str()), "host, directly");
    assert_eq!(seen(&world.outside, HOST, 8080).as_deref(), Some(OUTSIDE), "outside keeps its address");
    assert!(seen(&world.host, HOST, 8080).is_some(), "host, by its address");
    assert_eq!(seen(&world.host, "127.0.0.1", 8080).as_deref(), Some(gateway.as_str()), "host, by loopback");
    assert_eq!(seen(&inside, HOST, 8080).as_deref(), Some(gateway.as_str()), "the container itself");

    world.create(pb::CreateRequest { name: "other".into(), ..Default::default() }).unwrap();
    let other = world.attach(netns('b', "other", &["other"], &[])).unwrap();
    let there = world.pin(&other.id);
    assert_eq!(seen(&there, HOST, 8080).as_deref(), Some(gateway.as_str()), "a container of another network");
    assert_eq!(seen(&there, &address, 80), None, "networks are isolated");
    let near = world.attach(netns('c', "near", &["bridge"], &[])).unwrap();
    assert!(seen(&world.pin(&near.id), &address, 80).is_some(), "a neighbour");
    assert!(seen(&world.pin(&near.id), &gateway, 8080).is_some(), "a neighbour by the gateway");
}

#[test]
fn containers_leave_under_the_hosts_address() {
    let world = World::new();
    let out = world.attach(netns('a', "out", &["bridge"], &[])).unwrap();
    serve(&world.outside, 9000);
    assert_eq!(seen(&world.pin(&out.id), OUTSIDE, 9000).as_deref(), Some(HOST));
    assert_eq!(forwarding_of(&world.host)[0], "1");
    // The host's loopback stays the host's own, whatever route_localnet allows.
    serve(&world.host, 9001);
    assert_eq!(seen(&world.pin(&out.id), "127.0.0.1", 9001), None);
}

#[test]
fn a_port_can_be_on_one_address_only() {
    let world = World::new();
    let web = world.attach(netns('a', "web", &["bridge"], &[tcp("127.0.0.1", 8081, 80)])).unwrap();
    serve(&world.pin(&web.id), 80);
    assert!(seen(&world.host, "127.0.0.1", 8081).is_some());
    assert_eq!(seen(&world.host, HOST, 8081), None);
    assert_eq!(seen(&world.outside, HOST, 8081), None);
    let two = world.attach(netns('b', "two", &["bridge"], &[tcp(HOST, 8081, 81)])).unwrap();
    serve(&world.pin(&two.id), 81);
    assert!(seen(&world.outside, HOST, 8081).is_some());
}

#[test]
fn what_is_published_on_loopback_is_for_the_host_alone() {
    let world = World::new();
    let web = world.attach(netns('a', "web", &["bridge"], &[tcp("127.0.0.1", 8081, 80)])).unwrap();
    serve(&world.pin(&web.id), 80);
    // A neighbour on the host's link that sends packets for 127.0.0.1 to the host.
    let turn_hostile = || {
        let mut route = Route::open().unwrap();
        let (lo, link) = (route.index("lo").unwrap(), route.index("out0").unwrap());
        route.delete_addresses(lo, &["127.0.0.1/8".parse().unwrap()]).unwrap();
        sysctl::write("net/ipv4/conf/out0/route_localnet", "1").unwrap();
        let (destination, gateway) = ("127.0.0.1/32".parse().unwrap(), Some(HOST.parse().unwrap()));
        route.replace_routes(&[RouteEntry { destination, gateway, link: Some(link) }]).unwrap();
    };
    world.outside.run(turn_hostile).unwrap();
    assert_eq!(seen(&world.outside, "127.0.0.1", 8081), None);
    assert!(seen(&world.host, "127.0.0.1", 8081).is_some());
}

#[test]
fn refusals_leave_nothing_behind() {
    let world = World::new();
    world.attach(netns('a', "web", &["bridge"], &[tcp("", 8080, 80)])).unwrap();
    let links = world.links().len();
    let refused =
        world.attach(netns('b', "two", &["bridge"], &[tcp("", 8082, 80), tcp("", 8080, 80)])).unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("port is already allocated"), "{refused}");
    let listener = world.host.run(|| TcpListener::bind("0.0.0.0:8083").unwrap()).unwrap();
    let refused = world.attach(netns('b', "two", &["bridge"], &[tcp("", 8083, 80)])).unwrap_err();
    assert!(refused.message().contains("address already in use"), "{refused}");
    drop(listener);
    assert!(
        world.host.run(|| TcpListener::bind("0.0.0.0:8080").is_err()).unwrap(),
        "a published port is nobody else's"
    );
    let refused = world.attach(netns('b', "two", &["bridge", "nowhere"], &[])).unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    assert_eq!(world.links().len(), links);
    assert!(!exists(&world.roots().run.join("netns").join(id('b'))));

    let two = world.attach(netns('b', "two", &["bridge"], &[tcp("", 8082, 80), tcp("", 8083, 80)])).unwrap();
    assert!(
        two.endpoints[0].ipv4_address.ends_with(".0.3"),
        "addresses of refused attachments are free again"
    );
    world.detach(&id('a'));
    let again = world.attach(netns('a', "web", &["bridge"], &[tcp("", 8080, 80)])).unwrap();
    assert!(again.endpoints[0].ipv4_address.ends_with(".0.2"));
}

#[test]
fn ephemeral_ports_and_ranges() {
    let world = World::new();
    let mut range = tcp("", 9000, 80);
    range.host_port_last = 9002;
    let web = world.attach(netns('a', "web", &["bridge"], &[tcp("", 0, 80), range.clone(), range])).unwrap();
    let ports: Vec<u32> = web.ports.iter().map(|port| port.host_port).collect();
    assert!((32768..=60999).contains(&ports[0]), "{ports:?}");
    assert_eq!(ports[1..], [9000, 9001]);
}

#[test]
fn udp_follows_the_container_that_has_the_port() {
    let world = World::new();
    let mapping = pb::PortMapping { protocol: "udp".into(), ..tcp("", 5353, 53) };
    let one = world.attach(netns('a', "one", &["bridge"], std::slice::from_ref(&mapping))).unwrap();
    udp_echo(&world.pin(&one.id), 53, "one");
    let client = world.outside.run(|| UdpSocket::bind("0.0.0.0:4444").unwrap()).unwrap();
    client.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let ask = || {
        let mut buffer = [0; 16];
        client.send_to(b"?", (HOST, 5353)).unwrap();
        client.recv(&mut buffer).ok().map(|length| String::from_utf8_lossy(&buffer[..length]).into_owned())
    };
    assert_eq!(ask().as_deref(), Some("one"));
    world.detach(&one.id);
    let keep = world.attach(netns('c', "keep", &["bridge"], &[])).unwrap();
    let two = world.attach(netns('b', "two", &["bridge"], &[mapping])).unwrap();
    assert_ne!(keep.endpoints[0].ipv4_address, two.endpoints[0].ipv4_address);
    udp_echo(&world.pin(&two.id), 53, "two");
    assert_eq!(ask().as_deref(), Some("two"), "the same client port, another container");
}

#[test]
fn ipv6_is_published_too() {
    let world = World::new();
    let network = world
        .create(pb::CreateRequest { name: "six".into(), enable_ipv6: Some(true), ..Default::default() })
        .unwrap();
    assert!(network.ipam.unwrap().config[1].subnet.starts_with("fd"));
    let web = world.attach(netns('a', "web", &["six"], &[tcp("", 8080, 80)])).unwrap();
    let hosts: Vec<&str> = web.ports.iter().map(|port| port.host_ip.as_str()).collect();
    assert_eq!(hosts, ["0.0.0.0", "::"]);
    serve(&world.pin(&web.id), 80);
    assert!(seen(&world.outside, HOST, 8080).is_some());
    assert_eq!(seen(&world.outside, HOST6, 8080).as_deref(), Some("2001:db8::2"));
    assert!(seen(&world.host, &web.endpoints[0].ipv6_address, 80).is_some());
    let by_loopback = || TcpStream::connect_timeout(&"[::1]:8080".parse().unwrap(), Duration::from_secs(2));
    let refused = world.host.run(by_loopback).unwrap().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "who asks for localhost goes on to 127.0.0.1");
    serve(&world.outside, 9000);
    assert_eq!(seen(&world.pin(&web.id), "2001:db8::2", 9000).as_deref(), Some(HOST6));
}
