//! Networks, and network namespaces that are attached and detached.

use std::time::{Duration, Instant};

use gantry_proto::gantry::network::v1 as pb;
use tonic::Code;

use crate::world::*;

fn named(name: &str) -> pb::CreateRequest {
    pb::CreateRequest { name: name.into(), ..Default::default() }
}

#[test]
fn predefined_networks_are_there_and_stay() {
    let world = World::new();
    for (name, driver) in [("bridge", "bridge"), ("host", "host"), ("none", "null")] {
        assert_eq!(world.network(name).unwrap().driver, driver);
        assert_eq!(world.remove(name).unwrap_err().code(), Code::PermissionDenied);
        assert_eq!(world.create(named(name)).unwrap_err().code(), Code::PermissionDenied);
    }
    let bridge = world.network("bridge").unwrap();
    assert_eq!(bridge.ipam.unwrap().config[0].subnet, "172.17.0.0/16");
    let macvlan = pb::CreateRequest { driver: "macvlan".into(), ..named("m") };
    assert_eq!(world.create(macvlan).unwrap_err().code(), Code::Unimplemented);
}

#[test]
fn networks_are_made_found_and_removed() {
    let world = World::new();
    let begun = Instant::now();
    let first = world.create(named("first")).unwrap();
    let created = begun.elapsed();
    assert_eq!(first.ipam.as_ref().unwrap().config[0].subnet, "172.18.0.0/16");
    assert!(world.links().contains(&first.bridge));
    assert_eq!(world.create(named("first")).unwrap_err().code(), Code::AlreadyExists);
    assert_eq!(world.network(&first.id[..12]).unwrap().name, "first");
    let config = pb::IpamConfig { subnet: "172.18.7.0/24".into(), ..Default::default() };
    let ipam = Some(pb::Ipam { config: vec![config], ..Default::default() });
    let refused = world.create(pb::CreateRequest { ipam, ..named("clash") }).unwrap_err();
    assert!(refused.message().contains("Pool overlaps"), "{refused}");

    world.attach(netns('a', "web", &["first"], &[])).unwrap();
    assert_eq!(world.network("first").unwrap().endpoints[0].name, "web");
    let refused = world.remove("first").unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().contains("has active endpoints"), "{refused}");
    world.detach(&id('a'));
    let begun = Instant::now();
    world.remove("first").unwrap();
    println!("network create {created:?} remove {:?}", begun.elapsed());
    assert_eq!(world.network("first").unwrap_err().code(), Code::NotFound);
    // The kernel may take a moment to delete the bridge; the bridge is no stray meanwhile.
    assert_eq!(world.check(false), Vec::<String>::new());
    assert!(!world.links().contains(&first.bridge));
    assert_eq!(world.create(named("again")).unwrap().ipam.unwrap().config[0].subnet, "172.18.0.0/16");
}

#[test]
fn networks_are_withdrawn_and_come_back() {
    let mut world = World::new();
    let net = world.create(named("net")).unwrap();
    world.attach(netns('a', "web", &["net"], &[])).unwrap();
    let refused = world.withdraw().unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    let bridges = [net.bridge, world.network("bridge").unwrap().bridge];
    assert!(bridges.iter().all(|bridge| world.links().contains(bridge)));

    world.detach(&id('a'));
    for _ in 0..2 {
        world.withdraw().unwrap();
        let links = world.links();
        assert!(bridges.iter().all(|bridge| !links.contains(bridge)), "{links:?}");
        assert_eq!(world.tables(), Vec::<String>::new());
    }
    // The service looks at the rules every two seconds.
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(world.tables(), Vec::<String>::new());

    world.stop();
    world.start();
    assert!(bridges.iter().all(|bridge| world.links().contains(bridge)));
    assert_eq!(world.check(false), Vec::<String>::new());
    world.attach(netns('b', "web", &["net"], &[])).unwrap();
}

#[test]
fn no_container_becomes_the_hosts_router() {
    let world = World::new();
    let bridge = world.network("bridge").unwrap().bridge;
    let accepts = || gantry_netlink::sysctl::read(&format!("net/ipv6/conf/{bridge}/accept_ra")).unwrap();
    assert_eq!(world.host.run(accepts).unwrap(), "0");
}

#[test]
fn options_and_requested_addresses_are_kept() {
    let world = World::new();
    let config = pb::IpamConfig {
        subnet: "10.77.0.0/16".into(),
        ip_range: "10.77.5.0/24".into(),
        gateway: "10.77.0.254".into(),
        ..Default::default()
    };
    let options = [("com.docker.network.bridge.name", "mine0"), ("com.docker.network.driver.mtu", "1400")];
    let made = world
        .create(pb::CreateRequest {
            ipam: Some(pb::Ipam { config: vec![config], ..Default::default() }),
            options: options.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            labels: [("a".to_owned(), "b".to_owned())].into(),
            ..named("mine")
        })
        .unwrap();
    assert_eq!((made.bridge.as_str(), made.labels["a"].as_str()), ("mine0", "b"));
    let any = world.attach(netns('a', "any", &["mine"], &[])).unwrap();
    assert!(any.endpoints[0].ipv4_address.starts_with("10.77.5."), "{any:?}");
    assert_eq!(any.endpoints[0].ipv4_gateway, "10.77.0.254");
    let mut spec = netns('b', "fixed", &["mine"], &[]);
    spec.endpoints[0].ipv4_address = "10.77.9.9".into();
    spec.endpoints[0].mac_address = "02:42:0a:4d:09:09".into();
    let fixed = world.attach(spec.clone()).unwrap();
    assert_eq!((fixed.endpoints[0].ipv4_address.as_str(), fixed.endpoints[0].ipv4_prefix), ("10.77.9.9", 16));
    assert_eq!(fixed.endpoints[0].mac_address, "02:42:0a:4d:09:09");
    assert_eq!(world.attach(spec.clone()).unwrap(), fixed, "attaching again answers the same");
    spec.netns = id('c');
    let error = world.attach(spec).unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::PermissionDenied, "Address already in use"));
    let dev = world
        .pin(&fixed.id)
        .run(|| gantry_netlink::Route::open().unwrap().link("eth0").unwrap().unwrap())
        .unwrap();
    assert_eq!((dev.mtu, dev.mac.unwrap().to_string().as_str()), (1400, "02:42:0a:4d:09:09"));
}

