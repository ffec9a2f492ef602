//! The allocations of networks and endpoints: subnets with their gateways, and addresses.

use std::net::IpAddr;

use gantry_api::network::EndpointSpec;
use ipnet::IpNet;

use super::{Ipam, Ipams, PoolRequest, Purpose, subnet};
use crate::error::{Error, Result};
use crate::gateway::Family;
use crate::mac;
use crate::record::{Endpoint, Network, Subnet};

/// Requests the subnets in a network's record, chooses those that are missing, and takes gateways and auxiliary
/// addresses. After an error, the record has what was allocated before it, for [`release_pools`].
///
/// `avoid` has the subnets that the host uses otherwise.
pub async fn request_pools(ipams: &Ipams, network: &mut Network, avoid: &[IpNet]) -> Result<()> {
    let ipam = ipams.get(&network.ipam_driver).await?;
    let request = |family, subnet, range| PoolRequest {
        family,
        subnet,
        range,
        avoid: avoid.to_vec(),
        options: network.ipam_options.clone(),
    };
    let has = |family| network.nets().any(|net| Family::of(net.addr()) == family);
    let (v4, v6) = (network.enable_ipv4 && !has(Family::V4), network.enable_ipv6 && !has(Family::V6));
    let mut requests = Vec::new();
    for subnet in network.subnets.clone() {
        let bad = |what: &str, text: &str| {
            Error::Invalid(format!("invalid {what} {text:?} of network {}", network.name))
        };
        let net: IpNet = subnet.subnet.parse().map_err(|_| bad("subnet", &subnet.subnet))?;
        let range = match subnet.ip_range.as_str() {
            "" => None,
            text => Some(text.parse().map_err(|_| bad("ip-range", text))?),
        };
        requests.push((request(Family::of(net.addr()), Some(net), range), subnet));
    }
    if v4 {
        requests.insert(0, (request(Family::V4, None, None), Subnet { chosen: true, ..Subnet::default() }));
    }
    if v6 {
        requests.push((request(Family::V6, None, None), Subnet { chosen: true, ..Subnet::default() }));
    }
    network.subnets.clear();
    // The subnets whose gateways are allocated.
    let mut chosen = Vec::new();
    for (request, mut subnet) in requests {
        let range = request.range;
        let given = ipam.request_pool(request).await?;
        subnet.pool = given.id;
        if subnet.chosen {
            subnet.subnet = given.subnet.to_string();
        }
        if subnet.gateway.is_empty() && ipam.chooses_gateways() {
            subnet.gateway_chosen = !subnet.chosen;
            match ipam.request_address(&subnet.pool, None, Purpose::Gateway).await {
                Ok(given) => {
                    subnet.gateway = given.map(|address| address.to_string()).unwrap_or_default();
                    chosen.push(network.subnets.len());
                }
                Err(error) => {
                    network.subnets.push(subnet);
                    return Err(error);
                }
            }
        } else if subnet.gateway.is_empty() {
            // Docker takes the gateway from the range, if there is one.
            let within = range.filter(|range| range.network() != given.subnet.network());
            subnet.gateway_chosen = !subnet.chosen;
            subnet.gateway =
                within.map_or_else(|| subnet::first_host(given.subnet), |range| range.network()).to_string();
        }
        network.subnets.push(subnet);
    }
    for (index, subnet) in network.subnets.iter().enumerate() {
        let gateway = Some((&subnet.gateway, Purpose::Gateway)).filter(|_| !chosen.contains(&index));
        let others = subnet.auxiliary.values().map(|text| (text, Purpose::Auxiliary));
        for (text, purpose) in gateway.into_iter().chain(others).filter(|(text, _)| !text.is_empty()) {
            let invalid = || Error::Invalid(format!("invalid address {text:?} of network {}", network.name));
            // An address that is named twice is taken at the second time, which is no error.
            let wanted: IpAddr = text.parse().map_err(|_| invalid())?;
            ipam.request_address(&subnet.pool, Some(wanted), purpose).await?;
        }
    }
    Ok(())
}

/// Releases a network's subnets.
pub async fn release_pools(ipams: &Ipams, network: &Network) -> Result<()> {
    let ipam = ipams.get(&network.ipam_driver).await?;
    let mut released = Ok(());
    for subnet in network.subnets.iter().filter(|subnet| !subnet.pool.is_empty()) {
        // A driver that keeps its allocations needs to hear of each address.
        if ipam.keeps() {
            let taken = [&subnet.gateway].into_iter().chain(subnet.auxiliary.values());
            for address in taken.filter_map(|text| text.parse::<IpAddr>().ok()) {
                released = released.and(ipam.release_address(&subnet.pool, address).await);
            }
        }
        released = released.and(ipam.release_pool(&subnet.pool).await);
    }
    released
}

