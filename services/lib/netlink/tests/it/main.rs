//! Tests with the kernel, in network namespaces of their own. They need root.

use std::net::IpAddr;
use std::time::Instant;

use gantry_netlink::nft::{
    Batch, Chain, Element, Expression, Family, Hook, HookPoint, MetaKey, Nft, Policy, Register, Set, Type,
};
use gantry_netlink::route::RouteEntry;
use gantry_netlink::{Mac, Namespace, Port, Route, Veth, sysctl};

fn inside<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    Namespace::create(work).unwrap().1
}

#[test]
fn links_addresses_and_routes() {
    inside(|| {
        let mut route = Route::open().unwrap();
        let mac = Mac::random();
        route.add_bridge("br-test", mac, 1400).unwrap();
        assert!(route.add_bridge("br-test", mac, 1400).unwrap_err().is_exists());
        let bridge = route.link("br-test").unwrap().unwrap();
        assert_eq!(
            (bridge.kind.as_str(), bridge.mac, bridge.up, bridge.mtu),
            ("bridge", Some(mac), true, 1400)
        );
        assert!(route.link("nothing").unwrap().is_none());
        let nets = ["10.9.0.1/24".parse().unwrap(), "fd09::1/64".parse().unwrap()];
        route.add_addresses(bridge.index, &nets).unwrap();
        assert!(route.add_addresses(bridge.index, &nets).unwrap_err().is_exists());
        let found = route.addresses().unwrap();
        assert!(nets.iter().all(|net| found.iter().any(|address| address.net == *net)));
        assert!(route.routes().unwrap().iter().any(|entry| entry.destination == nets[0].trunc()));

        let begun = Instant::now();
        let (space, mut far) = Namespace::create(|| Route::open().unwrap()).unwrap();
        let made = begun.elapsed();
        let mac = Mac::random();
        let veth = Veth {
            name: "veth0",
            master: Some(bridge.index),
            peer: "eth0",
            namespace: &space,
            mac,
            mtu: 1400,
            port: Port::default(),
        };
        route.add_veth(&veth).unwrap();
        let plugged = begun.elapsed() - made;
        let near = route.link("veth0").unwrap().unwrap();
        assert_eq!((near.master, near.mtu, near.up), (Some(bridge.index), 1400, true));
        let index = far.index("eth0").unwrap();
        let gateway = Some("10.9.0.1".parse().unwrap());
        let default = RouteEntry { destination: "0.0.0.0/0".parse().unwrap(), gateway, link: Some(index) };
        far.configure(index, &["10.9.0.2/24".parse().unwrap()], std::slice::from_ref(&default)).unwrap();
        far.replace_routes(std::slice::from_ref(&default)).unwrap();
        println!("netns {made:?} veth {plugged:?} all {:?}", begun.elapsed());
        assert!(far.routes().unwrap().contains(&default));
        route.set_port("veth0", Port { isolated: true, hairpin: true }).unwrap();
        route.settle(&["veth0", "br-test"]).unwrap();
        assert!(route.settle(&["nothing"]).unwrap_err().is_missing());
        route.delete_links(["veth0"]).unwrap();
        assert!(route.delete_links(["veth0"]).unwrap_err().is_missing());
    });
}

#[test]
fn sysctls_are_the_namespaces_own() {
    let outside = sysctl::read("net/ipv4/ip_default_ttl").unwrap();
    let (space, ()) = Namespace::create(|| sysctl::write("net/ipv4/ip_default_ttl", "33").unwrap()).unwrap();
    assert_eq!(space.run(|| sysctl::read("net/ipv4/ip_default_ttl").unwrap()).unwrap(), "33");
    assert_eq!(sysctl::read("net/ipv4/ip_default_ttl").unwrap(), outside);
}

const NAT: &[Type] = &[Type::Protocol, Type::Port];

fn table(batch: &mut Batch) {
    let (family, name) = (Family::Ip, "gantry-test");
    batch.replace_table(family, name);
    let ports = Set { name: "ports", key: NAT, data: &[Type::Ipv4, Type::Port], interval: false };
    let nets = Set { name: "nets", key: &[Type::Ipv4], data: &[], interval: true };
    batch.add_set(family, name, &ports).add_set(family, name, &nets);
    let hook = Hook { point: HookPoint::Prerouting, priority: -100, policy: Policy::Accept };
    batch.add_chain(family, name, &Chain { name: "pre", kind: "nat", hook: Some(hook) });
    let rule = [
        Expression::Meta(MetaKey::Transport, Register(0)),
        Expression::Transport(2, 2, Register(1)),
        Expression::Map { map: "ports".into(), key: Register(0), to: Register(0) },
        Expression::Dnat { family, address: Register(0), port: Register(1) },
    ];
    batch.add_rule(family, name, "pre", &rule);
}

#[test]
fn a_batch_is_all_or_nothing() {
    inside(|| {
        let mut nft = Nft::open().unwrap();
        let mut batch = Batch::new();
        table(&mut batch);
        nft.commit(&batch).unwrap();
        nft.commit(&batch).unwrap();
        assert_eq!(nft.tables(Family::Ip).unwrap(), ["gantry-test"]);

        let to: IpAddr = "10.0.0.2".parse().unwrap();
        let many: Vec<Element> =
            (1..=2000).map(|port| Element::new().protocol(6).port(port).to(to, port)).collect();
        let mut batch = Batch::new();
        batch.add_elements(Family::Ip, "gantry-test", "ports", &many);
        batch.add_elements(Family::Ip, "gantry-test", "nets", &Element::range("10.0.0.0/8".parse().unwrap()));
        nft.commit(&batch).unwrap();
        assert_eq!(nft.elements(Family::Ip, "gantry-test", "ports").unwrap().len(), 2000);
        assert_eq!(nft.elements(Family::Ip, "gantry-test", "nets").unwrap().len(), 1);

        let begun = Instant::now();
        let extra = [Element::new().protocol(17).port(53).to(to, 53)];
        let mut batch = Batch::new();
        batch.add_elements(Family::Ip, "gantry-test", "ports", &extra);
        nft.commit(&batch).unwrap();
        println!("the 2001st element: {:?}", begun.elapsed());

        let mut batch = Batch::new();
        batch.delete_elements(Family::Ip, "gantry-test", "ports", &extra);
        batch.delete_elements(Family::Ip, "gantry-test", "ports", &[Element::new().protocol(17).port(99)]);
        assert!(nft.commit(&batch).unwrap_err().is_missing());
        assert_eq!(nft.elements(Family::Ip, "gantry-test", "ports").unwrap().len(), 2001);
    });
}