#[test]
fn internal_networks_have_no_way_out_and_icc_can_be_off() {
    let world = World::new();
    world.create(pb::CreateRequest { internal: true, ..named("inner") }).unwrap();
    let one = world.attach(netns('a', "one", &["inner"], &[tcp("", 8080, 80)])).unwrap();
    let two = world.attach(netns('b', "two", &["inner"], &[])).unwrap();
    assert!(one.ports.is_empty());
    serve(&world.pin(&one.id), 80);
    serve(&world.outside, 9000);
    assert!(seen(&world.pin(&two.id), &one.endpoints[0].ipv4_address, 80).is_some());
    assert_eq!(seen(&world.pin(&two.id), OUTSIDE, 9000), None);

    let options = [("com.docker.network.bridge.enable_icc".to_owned(), "false".to_owned())].into();
    world.create(pb::CreateRequest { options, ..named("quiet") }).unwrap();
    let three = world.attach(netns('c', "three", &["quiet"], &[])).unwrap();
    let four = world.attach(netns('d', "four", &["quiet"], &[])).unwrap();
    serve(&world.pin(&three.id), 80);
    assert_eq!(seen(&world.pin(&four.id), &three.endpoints[0].ipv4_address, 80), None);
    assert!(seen(&world.pin(&four.id), OUTSIDE, 9000).is_some());
}

#[test]
fn live_netns_are_connected_and_disconnected() {
    let world = World::new();
    world.create(named("one")).unwrap();
    world.create(named("two")).unwrap();
    let a = world.attach(netns('a', "a", &["two"], &[tcp("", 8080, 80)])).unwrap();
    let b = world.attach(netns('b', "b", &["one"], &[])).unwrap();
    let inside = world.pin(&a.id);
    serve(&inside, 80);
    serve(&world.outside, 9000);
    assert_eq!(seen(&world.pin(&b.id), &a.endpoints[0].ipv4_address, 80), None);

    let mut client = world.peers.netns();
    let request = pb::ConnectRequest { netns: a.id.clone(), endpoint: Some(on("one")) };
    let connected = world.runtime.block_on(async { client.connect(request).await }).unwrap().into_inner();
    assert_eq!(connected.endpoints[1].interface, "eth1");
    assert!(seen(&world.pin(&b.id), &connected.endpoints[1].ipv4_address, 80).is_some());
    assert!(seen(&world.outside, HOST, 8080).is_some(), "published through the new way out");
    assert!(seen(&inside, OUTSIDE, 9000).is_some());

    let request = pb::DisconnectRequest { netns: a.id.clone(), network: "one".into() };
    let left =
        world.runtime.block_on(async { client.disconnect(request.clone()).await }).unwrap().into_inner();
    assert_eq!(left.endpoints.len(), 1);
    let again = world.runtime.block_on(async { client.disconnect(request).await }).unwrap_err();
    assert_eq!(again.code(), Code::NotFound);
    assert_eq!(seen(&world.pin(&b.id), &connected.endpoints[1].ipv4_address, 80), None);
    assert!(seen(&world.outside, HOST, 8080).is_some(), "published through the old way out again");
    assert!(seen(&inside, OUTSIDE, 9000).is_some());
}

#[test]
fn a_netns_without_networks_has_only_lo() {
    let world = World::new();
    let alone = world.attach(netns('a', "alone", &[], &[])).unwrap();
    let links = world.pin(&alone.id).run(|| gantry_netlink::Route::open().unwrap().links().unwrap()).unwrap();
    assert_eq!(
        links.iter().filter(|link| link.up).map(|link| link.name.as_str()).collect::<Vec<_>>(),
        ["lo"]
    );
    world.detach(&alone.id);
    world.detach(&alone.id);
}

#[test]
fn attaching_is_quick_and_nothing_leaks() {
    let world = World::new();
    let before = world.links();
    let mut client = world.peers.netns();
    let mut attach = Vec::new();
    let mut detach = Vec::new();
    for round in 0..20u32 {
        let mut request = netns('a', "quick", &["bridge"], &[tcp("", 7000 + round, 80)]);
        request.netns = format!("{round:064x}");
        let begun = Instant::now();
        world.runtime.block_on(async { client.attach(request).await }).unwrap();
        attach.push(begun.elapsed());
        std::thread::sleep(std::time::Duration::from_millis(5));
        let begun = Instant::now();
        let request = pb::DetachRequest { netns: format!("{round:064x}") };
        world.runtime.block_on(async { client.detach(request).await }).unwrap();
        detach.push(begun.elapsed());
    }
    attach.sort();
    detach.sort();
    println!(
        "attach median {:?} min {:?}; detach median {:?} min {:?}",
        attach[10], attach[0], detach[10], detach[0]
    );
    wait("veths to go", || world.links() == before);
    assert_eq!(std::fs::read_dir(world.roots().run.join("netns")).unwrap().count(), 0);
    let table = world.tables().remove(0);
    let left = world.host.run(|| {
        gantry_netlink::nft::Nft::open()
            .unwrap()
            .elements(gantry_netlink::nft::Family::Ip, &table, "ports_any")
            .unwrap()
    });
    assert!(left.unwrap().is_empty());
}