/// Allocates an endpoint's addresses, all or none: those in its record, else the requested ones, else any.
pub async fn allocate(
    ipams: &Ipams,
    network: &Network,
    spec: &EndpointSpec,
    endpoint: &mut Endpoint,
) -> Result<()> {
    let ipam = ipams.get(&network.ipam_driver).await?;
    if ipam.wants_mac() && endpoint.mac.is_empty() {
        endpoint.mac = mac::derived(&network.id, &endpoint.id).to_string();
    }
    let mac = endpoint.mac.clone();
    let taken = async {
        if network.enable_ipv4 {
            let (net, gateway) =
                address(&*ipam, network, Family::V4, spec.ipv4.map(IpAddr::V4), &mac).await?;
            endpoint.ipv4 = net.to_string();
            endpoint.ipv4_gateway = gateway;
        }
        if network.enable_ipv6 {
            let (net, gateway) =
                address(&*ipam, network, Family::V6, spec.ipv6.map(IpAddr::V6), &mac).await?;
            endpoint.ipv6 = net.to_string();
            endpoint.ipv6_gateway = gateway;
        }
        Ok(())
    }
    .await;
    if taken.is_err()
        && let Err(error) = release(ipams, network, endpoint).await
    {
        // The caller returns the first error, which matters more.
        tracing::warn!(network = network.name, error = %gantry_rpc::chain(&error), "addresses not given back");
    }
    taken
}

/// Releases an endpoint's addresses.
pub async fn release(ipams: &Ipams, network: &Network, endpoint: &Endpoint) -> Result<()> {
    let ipam = ipams.get(&network.ipam_driver).await?;
    let mut released = Ok(());
    for net in endpoint.nets() {
        if let Some(subnet) = network.subnet_of(net.addr()) {
            released = released.and(ipam.release_address(&subnet.pool, net.addr()).await);
        }
    }
    released
}

/// Allocates an address of a family, with its gateway: the requested one, or any of the first subnet that has a free
/// one.
async fn address(
    ipam: &dyn Ipam,
    network: &Network,
    family: Family,
    wanted: Option<IpAddr>,
    mac: &str,
) -> Result<(IpNet, String)> {
    let purpose = Purpose::Endpoint { mac };
    let mut found = None;
    match wanted {
        Some(address) => {
            let outside = || Error::AddressOutside { address, network: network.name.clone() };
            let subnet = network.subnet_of(address).ok_or_else(outside)?;
            let given = ipam.request_address(&subnet.pool, Some(address), purpose).await?;
            found = Some((given.ok_or(Error::AddressTaken)?, subnet));
        }
        None => {
            for subnet in &network.subnets {
                let mine = subnet.net().is_some_and(|net| Family::of(net.addr()) == family);
                if mine && let Some(given) = ipam.request_address(&subnet.pool, None, purpose).await? {
                    found = Some((given, subnet));
                    break;
                }
            }
        }
    }
    let (address, subnet) = found.ok_or_else(|| Error::AddressesUsedUp {
        network: network.name.clone(),
        id: network.id.clone(),
        family: if family == Family::V4 { 4 } else { 6 },
    })?;
    // A plugin may return an address outside of the network.
    let Some(within) = subnet.net().filter(|net| net.contains(&address)) else {
        ipam.release_address(&subnet.pool, address).await?;
        let (name, pool) = (ipam.name(), &subnet.subnet);
        return Err(Error::Plugin(format!(
            "IPAM plugin {name:?} has given {address}, which is not in {pool}"
        )));
    };
    let net = IpNet::new(address, within.prefix_len()).expect("the address is of the subnet's family");
    // An internal network has no way out, so no gateway.
    Ok((net, if network.internal { String::new() } else { subnet.gateway.clone() }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    async fn world() -> (Ipams, Network) {
        let ipams =
            Ipams::new([Arc::new(crate::ipam::Local::new([0; 5])) as Arc<dyn Ipam>], Default::default());
        let subnet = Subnet { subnet: "10.1.0.0/16".into(), ..Subnet::default() };
        let mut network =
            Network { name: "a".into(), enable_ipv4: true, subnets: vec![subnet], ..Network::default() };
        request_pools(&ipams, &mut network, &[]).await.unwrap();
        (ipams, network)
    }

    #[tokio::test]
    async fn requested_addresses_are_checked() {
        let (ipams, network) = world().await;
        let mut endpoint = Endpoint::default();
        let spec = |text: &str| EndpointSpec { ipv4: Some(text.parse().unwrap()), ..EndpointSpec::default() };
        for nobodys in ["10.1.0.1", "10.1.0.0", "10.1.255.255"] {
            let refused = allocate(&ipams, &network, &spec(nobodys), &mut endpoint).await;
            assert!(matches!(refused, Err(Error::AddressTaken)));
        }
        let refused = allocate(&ipams, &network, &spec("10.9.0.1"), &mut endpoint).await;
        assert!(matches!(refused, Err(Error::AddressOutside { .. })));
        allocate(&ipams, &network, &spec("10.1.7.7"), &mut endpoint).await.unwrap();
        assert_eq!((endpoint.ipv4.as_str(), endpoint.ipv4_gateway.as_str()), ("10.1.7.7/16", "10.1.0.1"));
        let mut any = Endpoint::default();
        allocate(&ipams, &network, &EndpointSpec::default(), &mut any).await.unwrap();
        assert_eq!(any.ipv4, "10.1.0.2/16");
    }

    #[tokio::test]
    async fn what_is_on_record_is_requested_again_by_name() {
        let (_, network) = world().await;
        let (ipams, _) = world().await;
        release_pools(&ipams, &network).await.unwrap();
        let mut again = network.clone();
        request_pools(&ipams, &mut again, &[]).await.unwrap();
        assert_eq!(again, network);
    }
}
