//! The interfaces of a network namespace, in the kernel. Every step does nothing when its result exists.

use std::collections::HashMap;

use gantry_netlink::{Namespace, Route, or_exists, sysctl};

use crate::driver::Drivers;
use crate::error::{Error, Result};
use crate::gateway;
use crate::record::{Netns, Networks};

/// Makes the interfaces of a netns's endpoints, and its routes.
///
/// `inside` speaks rtnetlink in the namespace.
pub fn ensure(
    drivers: &Drivers,
    namespace: &Namespace,
    inside: &mut Route,
    netns: &Netns,
    networks: &Networks,
) -> Result<()> {
    let v6: Vec<&str> = netns
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.ipv6().is_some())
        .map(|endpoint| endpoint.interface.as_str())
        .collect();
    let mut joined = Vec::with_capacity(netns.endpoints.len());
    for endpoint in &netns.endpoints {
        let network = networks
            .get(&endpoint.network)
            .ok_or_else(|| Error::NetworkNotFound(endpoint.network.clone()))?;
        let driver = drivers.of(network)?;
        driver.join(network, endpoint, namespace)?;
        joined.push((driver, network, endpoint));
    }
    if !v6.is_empty() || !netns.sysctls.is_empty() {
        settings(namespace, &v6, &netns.sysctls)?;
    }
    let routes = gateway::routes(netns, networks);
    for (driver, network, endpoint) in joined {
        let failed =
            || Error::kernel(format!("interface {} of network namespace {}", endpoint.interface, netns.id));
        let index = inside.index(&endpoint.interface).map_err(failed())?;
        let here: Vec<_> = routes
            .iter()
            .filter(|(interface, _)| *interface == endpoint.interface)
            .map(|(_, entry)| gantry_netlink::route::RouteEntry { link: Some(index), ..entry.clone() })
            .collect();
        or_exists(inside.configure(index, &endpoint.nets(), &here)).map_err(failed())?;
        driver.settle(network, endpoint)?;
    }
    Ok(())
}

/// Sets the routes of a netns after its endpoints have changed.
pub fn reroute(inside: &mut Route, netns: &Netns, networks: &Networks) -> Result<()> {
    let failed = || Error::kernel(format!("routes of network namespace {}", netns.id));
    let wanted = gateway::routes(netns, networks);
    for (interface, mut entry) in wanted.clone() {
        entry.link = Some(inside.index(&interface).map_err(failed())?);
        inside.replace_routes(&[entry]).map_err(failed())?;
    }
    // Removes a default route that no endpoint has any more.
    for entry in inside.routes().map_err(failed())? {
        let same = |(_, wanted): &(String, gantry_netlink::route::RouteEntry)| {
            wanted.destination == entry.destination && wanted.gateway == entry.gateway
        };
        if entry.destination.prefix_len() == 0 && !wanted.iter().any(same) {
            gantry_netlink::or_missing(inside.delete_route(&entry)).map_err(failed())?;
        }
    }
    Ok(())
}

fn settings(namespace: &Namespace, v6: &[&str], sysctls: &HashMap<String, String>) -> Result<()> {
    let write = || {
        for interface in v6 {
            sysctl::write(&format!("net/ipv6/conf/{interface}/disable_ipv6"), "0")?;
        }
        for (name, value) in sysctls {
            sysctl::write(&path(name), value)?;
        }
        Ok(())
    };
    let failed = || Error::kernel("settings of a network namespace");
    namespace.run(write).map_err(failed())?.map_err(failed())
}

/// `net.ipv4.ip_forward` as a path. In a name with slashes, the dots belong to the interface's name.
fn path(name: &str) -> String {
    if name.contains('/') { name.to_owned() } else { name.replace('.', "/") }
}
