//! The bridge itself, on the host. Every step finds itself already done: creation and recovery are the same code.

use gantry_netlink::{Mac, Route, or_exists, or_missing, sysctl};

use super::options;
use crate::error::{Error, Result};
use crate::record::Network;

/// The link group (`ip link show group …`) of the bridges of all Gantrys on a host: "gant". What one of them closes to
/// others, it leaves open to these.
pub const GROUP: u32 = 0x6761_6e74;

/// Makes the bridge as the record says, or completes it.
///
/// `mark` is noted on a bridge that is ours, so that it is recognised when its record is gone.
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
        // Also without IPv6: a container that sends router advertisements must not become the host's router. An preexisting
        // bridge may have a real one.
        let refuse = sysctl::ensure(&format!("net/ipv6/conf/{name}/accept_ra"), "0");
        or_missing(refuse.map(drop)).map_err(failed())?;
    }
    if v6 {
        // Without a link-local address that is settled the host asks no neighbour on behalf of others: no duplicate
        // detection, whose seconds the first packets would be lost in.
        for (setting, value) in [("accept_dad", "0"), ("disable_ipv6", "0")] {
            sysctl::ensure(&format!("net/ipv6/conf/{name}/{setting}"), value).map_err(failed())?;
        }
    }
    or_exists(route.add_addresses(link.index, &network.gateways())).map_err(failed())?;
    if !link.up {
        route.set_up(link.index).map_err(failed())?;
    }
    // Lets the host's own 127.0.0.1:port reach a container. What it would let containers reach in turn, the rules drop.
    sysctl::ensure(&format!("net/ipv4/conf/{name}/route_localnet"), "1").map_err(failed())?;
    Ok(())
}

/// Takes the addresses of a bridge that is ours away, so that its subnet is free at once. Says whether it was: then the
/// link is to go too. A link of the name that somebody else made is left alone.
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

/// Always the same for a network, so that its containers' neighbour tables stay right when the bridge is made again.
fn mac(network: &Network) -> Mac {
    crate::mac::derived(&network.id, "bridge")
}
