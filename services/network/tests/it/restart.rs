//! The service dies and is started again: containers do not notice.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use gantry_netlink::nft::{Batch, Family, Nft};
use gantry_proto::gantry::network::v1 as pb;

use crate::names::addresses;
use crate::world::*;

#[test]
fn traffic_flows_while_the_service_is_away_and_while_it_comes_back() {
    let mut world = World::new();
    world.create(pb::CreateRequest { name: "app".into(), ..Default::default() }).unwrap();
    let web = world.attach(netns('a', "web", &["app"], &[tcp("", 8080, 80)])).unwrap();
    let db = world.attach(netns('b', "db", &["app"], &[])).unwrap();
    serve(&world.pin(&web.id), 80);
    let (mut old, _) = open(&world.outside, HOST, 8080).unwrap();

    // Opens one connection after the other during the whole test.
    let (stop, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let failed = Arc::new(AtomicU32::new(0));
    let client = {
        let (stop, made, failed, outside) =
            (stop.clone(), made.clone(), failed.clone(), world.outside.clone());
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                match seen(&outside, HOST, 8080) {
                    Some(_) => made.fetch_add(1, Ordering::Relaxed),
                    None => failed.fetch_add(1, Ordering::Relaxed),
                };
            }
        })
    };
    world.stop();
    let while_away = made.load(Ordering::Relaxed);
    wait("connections without the service", || made.load(Ordering::Relaxed) > while_away + 20);
    world.start();
    let back = made.load(Ordering::Relaxed);
    wait("connections with the service back", || made.load(Ordering::Relaxed) > back + 20);
    stop.store(true, Ordering::Relaxed);
    client.join().unwrap();
    assert_eq!(failed.load(Ordering::Relaxed), 0);

    old.write_all(b"still there").unwrap();
    let mut buffer = [0; 11];
    old.read_exact(&mut buffer).unwrap();
    assert_eq!(&buffer, b"still there");

    let mut client = world.peers.netns();
    let request = pb::GetNetnsRequest { netns: web.id.clone() };
    let found = world.runtime.block_on(async { client.get(request).await }).unwrap().into_inner();
    assert_eq!(found, web);
    let address: std::net::Ipv4Addr = db.endpoints[0].ipv4_address.parse().unwrap();
    assert_eq!(addresses(&world.pin(&web.id), "db."), [address]);
    let taken = world.attach(netns('c', "c", &["app"], &[tcp("", 8080, 80)])).unwrap_err();
    assert!(taken.message().contains("port is already allocated"));
}

/// `nft flush ruleset`
fn flush_rules() {
    let mut nft = Nft::open().unwrap();
    let mut batch = Batch::new();
    for family in [Family::Ip, Family::Ip6] {
        for table in nft.tables(family).unwrap() {
            batch.delete_table(family, &table);
        }
    }
    nft.commit(&batch).unwrap();
}

#[test]
fn flushed_rules_come_back() {
    let world = World::new();
    let web = world.attach(netns('a', "web", &["bridge"], &[tcp("", 8080, 80)])).unwrap();
    serve(&world.pin(&web.id), 80);
    world.host.run(flush_rules).unwrap();
    assert_eq!(seen(&world.outside, HOST, 8080), None);
    wait("the published port", || seen(&world.outside, HOST, 8080).is_some());
}

