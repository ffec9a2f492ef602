//! Allocates the host's ports for network namespaces and releases them. If the default route leads through a plugin's
//! endpoint, the plugin publishes the ports, and none of the host's is allocated.

use std::net::{IpAddr, SocketAddr};

use gantry_api::network::PortMapping;

use super::{State, key};
use crate::driver::Drivers;
use crate::error::{Error, Result};
use crate::gateway::{Family, gateway};
use crate::netns::elsewhere;
use crate::ports::{Held, Protocol, Wanted, any};
use crate::record::{Mapping, Netns, Port};

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

impl State {
    /// Allocates the ports that a network namespace requests: all or none.
    pub fn take_ports(
        &mut self,
        netns: &mut Netns,
        drivers: &Drivers,
        hold: impl Fn(Protocol, SocketAddr) -> Result<Held> + Copy,
    ) -> Result<()> {
        let networks = self.networks_of(netns);
        let own = |family| !elsewhere(netns, &networks, drivers, family);
        let families: Vec<Family> = FAMILIES.into_iter().filter(|family| own(*family)).collect();
        let taken = self.take(netns, &families, drivers, hold)?;
        netns.ports = taken;
        Ok(())
    }

    /// Allocates the ports of families whose default route no longer leads through a plugin's endpoint, and leaves
    /// out those of families whose default route does. The caller releases the ports that `before` has and `after`
    /// does not, when the change is complete.
    pub fn retake_ports(
        &mut self,
        before: &Netns,
        after: &mut Netns,
        drivers: &Drivers,
        hold: impl Fn(Protocol, SocketAddr) -> Result<Held> + Copy,
    ) -> Result<()> {
        let (was_on, is_on) = (self.networks_of(before), self.networks_of(after));
        let was = |family| elsewhere(before, &was_on, drivers, family);
        let is = |family| elsewhere(after, &is_on, drivers, family);
        let own_again: Vec<Family> = FAMILIES.into_iter().filter(|it| was(*it) && !is(*it)).collect();
        let stays = |port: &Port| port.host_ip.parse().map_or(true, |host| !is(Family::of(host)));
        let kept: Vec<Port> = before.ports.iter().filter(|port| stays(port)).cloned().collect();
        let taken = self.take(after, &own_again, drivers, hold)?;
        after.ports = kept.into_iter().chain(taken).collect();
        Ok(())
    }

    /// Allocates the ports of some families: all or none.
    fn take(
        &mut self,
        netns: &Netns,
        families: &[Family],
        drivers: &Drivers,
        hold: impl Fn(Protocol, SocketAddr) -> Result<Held> + Copy,
    ) -> Result<Vec<Port>> {
        if families.is_empty() {
            return Ok(Vec::new());
        }
        let networks = self.networks_of(netns);
        let way_out = |family| gateway(netns, &networks, family);
        let binding = way_out(Family::V4).and_then(|endpoint| {
            let network = networks.get(&endpoint.network)?;
            drivers.of(network).ok()?.host_binding(network)
        });
        let (v4, v6) = (way_out(Family::V4).is_some(), way_out(Family::V6).is_some());
        let mut taken = Vec::new();
        for spec in netns.mappings.iter().filter_map(Mapping::asked) {
            let wanted = Wanted { protocol: spec.protocol, range: spec.range };
            if let Err(error) = reachable(&spec, families, v4, v6) {
                self.give_ports(&taken);
                return Err(error);
            }
            let mut hosts: Vec<IpAddr> = match (spec.host, binding) {
                (Some(host), _) | (None, Some(host)) => vec![host],
                (None, None) if v6 => vec![any(false), any(true)],
                (None, None) => vec![any(false)],
            };
            hosts.retain(|host| families.contains(&Family::of(*host)));
            if hosts.is_empty() {
                continue;
            }
            match self.ports.allocate(wanted, &hosts, hold) {
                Ok(port) => taken.extend(hosts.iter().map(|host| Port {
                    protocol: wanted.protocol.name().to_owned(),
                    container_port: u32::from(spec.container_port),
                    host_ip: host.to_string(),
                    host_port: u32::from(port),
                })),
                Err(error) => {
                    self.give_ports(&taken);
                    return Err(error);
                }
            }
        }
        Ok(taken)
    }

    /// Releases ports.
    pub fn give_ports(&mut self, ports: &[Port]) {
        for port in ports {
            if let Some((protocol, number, host)) = key(port) {
                self.ports.give(protocol, number, host);
            }
        }
    }

    /// Releases those ports of a network namespace that another description of it does not have.
    pub fn give_ports_but(&mut self, of: &Netns, but: &Netns) {
        let gone: Vec<Port> = of.ports.iter().filter(|port| !but.ports.contains(port)).cloned().collect();
        self.give_ports(&gone);
    }
}

/// Refuses an IPv6 address of the host from which packets cannot reach the container.
fn reachable(spec: &PortMapping, families: &[Family], v4: bool, v6: bool) -> Result<()> {
    let Some(IpAddr::V6(host)) = spec.host else { return Ok(()) };
    let unreachable = if host.is_loopback() { v4 || v6 } else { v4 && !v6 };
    match unreachable && families.contains(&Family::V6) {
        true => Err(Error::HostV6 { host, port: spec.container_port }),
        false => Ok(()),
    }
}
