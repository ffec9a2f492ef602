use std::sync::Arc;

use gantry_api::network::{EndpointSpec, PortMapping};

use super::*;
use crate::driver::plain::Plain;
use crate::driver::{Driver, Drivers};
use crate::error::Error;
use crate::record::{Mapping, Subnet};

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

fn drivers() -> Drivers {
    Drivers::new([Arc::new(Plain) as Arc<dyn Driver>], Default::default())
}

fn on(network: &str) -> EndpointSpec {
    EndpointSpec { network: network.into(), ..EndpointSpec::default() }
}

#[test]
fn networks_are_found_by_id_name_and_prefix() {
    let mut state = State::default();
    state.restore_network(network("aab", "10.1.0.0/16", "10.1.0.1"));
    state.restore_network(network("aac", "10.2.0.0/16", "10.2.0.1"));
    assert_eq!(state.network("net-aab").unwrap().id, "aab");
    assert_eq!(state.network("aac").unwrap().id, "aac");
    assert!(matches!(state.network("aa"), Err(Error::NetworkAmbiguous(_))));
    assert!(matches!(state.network("b"), Err(Error::NetworkNotFound(_))));
    let mut clash = network("x", "10.2.128.0/20", "10.2.128.1");
    clash.bridge = "br-aab".into();
    assert!(matches!(state.reserve_network(clash), Err(Error::InterfaceTaken { .. })));
}

#[test]
fn a_network_with_endpoints_stays() {
    let mut state = State::default();
    state.restore_network(network("a", "10.1.0.0/16", "10.1.0.1"));
    let mut netns = Netns { id: "s".into(), name: "web".into(), ..Netns::default() };
    state.add_endpoint(&mut netns, &on("a"), &drivers(), "v").unwrap();
    assert_eq!(netns.endpoints[0].interface, "eth0");
    assert!(matches!(
        state.add_endpoint(&mut netns, &on("a"), &drivers(), "v"),
        Err(Error::AlreadyConnected { .. })
    ));
    state.put_netns(netns.clone());
    let error = state.begin_removal("a").unwrap_err().to_string();
    assert!(error.contains("has active endpoints (name:\"web\""), "{error}");
    state.forget_netns(&netns);
    state.begin_removal("a").unwrap();
    assert!(matches!(state.network("a"), Err(Error::NetworkNotFound(_))));
}

#[test]
fn bridges_of_networks_that_come_and_go_are_known() {
    let mut state = State::default();
    state.reserve_network(network("a", "10.1.0.0/16", "10.1.0.1")).unwrap();
    assert!(state.list().is_empty() && state.bridges().contains("br-a"));
    state.network_is_ready("a");
    state.begin_removal("a").unwrap();
    assert!(state.list().is_empty() && state.bridges().contains("br-a"));
}

#[test]
fn ports_are_taken_all_or_none() {
    let mut state = State::default();
    state.restore_network(network("a", "10.1.0.0/16", "10.1.0.1"));
    let port = |number| PortMapping {
        protocol: Protocol::Tcp,
        container_port: 80,
        host: None,
        range: Some((number, number)),
    };
    let asking = |ports: &[PortMapping]| Netns {
        mappings: ports.iter().map(Mapping::from).collect(),
        ..Netns::default()
    };
    let mut first = asking(&[port(8080)]);
    state.add_endpoint(&mut first, &on("a"), &drivers(), "v").unwrap();
    state.take_ports(&mut first, &drivers(), |_, _| Ok(None)).unwrap();
    let mut second = asking(&[port(8081), port(8080)]);
    let error = state.take_ports(&mut second, &drivers(), |_, _| Ok(None)).unwrap_err();
    assert!(matches!(error, Error::PortAllocated { port: 8080, .. }));
    second = asking(&[port(8081)]);
    state.take_ports(&mut second, &drivers(), |_, _| Ok(None)).unwrap();
}