#[test]
fn strays_are_removed_and_lost_namespaces_forgotten() {
    let mut world = World::new();
    let lost = world.attach(netns('a', "lost", &["bridge"], &[tcp("", 8080, 80)])).unwrap();
    let kept = world.attach(netns('b', "kept", &["bridge"], &[])).unwrap();
    let veth = world.links().into_iter().find(|name| name.starts_with('v')).unwrap();
    world.stop();

    let pins = world.roots().run.join("netns");
    gantry_netlink::Namespace::unpin(&pins.join(&lost.id)).unwrap();
    // As after a crash: a pin without a record, and a veth without one.
    let (stray, ()) = gantry_netlink::Namespace::create(|| ()).unwrap();
    stray.pin(&pins.join(id('f'))).unwrap();
    let name = format!("{}ffffffff", &veth[..7]);
    let make = || {
        let mac = gantry_netlink::Mac::random();
        let veth = gantry_netlink::Veth {
            name: &name,
            master: None,
            peer: "eth9",
            namespace: &stray,
            mac,
            mtu: 0,
            port: Default::default(),
        };
        gantry_netlink::Route::open().unwrap().add_veth(&veth).unwrap();
        flush_rules();
    };
    world.host.run(make).unwrap();

    world.start();
    assert!(!world.links().contains(&name));
    assert!(!pins.join(id('f')).exists());
    let mut client = world.peers.netns();
    let all =
        world.runtime.block_on(async { client.list(pb::ListNetnsRequest {}).await }).unwrap().into_inner();
    assert_eq!(all.netns.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), [kept.id.as_str()]);
    let again = world.attach(netns('c', "again", &["bridge"], &[tcp("", 8080, 80)])).unwrap();
    serve(&world.pin(&again.id), 80);
    assert!(seen(&world.outside, HOST, 8080).is_some());
    assert_eq!(world.check(true), Vec::<String>::new());
    stray.pin(&pins.join(id('e'))).unwrap();
    assert_eq!(world.check(false), [format!("netns {}", id('e'))]);
    assert_eq!(world.check(true).len(), 1);
    assert_eq!(world.check(false), Vec::<String>::new());
}

#[test]
fn a_network_that_cannot_be_completed_keeps_no_other_from_working() {
    let mut world = World::new();
    let options = [("com.docker.network.bridge.name".to_owned(), "mine0".to_owned())].into();
    world.create(pb::CreateRequest { name: "mine".into(), options, ..Default::default() }).unwrap();
    world.stop();
    let replace = || {
        let mut route = gantry_netlink::Route::open().unwrap();
        route.delete_links(["mine0"]).unwrap();
        let other = gantry_netlink::Veth {
            name: "mine0",
            master: None,
            peer: "far0",
            namespace: &world.outside,
            mac: gantry_netlink::Mac::random(),
            mtu: 0,
            port: Default::default(),
        };
        route.add_veth(&other).unwrap();
    };
    world.host.run(replace).unwrap();
    world.start();
    world.attach(netns('a', "web", &["bridge"], &[])).unwrap();
    assert!(world.attach(netns('b', "b", &["mine"], &[])).is_err());
    world.remove("mine").unwrap();
    assert!(world.links().contains(&"mine0".to_owned()), "it is somebody else's by now");
}

#[test]
fn rules_that_no_network_needs_any_more_go() {
    let mut world = World::new();
    let six = pb::CreateRequest { name: "six".into(), enable_ipv6: Some(true), ..Default::default() };
    world.create(six).unwrap();
    world.remove("six").unwrap();
    let tables = |world: &World| {
        let list = || Nft::open().unwrap().tables(Family::Ip6).unwrap();
        world.host.run(list).unwrap()
    };
    assert_eq!(tables(&world).len(), 1);
    world.stop();
    world.start();
    assert_eq!(tables(&world), Vec::<String>::new());
}

#[test]
fn two_gantrys_share_a_host() {
    let world = World::new();
    let other = World::beside(&world);
    let one = world.attach(netns('a', "one", &["bridge"], &[tcp("", 8080, 80)])).unwrap();
    let two = other.attach(netns('a', "two", &["bridge"], &[tcp("", 8081, 80)])).unwrap();
    assert_ne!(one.endpoints[0].ipv4_gateway, two.endpoints[0].ipv4_gateway);
    serve(&world.pin(&one.id), 80);
    serve(&other.pin(&two.id), 80);
    let taken = other.attach(netns('b', "b", &["bridge"], &[tcp("", 8080, 80)])).unwrap_err();
    assert!(taken.message().contains("address already in use"), "{taken}");
    for (port, from) in [(8080, "one"), (8081, "two")] {
        assert_eq!(seen(&world.outside, HOST, port).as_deref(), Some(OUTSIDE), "{from}");
        assert!(seen(&world.host, "127.0.0.1", port).is_some(), "{from}");
    }
    assert_eq!(seen(&world.pin(&one.id), &two.endpoints[0].ipv4_address, 80), None);
    assert_eq!((world.check(true), other.check(true)), (vec![], vec![]));
    drop(other);
    assert!(seen(&world.outside, HOST, 8080).is_some());
}
