//! What networks and endpoints have of IPAM: subnets with their gateways, addresses.

use std::net::IpAddr;

use gantry_api::network::EndpointSpec;
use ipnet::IpNet;

use super::{Ipam, Ipams, PoolRequest, Purpose, subnet};
use crate::error::{Error, Result};
use crate::gateway::Family;
use crate::mac;
use crate::record::{Endpoint, Network, Subnet};

/// Requests the subnets on a network's record, chooses those that it lacks, and takes gateways and auxiliary addresses.
/// What was given before an error is on the record, for [`release_pools`].
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
    // The subnets whose gateways were given already.
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
            // Docker takes the gateway from the range, when there is one.
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
            // An address that is named twice is taken already, and so it should be.
            let wanted: IpAddr = text.parse().map_err(|_| invalid())?;
            ipam.request_address(&subnet.pool, Some(wanted), purpose).await?;
        }
    }
    Ok(())
}

/// Gives a network's subnets back.
pub async fn release_pools(ipams: &Ipams, network: &Network) -> Result<()> {
    let ipam = ipams.get(&network.ipam_driver).await?;
    let mut released = Ok(());
    for subnet in network.subnets.iter().filter(|subnet| !subnet.pool.is_empty()) {
        // One that keeps what it has given is told of each address.
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

/// Takes an endpoint's addresses: those that are on its record already, else the requested or any. All or none.
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
    if taken.is_err() {
        release(ipams, network, endpoint).await?;
    }
    taken
}

/// Gives an endpoint's addresses back.
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

/// Takes an address of a family: the requested one, or any of the first subnet that has one; with its gateway.
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
    let prefix = subnet.net().map_or(0, |net| net.prefix_len());
    let net = IpNet::new(address, prefix).expect("the prefix length is the subnet's");
    // Inside an internal network there is no way out, so no gateway either.
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
