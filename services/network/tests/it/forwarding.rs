//! A host between two others: Gantry does not make it their router, and leaves its setting as it was.

use gantry_netlink::route::RouteEntry;
use gantry_netlink::{Mac, Namespace, Route, Veth};
use gantry_proto::gantry::network::v1 as pb;

use crate::world::*;

const FAR: &str = "198.51.100.2";
const FAR6: &str = "2001:db8:1::2";

/// A third host, which the outside reaches through the host, if that forwards packets.
fn behind(world: &World) -> Namespace {
    let up = || {
        let mut route = Route::open().unwrap();
        let lo = route.index("lo").unwrap();
        route.set_up(lo).unwrap();
        route
    };
    let (far, mut inside) = Namespace::create(up).unwrap();
    let via = |destination: &str, gateway: &str, link: u32| RouteEntry {
        destination: destination.parse().unwrap(),
        gateway: Some(gateway.parse().unwrap()),
        link: Some(link),
    };
    let near = || {
        let mut route = Route::open().unwrap();
        let veth = Veth {
            name: "up1",
            master: None,
            peer: "far0",
            namespace: &far,
            mac: Mac::random(),
            mtu: 0,
            port: Default::default(),
        };
        route.add_veth(&veth).unwrap();
        let index = route.index("up1").unwrap();
        let nets = ["198.51.100.1/24".parse().unwrap(), "2001:db8:1::1/64".parse().unwrap()];
        route.configure(index, &nets, &[]).unwrap();
    };
    world.host.run(near).unwrap();
    let index = inside.index("far0").unwrap();
    let nets = [format!("{FAR}/24").parse().unwrap(), format!("{FAR6}/64").parse().unwrap()];
    let routes = [via("0.0.0.0/0", "198.51.100.1", index), via("::/0", "2001:db8:1::1", index)];
    inside.configure(index, &nets, &routes).unwrap();
    let outside = || {
        let mut route = Route::open().unwrap();
        let index = route.index("out0").unwrap();
        let routes = [via("198.51.100.0/24", HOST, index), via("2001:db8:1::/64", HOST6, index)];
        route.configure(index, &[], &routes).unwrap();
    };
    world.outside.run(outside).unwrap();
    serve(&far, 9000);
    far
}

fn six(world: &World) {
    let six = pb::CreateRequest { name: "six".into(), enable_ipv6: Some(true), ..Default::default() };
    world.create(six).unwrap();
}

fn routed(world: &World) -> [bool; 2] {
    [FAR, FAR6].map(|to| seen(&world.outside, to, 9000).is_some())
}

#[test]
fn the_host_routes_for_its_containers_alone() {
    let mut world = World::prepared(|| set_forwarding("0"));
    six(&world);
    let far = behind(&world);
    serve(&world.outside, 9000);
    for _ in 0..2 {
        assert_eq!(forwarding_of(&world.host), ["1", "1"]);
        assert_eq!(routed(&world), [false, false]);
        assert_eq!(seen(&far, OUTSIDE, 9000), None);
        let web = world.attach(netns('a', "web", &["six"], &[tcp("", 8080, 80)])).unwrap();
        let inside = world.pin(&web.id);
        serve(&inside, 80);
        assert!(seen(&inside, FAR, 9000).is_some() && seen(&inside, FAR6, 9000).is_some());
        assert!(seen(&world.outside, HOST, 8080).is_some() && seen(&far, HOST6, 8080).is_some());
        world.detach(&web.id);
        world.stop();
        assert_eq!(routed(&world), [false, false], "without the service");
        world.start();
    }
    // The rules alone tell it when the records are lost.
    world.stop();
    std::fs::remove_dir_all(world.roots().state.join("network/db")).unwrap();
    std::fs::remove_file(world.roots().state.join("network/db.copy")).unwrap();
    world.start();
    assert!(!routed(&world)[0]);
    world.withdraw().unwrap();
    assert_eq!(forwarding_of(&world.host)[0], "0");
}

#[test]
fn withdrawal_switches_off_what_was_switched_on() {
    let mut world = World::prepared(|| set_forwarding("0"));
    six(&world);
    for _ in 0..2 {
        world.withdraw().unwrap();
        world.withdraw().unwrap();
        assert_eq!(forwarding_of(&world.host), ["0", "0"]);
        world.stop();
        world.start();
        assert_eq!(forwarding_of(&world.host), ["1", "1"]);
    }
}

#[test]
fn a_host_that_was_a_router_stays_one() {
    let world = World::prepared(|| set_forwarding("1"));
    six(&world);
    behind(&world);
    wait("routes of both families", || routed(&world) == [true, true]);
    world.withdraw().unwrap();
    assert_eq!(forwarding_of(&world.host), ["1", "1"]);
    assert_eq!(routed(&world), [true, true]);
}

#[test]
fn the_last_of_several_gantrys_switches_off() {
    let world = World::prepared(|| set_forwarding("0"));
    let other = World::beside(&world);
    let web = other.attach(netns('a', "web", &["bridge"], &[tcp("", 8080, 80)])).unwrap();
    serve(&other.pin(&web.id), 80);
    world.withdraw().unwrap();
    assert_eq!(forwarding_of(&world.host)[0], "1");
    assert!(seen(&world.outside, HOST, 8080).is_some());
    behind(&world);
    assert!(!routed(&world)[0]);
    other.detach(&web.id);
    other.withdraw().unwrap();
    assert_eq!(forwarding_of(&world.host)[0], "0");
}
