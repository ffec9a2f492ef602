//! A sandbox's interfaces, in the kernel. Every step finds itself already done.

use std::collections::HashMap;

use gantry_netlink::{Mac, Namespace, Route, Veth, or_exists, sysctl};
use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::plan;
use crate::record::{Endpoint, Network, Networks, Sandbox};

/// Plugs a sandbox's endpoints into its namespace and gives it its routes.
///
/// `host` speaks rtnetlink on the host's side, `inside` within the namespace.
pub fn ensure(
    host: &Mutex<Route>,
    namespace: &Namespace,
    inside: &mut Route,
    sandbox: &Sandbox,
    networks: &Networks,
) -> Result<()> {
    let v6: Vec<&str> = sandbox
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.ipv6().is_some())
        .map(|endpoint| endpoint.interface.as_str())
        .collect();
    for endpoint in &sandbox.endpoints {
        let network = networks.get(&endpoint.network).ok_or_else(|| Error::NetworkNotFound(endpoint.network.clone()))?;
        connect(host, namespace, endpoint, network)?;
    }
    if !v6.is_empty() || !sandbox.sysctls.is_empty() {
        settings(namespace, &v6, &sandbox.sysctls)?;
    }
    let routes = plan::routes(sandbox, networks);
    for endpoint in &sandbox.endpoints {
        let failed = || Error::kernel(format!("interface {} of sandbox {}", endpoint.interface, sandbox.id));
        let index = inside.index(&endpoint.interface).map_err(failed())?;
        let here: Vec<_> = routes
            .iter()
            .filter(|(interface, _)| *interface == endpoint.interface)
            .map(|(_, entry)| gantry_netlink::route::RouteEntry { link: Some(index), ..entry.clone() })
            .collect();
        or_exists(inside.configure(index, &endpoint.nets(), &here)).map_err(failed())?;
        settle(host, inside, endpoint, networks).map_err(failed())?;
    }
    Ok(())
}

/// Waits until the kernel has acted on a link that has come up.
///
/// A new link's carrier is noticed by a worker in the background; until then the bridge drops what the port sends, and
/// a first packet costs its sender a second of retransmission. Asking for a link makes the kernel (6.8 or later) act on
/// it at once: the near end, which makes it a port that forwards; the bridge, which may be up only from now; the far end.
fn settle(host: &Mutex<Route>, inside: &mut Route, endpoint: &Endpoint, networks: &Networks) -> gantry_netlink::Result<()> {
    let mut host = host.lock();
    host.link(&endpoint.veth)?;
    if let Some(network) = networks.get(&endpoint.network) {
        host.link(&network.bridge)?;
    }
    inside.link(&endpoint.interface)?;
    Ok(())
}

/// Gives a sandbox the routes that it should have, after its endpoints have changed.
pub fn reroute(inside: &mut Route, sandbox: &Sandbox, networks: &Networks) -> Result<()> {
    let failed = || Error::kernel(format!("routes of sandbox {}", sandbox.id));
    let wanted = plan::routes(sandbox, networks);
    for (interface, mut entry) in wanted.clone() {
        entry.link = Some(inside.index(&interface).map_err(failed())?);
        inside.replace_routes(&[entry]).map_err(failed())?;
    }
    // A default route that nothing wants any more: the last way out has gone.
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

fn connect(host: &Mutex<Route>, namespace: &Namespace, endpoint: &Endpoint, network: &Network) -> Result<()> {
    let failed = || Error::kernel(format!("endpoint {} on network {}", endpoint.id, network.name));
    let mac: Mac = endpoint.mac.parse().map_err(|_| Error::Invalid(format!("endpoint {}: bad MAC", endpoint.id)))?;
    let mut host = host.lock();
    let bridge = host.index(&network.bridge).map_err(failed())?;
    let veth = Veth {
        name: &endpoint.veth,
        master: Some(bridge),
        peer: &endpoint.interface,
        namespace,
        mac,
        mtu: network.mtu(),
    };
    or_exists(host.add_veth(&veth)).map_err(failed())?;
    let filtered = bridge_filtered();
    if filtered || !network.icc() {
        let port = host.index(&endpoint.veth).map_err(failed())?;
        if !network.icc() {
            host.isolate_port(port).map_err(failed())?;
        }
        // With br_netfilter a translated packet can come back to its own port while it is still being bridged.
        if filtered {
            host.hairpin_port(port).map_err(failed())?;
        }
    }
    Ok(())
}

fn bridge_filtered() -> bool {
    sysctl::read("net/bridge/bridge-nf-call-iptables").is_ok_and(|value| value == "1")
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

/// `net.ipv4.ip_forward` as a path. Where an interface's name has a dot, the slashes are the separators already.
fn path(name: &str) -> String {
    if name.contains('/') { name.to_owned() } else { name.replace('.', "/") }
}
