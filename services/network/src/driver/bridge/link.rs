//! The bridge on the host. Every step does nothing when its result exists: creation and recovery run the same code.

use gantry_netlink::{Mac, Route, or_exists, or_missing, sysctl};

use super::options;
use crate::error::{Error, Result};
use crate::record::Network;

/// The link group (`ip link show group …`) of the bridges of all Gantries on a host: "gant". Rules that close the
/// host to other bridges leave these open.
pub const GROUP: u32 = 0x6761_6e74;

/// Makes the bridge that the record describes, or completes it.
///
/// `mark` becomes the alias of a bridge that Gantry makes, by which Gantry recognizes the bridge when its record is
/// lost.
pub(super) fn ensure(route: &mut Route, network: &Network, mark: &str) -> Result<()> {
    let name = network.bridge.as_str();
    let failed = || Error::kernel(format!("bridge {name} of network {}", network.name));
    let link = match route.link(name).map_err(failed())? {
        Some(link) => link,
        None => {
            or_exists(route.add_bridge(name, mac(network), options::mtu(network))).map_err(failed())?;
            let missing = || Error::InterfaceTaken {
                network: network.name.clone(),
                interface: name.to_owned(),
                owner: "a program that removed it at once".to_owned(),
            };
            route.link(name).map_err(failed())?.ok_or_else(missing)?
        }
    };
    if link.kind != "bridge" {
        return Err(Error::InterfaceTaken {
            network: network.name.clone(),
            interface: name.to_owned(),
            owner: format!("a link of kind {:?}", link.kind),
        });
    }
    if !network.preexisting && (link.alias != mark || link.group != GROUP) {
        route.set_mark(link.index, mark, GROUP).map_err(failed())?;
    }
    let v6 = network.gateways().iter().any(|net| net.addr().is_ipv6());
    if v6 || !network.preexisting {
        // Without IPv6 too: a container that sends router advertisements must not become the host's router. A bridge
        // that existed before may have a real router.
        let refuse = sysctl::ensure(&format!("net/ipv6/conf/{name}/accept_ra"), "0");
        or_missing(refuse.map(drop)).map_err(failed())?;
    }
    if v6 {
        // The host asks a neighbour on behalf of others only from a link-local address that is settled. Duplicate
        // detection would take seconds, and the first packets would be lost.
        for (setting, value) in [("accept_dad", "0"), ("disable_ipv6", "0")] {
            sysctl::ensure(&format!("net/ipv6/conf/{name}/{setting}"), value).map_err(failed())?;
        }
    }
    or_exists(route.add_addresses(link.index, &network.gateways())).map_err(failed())?;
    if !link.up {
        route.set_up(link.index).map_err(failed())?;
    }
    // Lets the host's own 127.0.0.1:port reach a container. The rules drop what containers would reach by it.
    sysctl::ensure(&format!("net/ipv4/conf/{name}/route_localnet"), "1").map_err(failed())?;
    Ok(())
}

/// Removes the addresses of a bridge that Gantry has made, so that its subnet is free at once. Returns whether the
/// bridge is Gantry's: the caller then deletes the link. A link of the same name that another program has made stays.
pub(super) fn retire(route: &mut Route, network: &Network, mark: &str) -> Result<bool> {
    let failed = || Error::kernel(format!("bridge {} of network {}", network.bridge, network.name));
    let link = route.link(&network.bridge).map_err(failed())?;
    let Some(link) = link.filter(|link| !network.preexisting && link.kind == "bridge" && link.alias == mark)
    else {
        return Ok(false);
    };
    or_missing(route.delete_addresses(link.index, &network.gateways())).map_err(failed())?;
    Ok(true)
}

/// The same for every bridge of a network, so that the neighbour tables of containers stay right when the bridge is
/// made again.
fn mac(network: &Network) -> Mac {
    crate::mac::derived(&network.id, "bridge")
}
