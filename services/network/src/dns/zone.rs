//! The names of containers by network. Names are kept in lower case.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::record::{Netns, Networks};

/// The addresses behind a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// IPv4.
    pub v4: Vec<Ipv4Addr>,
    /// IPv6.
    pub v6: Vec<Ipv6Addr>,
}

/// Where queries go that are not about containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Forwarding {
    /// Nowhere: the netns has no way out.
    #[default]
    Nowhere,
    /// To the host's servers, from the host.
    Host,
    /// To these servers, from the netns.
    To(Vec<IpAddr>),
}

/// All names.
#[derive(Debug, Default)]
pub struct Zone {
    segments: HashMap<String, Segment>,
    askers: HashMap<String, Asker>,
}

/// The names on one network.
#[derive(Debug, Default)]
struct Segment {
    name: String,
    hosts: HashMap<String, Vec<Host>>,
    addresses: HashMap<IpAddr, (String, String)>,
}

#[derive(Debug, Clone)]
struct Host {
    netns: String,
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
}

#[derive(Debug, Default)]
struct Asker {
    networks: Vec<String>,
    /// Network, alias, target.
    links: Vec<(String, String, String)>,
    forwarding: Forwarding,
}

impl Zone {
    /// Adds a netns, or replaces its names.
    pub fn put(&mut self, netns: &Netns, networks: &Networks) {
        self.remove(&netns.id);
        let mut asker = Asker { forwarding: forwarding(netns, networks), ..Asker::default() };
        for endpoint in &netns.endpoints {
            let Some(network) = networks.get(&endpoint.network).filter(|network| network.name_service())
            else {
                continue;
            };
            asker.networks.push(network.id.clone());
            for link in &endpoint.links {
                let (target, alias) = link.split_once(':').unwrap_or((link, link));
                asker.links.push((network.id.clone(), alias.to_lowercase(), target.to_lowercase()));
            }
            let segment = self.segments.entry(network.id.clone()).or_default();
            segment.name = network.name.to_lowercase();
            let mut host = Host { netns: netns.id.clone(), v4: None, v6: None };
            for net in endpoint.nets() {
                match net.addr() {
                    IpAddr::V4(v4) => host.v4 = Some(v4),
                    IpAddr::V6(v6) => host.v6 = Some(v6),
                }
                segment.addresses.insert(net.addr(), (netns.id.clone(), netns.name.clone()));
            }
            // The full id too, because a link may name a container by it.
            let names = netns.dns_names(endpoint).into_iter().chain([netns.id.clone()]);
            for name in names {
                segment.hosts.entry(name.to_lowercase()).or_default().push(host.clone());
            }
        }
        self.askers.insert(netns.id.clone(), asker);
    }

    /// Removes a netns.
    pub fn remove(&mut self, netns: &str) {
        let Some(asker) = self.askers.remove(netns) else { return };
        for network in asker.networks {
            let Some(segment) = self.segments.get_mut(&network) else { continue };
            segment.hosts.retain(|_, hosts| {
                hosts.retain(|host| host.netns != netns);
                !hosts.is_empty()
            });
            segment.addresses.retain(|_, (owner, _)| owner != netns);
            if segment.hosts.is_empty() {
                self.segments.remove(&network);
            }
        }
    }

    /// The addresses of a name, on the first of the asking netns's networks that knows it.
    pub fn lookup(&self, asker: &str, name: &str) -> Option<Addresses> {
        let asker = self.askers.get(asker)?;
        let name = name.trim_end_matches('.').to_lowercase();
        for network in &asker.networks {
            let Some(segment) = self.segments.get(network) else { continue };
            let linked = asker.links.iter().find(|(on, alias, _)| on == network && *alias == name);
            if let Some(hosts) = linked.and_then(|(_, _, target)| segment.hosts.get(target)) {
                return Some(addresses(hosts));
            }
            let within = name.strip_suffix(segment.name.as_str()).and_then(|rest| rest.strip_suffix('.'));
            if let Some(hosts) = segment.hosts.get(&name).or_else(|| segment.hosts.get(within?)) {
                return Some(addresses(hosts));
            }
        }
        None
    }

    /// The full name of an address: `container.network`.
    pub fn reverse(&self, asker: &str, address: IpAddr) -> Option<String> {
        let asker = self.askers.get(asker)?;
        asker.networks.iter().find_map(|network| {
            let segment = self.segments.get(network)?;
            let (_, name) = segment.addresses.get(&address)?;
            Some(format!("{name}.{}", segment.name))
        })
    }

