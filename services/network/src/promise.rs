//! Implements the interface of `gantry_api::network`: converts requests for the controller, and records for clients.

use gantry_api::Promise;
use gantry_api::network::{
    self as api, Attach, EndpointSpec, Inspect, Ipam, Manage, NetnsSpec, NetworkSpec, Protocol, PublishedPort,
};
use ipnet::IpNet;

use crate::controller::Controller;
use crate::error::{Error, Result};
use crate::firewall;
use crate::netns::Described;
use crate::record::{Endpoint, Netns, Network, Port, Subnet};

impl Promise for Controller {
    type Error = Error;
}

impl Inspect for Controller {
    async fn network(&self, reference: &str) -> Result<api::Network> {
        let state = self.0.state.lock();
        let found = state.network(reference)?;
        let endpoints = state.endpoints_of(&found.id).map(|(owner, it)| endpoint(owner, it, found)).collect();
        Ok(self.told(found, endpoints))
    }

    async fn networks(&self) -> Result<Vec<api::Network>> {
        let state = self.0.state.lock();
        let one = |found: &Network| {
            let endpoints = state.endpoints_of(&found.id).map(|(owner, it)| endpoint(owner, it, found));
            self.told(found, endpoints.collect())
        };
        Ok(state.list().iter().map(one).collect())
    }

    async fn drivers(&self) -> Result<Vec<String>> {
        Ok(self.0.drivers.names())
    }
}

impl Manage for Controller {
    async fn create(&self, spec: NetworkSpec) -> Result<api::Network> {
        let made = self.create_network(spec).await?;
        Ok(self.told(&made, Vec::new()))
    }

    async fn remove(&self, reference: &str) -> Result<api::Network> {
        let removed = self.remove_network(reference).await?;
        Ok(self.told(&removed, Vec::new()))
    }

    async fn withdraw(&self) -> Result<()> {
        self.withdraw_networks().await
    }
}

impl Attach for Controller {
    async fn attach(&self, spec: NetnsSpec) -> Result<api::Netns> {
        let attached = self.attach_netns(spec).await?;
        Ok(self.told_netns(&attached))
    }

    async fn detach(&self, id: &str) -> Result<()> {
        self.detach_netns(id).await
    }

    async fn connect(&self, id: &str, endpoint: EndpointSpec) -> Result<api::Netns> {
        let connected = self.connect_netns(id, endpoint).await?;
        Ok(self.told_netns(&connected))
    }

    async fn disconnect(&self, id: &str, network: &str) -> Result<api::Netns> {
        let left = self.disconnect_netns(id, network).await?;
        Ok(self.told_netns(&left))
    }

    async fn rename(&self, id: &str, name: &str) -> Result<api::Netns> {
        let renamed = self.rename_netns(id, name.to_owned()).await?;
        Ok(self.told_netns(&renamed))
    }

    async fn netns(&self, id: &str) -> Result<api::Netns> {
        let found = self.find_netns(id)?;
        Ok(self.told_netns(&found))
    }

    async fn all_netns(&self) -> Result<Vec<api::Netns>> {
        Ok(self.list_netns().iter().map(|found| self.told_netns(found)).collect())
    }
}

impl Controller {
    fn told(&self, network: &Network, endpoints: Vec<api::Endpoint>) -> api::Network {
        api::Network {
            id: network.id.clone(),
            name: network.name.clone(),
            driver: network.driver.clone(),
            scope: network.scope().to_owned(),
            internal: network.internal,
            attachable: network.attachable,
            ipv4: network.enable_ipv4,
            ipv6: network.enable_ipv6,
            ipam: Ipam {
                driver: network.ipam_driver.clone(),
                options: network.ipam_options.clone(),
                subnets: network.subnets.iter().map(subnet).collect(),
            },
            options: network.options.clone(),
            labels: network.labels.clone(),
            created_at: network
                .created_at
                .as_ref()
                .map_or(std::time::UNIX_EPOCH, gantry_api::time::system_time),
            endpoints,
            bridge: network.bridge.clone(),
        }
    }

    fn told_netns(&self, (netns, networks): &Described) -> api::Netns {
        let served = |port: &&Port| firewall::served(&self.0.drivers, netns, networks, port).is_some();
        let on = |it: &Endpoint| Some(endpoint(netns, it, networks.get(&it.network)?));
        api::Netns {
            id: netns.id.clone(),
            name: netns.name.clone(),
            hostname: netns.hostname.clone(),
            path: self.0.host.identity.pin(&netns.id),
            endpoints: netns.endpoints.iter().filter_map(on).collect(),
            ports: netns.ports.iter().filter(served).filter_map(published).collect(),
        }
    }
}

fn subnet(subnet: &Subnet) -> api::Subnet {
    api::Subnet {
        subnet: subnet.subnet.clone(),
        ip_range: subnet.ip_range.clone(),
        // A gateway that the user did not choose is not shown.
        gateway: if subnet.gateway_chosen { String::new() } else { subnet.gateway.clone() },
        auxiliary: subnet.auxiliary.clone(),
        chosen: subnet.chosen,
    }
}

fn endpoint(netns: &Netns, endpoint: &Endpoint, network: &Network) -> api::Endpoint {
    let address = |net: IpNet, gateway: &str| api::Address {
        address: net.addr(),
        prefix: net.prefix_len(),
        gateway: gateway.parse().ok(),
    };
    api::Endpoint {
        id: endpoint.id.clone(),
        network_id: network.id.clone(),
        network_name: network.name.clone(),
        netns: netns.id.clone(),
        name: netns.name.clone(),
        interface: endpoint.interface.clone(),
        ipv4: endpoint.ipv4().map(|net| address(net, &endpoint.ipv4_gateway)),
        ipv6: endpoint.ipv6().map(|net| address(net, &endpoint.ipv6_gateway)),
        mac: endpoint.mac.clone(),
        aliases: endpoint.aliases.clone(),
        dns_names: if network.name_service() { netns.dns_names(endpoint) } else { Vec::new() },
        options: endpoint.options.clone(),
        links: endpoint.links.clone(),
        gateway_priority: endpoint.gateway_priority,
        name_service: network.name_service(),
        driver: network.driver.clone(),
    }
}

fn published(port: &Port) -> Option<PublishedPort> {
    Some(PublishedPort {
        protocol: Protocol::parse(&port.protocol)?,
        container_port: u16::try_from(port.container_port).ok()?,
        host: port.host_ip.parse().ok()?,
        host_port: u16::try_from(port.host_port).ok()?,
    })
}
