//! The endpoints of a network namespace that is being built.

use gantry_api::network::EndpointSpec;
use gantry_netlink::Mac;

use super::State;
use crate::driver::Drivers;
use crate::error::{Error, Result};
use crate::record::{Endpoint, Netns, Network, option};

impl State {
    /// Adds an endpoint to a netns that is being built: finds the network, chooses the names of the interfaces. The
    /// addresses are allocated later.
    pub fn add_endpoint(
        &mut self,
        netns: &mut Netns,
        spec: &EndpointSpec,
        drivers: &Drivers,
        veth_prefix: &str,
    ) -> Result<()> {
        let network = self.network(&spec.network)?.clone();
        if !drivers.of(&network)?.capabilities().endpoints {
            return Err(Error::NoEndpoints(network.name));
        }
        if netns.endpoint_on(&network.id).is_some() {
            return Err(Error::AlreadyConnected { container: netns.name.clone(), network: network.name });
        }
        if (spec.ipv4.is_some() || spec.ipv6.is_some()) && network.predefined {
            let text = "user specified IP address is supported on user defined networks only";
            return Err(Error::Invalid(text.to_owned()));
        }
        let interface = interface(netns, &network, spec)?;
        let id = crate::random_id();
        let endpoint = Endpoint {
            veth: format!("{veth_prefix}{}", &id[..8]),
            id,
            network: network.id.clone(),
            interface,
            aliases: spec.aliases.clone(),
            links: spec.links.clone(),
            options: spec.options.clone(),
            gateway_priority: spec.gateway_priority,
            mac: mac(&spec.mac)?,
            ..Endpoint::default()
        };
        netns.endpoints.push(endpoint);
        Ok(())
    }
}

/// A hardware address in the usual notation; empty for none.
fn mac(text: &str) -> Result<String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let parsed: Mac = text
        .parse()
        .map_err(|error: gantry_netlink::mac::ParseMacError| Error::Invalid(error.to_string()))?;
    Ok(parsed.to_string())
}

/// The requested name, or the lowest `ethN` that the netns does not have; a network's option may replace `eth`.
fn interface(netns: &Netns, network: &Network, spec: &EndpointSpec) -> Result<String> {
    let has = |name: &str| netns.endpoints.iter().any(|endpoint| endpoint.interface == name);
    if let Some(name) = spec.options.get(option::INTERFACE) {
        let valid = gantry_netlink::route::check_name(name).is_ok() && !has(name) && name != "lo";
        return match valid {
            true => Ok(name.clone()),
            false => Err(Error::Invalid(format!("invalid or repeated interface name {name:?}"))),
        };
    }
    let prefix = network.options.get(option::INTERFACE_PREFIX).filter(|prefix| !prefix.is_empty());
    let prefix = prefix.map_or("eth", String::as_str);
    Ok((0..)
        .map(|n| format!("{prefix}{n}"))
        .find(|name| !has(name))
        .expect("numbers do not end before endpoints do"))
}