    /// Where the other queries of a netns go.
    pub fn forwarding(&self, asker: &str) -> Forwarding {
        self.askers.get(asker).map(|asker| asker.forwarding.clone()).unwrap_or_default()
    }
}

fn addresses(hosts: &[Host]) -> Addresses {
    Addresses {
        v4: hosts.iter().filter_map(|host| host.v4).collect(),
        v6: hosts.iter().filter_map(|host| host.v6).collect(),
    }
}

fn forwarding(netns: &Netns, networks: &Networks) -> Forwarding {
    let out =
        netns.endpoints.iter().any(|endpoint| networks.get(&endpoint.network).is_some_and(|it| !it.internal));
    if !out {
        return Forwarding::Nowhere;
    }
    let servers: Vec<IpAddr> = netns.dns_servers.iter().filter_map(|text| text.parse().ok()).collect();
    if servers.is_empty() { Forwarding::Host } else { Forwarding::To(servers) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Endpoint, Network};

    fn world() -> Zone {
        let network = |id: &str, predefined| Network {
            id: id.into(),
            name: format!("Net-{id}"),
            driver: "bridge".into(),
            predefined,
            ..Network::default()
        };
        let networks: Networks = [network("a", false), network("b", false), network("d", true)]
            .into_iter()
            .map(|network| (network.id.clone(), network))
            .collect();
        let netns = |id: &str, name: &str, on: &[(&str, &str)]| Netns {
            id: format!("{id:0>64}"),
            name: name.into(),
            hostname: format!("host-{name}"),
            endpoints: on
                .iter()
                .map(|(network, ipv4)| Endpoint {
                    network: (*network).into(),
                    ipv4: format!("{ipv4}/24"),
                    aliases: vec!["Shared".into()],
                    links: vec!["db:database".into()],
                    ..Endpoint::default()
                })
                .collect(),
            ..Netns::default()
        };
        let mut zone = Zone::default();
        for one in [
            netns("1", "web", &[("a", "10.0.0.2"), ("d", "10.9.0.2")]),
            netns("2", "db", &[("a", "10.0.0.3"), ("b", "10.1.0.3")]),
            netns("3", "far", &[("b", "10.1.0.4")]),
        ] {
            zone.put(&one, &networks);
        }
        zone
    }

    fn v4(zone: &Zone, asker: &str, name: &str) -> Option<Vec<String>> {
        let found = zone.lookup(&format!("{asker:0>64}"), name)?;
        Some(found.v4.iter().map(Ipv4Addr::to_string).collect())
    }

    #[test]
    fn names_are_known_on_shared_networks_only() {
        let zone = world();
        assert_eq!(v4(&zone, "1", "DB."), Some(vec!["10.0.0.3".into()]));
        assert_eq!(v4(&zone, "1", "db.net-a"), Some(vec!["10.0.0.3".into()]));
        assert_eq!(v4(&zone, "1", "db.net-b"), None);
        assert_eq!(v4(&zone, "1", "far"), None);
        assert_eq!(v4(&zone, "3", "db"), Some(vec!["10.1.0.3".into()]));
        assert_eq!(v4(&zone, "1", "host-db"), Some(vec!["10.0.0.3".into()]));
        assert_eq!(v4(&zone, "1", "000000000000"), Some(vec!["10.0.0.2".into(), "10.0.0.3".into()]));
        assert_eq!(v4(&zone, "1", "database"), Some(vec!["10.0.0.3".into()]));
    }

    #[test]
    fn an_alias_of_two_has_two_addresses() {
        let mut zone = world();
        assert_eq!(v4(&zone, "1", "shared").unwrap().len(), 2);
        zone.remove(&format!("{:0>64}", "2"));
        assert_eq!(v4(&zone, "1", "shared"), Some(vec!["10.0.0.2".into()]));
        assert_eq!(v4(&zone, "1", "db"), None);
    }

    #[test]
    fn addresses_have_full_names() {
        let zone = world();
        let asker = format!("{:0>64}", "1");
        assert_eq!(zone.reverse(&asker, "10.0.0.3".parse().unwrap()).as_deref(), Some("db.net-a"));
        assert_eq!(zone.reverse(&asker, "10.1.0.4".parse().unwrap()), None);
        assert_eq!(zone.forwarding(&asker), Forwarding::Host);
    }
}
