//! Networks: created, removed, chosen subnets for.

mod check;

use crate::controller::{Controller, blocking};
use crate::driver::Driver;
use crate::error::{Error, Result};
use crate::ipam;
use crate::links;
use crate::record::{Network, Subnet};
use gantry_api::network::NetworkSpec;
use gantry_failpoint::failpoint;
use gantry_netlink::Route;
use ipnet::IpNet;

impl Controller {
    /// Makes a network: name, subnets, record, and what its driver needs for it.
    pub async fn create_network(&self, spec: NetworkSpec) -> Result<Network> {
        let (spec, driver) = check::checked(spec, &self.0.drivers, &self.0.ipams).await?;
        let mut record = Network {
            id: crate::random_id(),
            name: spec.name,
            driver: driver.name().to_owned(),
            internal: spec.internal,
            attachable: spec.attachable,
            enable_ipv4: spec.ipv4,
            enable_ipv6: spec.ipv6,
            subnets: spec.ipam.subnets.into_iter().map(subnet).collect(),
            ipam_driver: self.0.ipams.get(&spec.ipam.driver).await?.name().to_owned(),
            ipam_options: spec.ipam.options,
            options: spec.options,
            labels: spec.labels,
            created_at: Some(crate::now()),
            ..Network::default()
        };
        driver.prepare(&mut record).await?;
        self.0.state.lock().reserve_network(record.clone())?;
        if let Err(error) = self.give_subnets(&mut record).await {
            self.release_network(&record).await;
            return Err(error);
        }
        self.0.state.lock().complete_network(record.clone());
        let (written, built) = tokio::join!(self.0.store.put_network(&record), driver.create(&record));
        match written.and(built) {
            Ok(()) => {
                failpoint!("network.create.built", infallible);
                self.0.state.lock().network_is_ready(&record.id);
                tracing::info!(
                    network = record.name,
                    id = record.id,
                    bridge = record.bridge,
                    "network created"
                );
                Ok(record)
            }
            Err(error) => {
                if let Err(error) = self.0.store.delete_network(&record).await {
                    complain(&record, &error);
                }
                self.tear_down_network(&*driver, &record).await;
                Err(error)
            }
        }
    }

    /// Requests a network's subnets, clear of what the host uses otherwise.
    async fn give_subnets(&self, record: &mut Network) -> Result<()> {
        let host = self.0.host.clone();
        let busy = blocking(move || host_nets(&mut host.route.lock())).await?;
        ipam::request_pools(&self.0.ipams, record, &busy).await?;
        failpoint!("network.create.given");
        Ok(())
    }

    /// Removes a network that nothing is on.
    pub async fn remove_network(&self, reference: &str) -> Result<Network> {
        let record = self.0.state.lock().begin_removal(reference)?;
        let driver = self.0.drivers.of(&record)?;
        // The record first: a network that comes back with the next start was not removed. What a crash leaves of it in
        // the kernel, recovery finds.
        if let Err(error) = self.0.store.delete_network(&record).await {
            self.0.state.lock().network_is_ready(&record.id);
            return Err(error);
        }
        failpoint!("network.remove.recorded", infallible);
        self.tear_down_network(&*driver, &record).await;
        tracing::info!(network = record.name, id = record.id, "network removed");
        Ok(record)
    }

    /// Undoes all of a network but its record; what fails is logged and left to recovery, the rest goes on.
    async fn tear_down_network(&self, driver: &dyn Driver, record: &Network) {
        if let Err(error) = driver.delete(record).await {
            complain(record, &error);
        }
        self.release_network(record).await;
    }

    async fn release_network(&self, record: &Network) {
        if let Err(error) = ipam::release_pools(&self.0.ipams, record).await {
            complain(record, &error);
        }
        self.0.state.lock().forget_network(&record.id);
    }

    /// Takes what the host has of all networks away: their interfaces, forwarding where we switched it on, and the rules.
    /// The next start makes them again from the records, which stay. Whatever needs them before then fails.
    pub async fn withdraw_networks(&self) -> Result<()> {
        let this = self.clone();
        blocking(move || {
            let networks = {
                let state = this.0.state.lock();
                match state.all_netns().count() {
                    0 => state.list(),
                    left => return Err(Error::NetnsLeft(left)),
                }
            };
            let mut interfaces = Vec::new();
            for network in networks {
                interfaces.extend(this.0.drivers.of(&network)?.withdraw(&network)?);
            }
            let host = &this.0.host;
            links::delete(&mut host.route.lock(), interfaces);
            host.forwarding.put_back(&host.firewall)?;
            host.firewall.withdraw()
        })
        .await?;
        self.0.host.deleter.catch_up().await;
        Ok(())
    }
}

/// Whether a subnet was chosen is ours to say.
fn subnet(spec: gantry_api::network::Subnet) -> Subnet {
    Subnet {
        subnet: spec.subnet,
        ip_range: spec.ip_range,
        gateway: spec.gateway,
        auxiliary: spec.auxiliary,
        ..Subnet::default()
    }
}

fn complain(record: &Network, error: &Error) {
    tracing::warn!(network = record.name, error = %gantry_rpc::chain(error), "network not wholly removed");
}

/// Subnets that the host reaches or has, other than by default.
pub fn host_nets(route: &mut Route) -> Result<Vec<IpNet>> {
    let failed = || Error::kernel("look at the host's routes");
    let mut nets: Vec<IpNet> =
        route.routes().map_err(failed())?.into_iter().map(|entry| entry.destination).collect();
    nets.extend(route.addresses().map_err(failed())?.into_iter().map(|address| address.net.trunc()));
    nets.retain(|net| net.prefix_len() > 0);
    Ok(nets)
}

/// As Go reads a truth.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}
