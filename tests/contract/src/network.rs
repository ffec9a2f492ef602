//! Network: networks, and network namespaces with endpoints on them.

mod attachments;
mod networks;

use std::net::{IpAddr, Ipv4Addr};

use gantry_api::network::{
    EndpointSpec, Ipam, Netns, NetnsSpec, NetworkSpec, PortMapping, Protocol, Service, Subnet,
};
use gantry_rpc::{Code, Coded};

pub use attachments::*;
pub use networks::*;

/// Tests of `gantry_api::network::Service`.
#[macro_export]
macro_rules! network {
    ($world:expr) => {
        $crate::suite!(
            network,
            $world,
            [
                predefined_networks_are_there_and_stay,
                networks_are_found_by_id_name_and_beginning,
                a_name_is_one_networks,
                no_two_networks_overlap,
                a_removed_network_is_gone_and_its_subnet_free,
                a_network_in_use_stays,
                networks_are_withdrawn_when_nothing_is_attached,
                attaching_again_answers_with_what_there_is,
                detaching_again_is_no_error,
                no_address_is_given_twice,
                a_requested_address_is_given_or_refused,
                a_full_subnet_gives_no_address,
                a_live_netns_is_connected_and_disconnected,
                a_port_is_one_containers,
                a_failed_attachment_leaves_nothing,
                a_new_name_is_told_of,
                what_is_not_attached_is_not_found,
            ]
        );
    };
}

#[track_caller]
fn refused<T, E: Coded>(outcome: Result<T, E>, code: Code) {
    match outcome {
        Ok(_) => panic!("it did not fail, but should have with {code:?}"),
        Err(error) => assert_eq!(error.code(), code, "{error}"),
    }
}

fn named(name: &str) -> NetworkSpec {
    NetworkSpec { name: name.to_owned(), ipv4: true, ..NetworkSpec::default() }
}

fn with_subnet(name: &str, subnet: &str) -> NetworkSpec {
    let subnets = vec![Subnet { subnet: subnet.to_owned(), ..Subnet::default() }];
    NetworkSpec { ipam: Ipam { subnets, ..Ipam::default() }, ..named(name) }
}

fn on(network: &str) -> EndpointSpec {
    EndpointSpec { network: network.to_owned(), ..EndpointSpec::default() }
}

fn at(network: &str, address: &str) -> EndpointSpec {
    EndpointSpec { ipv4: Some(address.parse().expect("an address")), ..on(network) }
}

/// 64 digits.
fn id(digit: char) -> String {
    digit.to_string().repeat(64)
}

fn container(digit: char, endpoints: &[EndpointSpec]) -> NetnsSpec {
    NetnsSpec {
        id: id(digit),
        name: format!("c-{digit}"),
        hostname: format!("host-{digit}"),
        endpoints: endpoints.to_vec(),
        ..NetnsSpec::default()
    }
}

fn tcp(number: u16) -> PortMapping {
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    PortMapping {
        protocol: Protocol::Tcp,
        container_port: 80,
        host: Some(local),
        range: Some((number, number)),
    }
}

/// The IPv4 addresses of a netns.
fn addresses(netns: &Netns) -> Vec<IpAddr> {
    netns.endpoints.iter().filter_map(|endpoint| endpoint.ipv4).map(|address| address.address).collect()
}

async fn create<S: Service>(service: &S, spec: NetworkSpec) -> gantry_api::network::Network {
    service.create(spec).await.expect("made")
}

async fn attach<S: Service>(service: &S, spec: NetnsSpec) -> Netns {
    service.attach(spec).await.expect("attached")
}
