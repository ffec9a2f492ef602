use super::*;
use crate::error::Error;
use crate::record::Subnet;

fn network(id: &str, subnet: &str, gateway: &str) -> Network {
    let subnet = Subnet { subnet: subnet.into(), gateway: gateway.into(), ..Subnet::default() };
    Network {
        id: id.into(),
        name: format!("net-{id}"),
        driver: "bridge".into(),
        enable_ipv4: true,
        subnets: vec![subnet],
        bridge: format!("br-{id}"),
        ..Network::default()
    }
}

fn on(network: &str) -> EndpointWish {
    EndpointWish { network: network.into(), ..EndpointWish::default() }
}

#[test]
fn networks_are_found_by_id_name_and_prefix() {
    let mut book = Book::default();
    book.restore_network(network("aab", "10.1.0.0/16", "10.1.0.1")).unwrap();
    book.restore_network(network("aac", "10.2.0.0/16", "10.2.0.1")).unwrap();
    assert_eq!(book.network("net-aab").unwrap().id, "aab");
    assert_eq!(book.network("aac").unwrap().id, "aac");
    assert!(matches!(book.network("aa"), Err(Error::NetworkAmbiguous(_))));
    assert!(matches!(book.network("b"), Err(Error::NetworkNotFound(_))));
    let clash = book.reserve_network(network("x", "10.2.128.0/20", "10.2.128.1"));
    assert!(matches!(clash, Err(Error::PoolOverlaps(..))));
}

#[test]
fn a_network_with_endpoints_stays() {
    let mut book = Book::default();
    book.restore_network(network("a", "10.1.0.0/16", "10.1.0.1")).unwrap();
    let mut sandbox = Sandbox { id: "s".into(), name: "web".into(), ..Sandbox::default() };
    book.plug(&mut sandbox, &on("a"), "v").unwrap();
    assert_eq!(
        (sandbox.endpoints[0].ipv4.as_str(), sandbox.endpoints[0].interface.as_str()),
        ("10.1.0.2/16", "eth0")
    );
    assert!(matches!(book.plug(&mut sandbox, &on("a"), "v"), Err(Error::AlreadyConnected { .. })));
    book.put_sandbox(sandbox.clone());
    let error = book.begin_removal("a").unwrap_err().to_string();
    assert!(error.contains("has active endpoints (name:\"web\""), "{error}");
    book.forget_sandbox(&sandbox);
    book.begin_removal("a").unwrap();
    assert!(matches!(book.network("a"), Err(Error::NetworkNotFound(_))));
}

#[test]
fn bridges_of_networks_that_come_and_go_are_known() {
    let mut book = Book::default();
    book.reserve_network(network("a", "10.1.0.0/16", "10.1.0.1")).unwrap();
    assert!(book.list().is_empty() && book.bridges().contains("br-a"));
    book.network_is_ready("a");
    book.begin_removal("a").unwrap();
    assert!(book.list().is_empty() && book.bridges().contains("br-a"));
}

#[test]
fn requested_addresses_are_checked() {
    let mut book = Book::default();
    book.restore_network(network("a", "10.1.0.0/16", "10.1.0.1")).unwrap();
    let mut sandbox = Sandbox::default();
    let wish = |text: &str| EndpointWish { ipv4: Some(text.parse().unwrap()), ..on("a") };
    for nobodys in ["10.1.0.1", "10.1.0.0", "10.1.255.255"] {
        assert!(matches!(book.plug(&mut sandbox, &wish(nobodys), "v"), Err(Error::AddressTaken)));
    }
    assert!(matches!(book.plug(&mut sandbox, &wish("10.9.0.1"), "v"), Err(Error::AddressOutside { .. })));
    book.plug(&mut sandbox, &wish("10.1.7.7"), "v").unwrap();
    assert_eq!(sandbox.endpoints[0].ipv4, "10.1.7.7/16");
}

#[test]
fn ports_are_taken_all_or_none() {
    let mut book = Book::default();
    book.restore_network(network("a", "10.1.0.0/16", "10.1.0.1")).unwrap();
    let port = |number| PortWish {
        container_port: 80,
        host: None,
        wanted: Wanted { protocol: Protocol::Tcp, range: Some((number, number)) },
    };
    let mut first = Sandbox::default();
    book.plug(&mut first, &on("a"), "v").unwrap();
    book.take_ports(&mut first, &[port(8080)], |_, _| Ok(None)).unwrap();
    let mut second = Sandbox::default();
    let error = book.take_ports(&mut second, &[port(8081), port(8080)], |_, _| Ok(None)).unwrap_err();
    assert!(matches!(error, Error::PortAllocated { port: 8080, .. }));
    book.take_ports(&mut second, &[port(8081)], |_, _| Ok(None)).unwrap();
}
