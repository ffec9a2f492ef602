//! Creates and removes networks, and allocates their subnets.

mod check;

use crate::controller::{Controller, blocking};
use crate::driver::Driver;
use crate::error::{Error, Result};
use crate::ipam;
use crate::links;
use crate::record::{Network, Owed, Subnet};
use gantry_api::network::NetworkSpec;
use gantry_failpoint::failpoint;
use gantry_netlink::Route;
use ipnet::IpNet;

impl Controller {
    /// Creates a network: name, subnets, record, and what its driver makes.
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
        match self.build(&*driver, &record).await {
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
                self.release_network(&record).await;
                Err(error)
            }
        }
    }

    /// Writes a network's record and has its driver make it. If one fails, the other is undone.
    async fn build(&self, driver: &dyn Driver, record: &Network) -> Result<()> {
        let owed = self.owed_of_network(record);
        self.0.store.owe(&owed).await?;
        let create = async {
            failpoint!("network.create.noted");
            driver.create(record).await?;
            failpoint!("network.create.told");
            Ok::<(), Error>(())
        };
        let built = match owed.is_empty() {
            true => {
                let (written, created) = tokio::join!(self.0.store.put_network(record), create);
                written.and(created)
            }
            // The plugin was told of a network that is on record.
            false => match create.await {
                Ok(()) => self.0.store.put_network(record).await,
                // The plugin has made nothing, or is told later that the network is not needed.
                refused @ Err(Error::Plugin(_) | Error::PluginSilent(_)) => {
                    self.settle_told(&owed, &refused).await;
                    return refused;
                }
                failed => failed,
            },
        };
        if let Err(error) = built {
            if let Err(error) = self.0.store.delete_network(record, &[]).await {
                complain(record, &error);
            }
            self.tear_down_network(driver, record, &owed).await;
            return Err(error);
        }
        self.settle(&owed).await;
        Ok(())
    }

    /// Requests a network's subnets, which must not overlap with the host's other networks.
    async fn give_subnets(&self, record: &mut Network) -> Result<()> {
        let host = self.0.host.clone();
        let busy = blocking(move || host_nets(&mut host.route.lock())).await?;
        ipam::request_pools(&self.0.ipams, record, &busy).await?;
        failpoint!("network.create.given");
        Ok(())
    }

    /// Removes a network without endpoints.
    pub async fn remove_network(&self, reference: &str) -> Result<Network> {
        let record = self.0.state.lock().begin_removal(reference)?;
        let driver = self.0.drivers.of(&record)?;
        // The record is deleted first, because a network must not return at the next start. Recovery removes what a
        // crash leaves in the kernel.
        let owed = self.owed_of_network(&record);
        if let Err(error) = self.0.store.delete_network(&record, &owed).await {
            self.0.state.lock().network_is_ready(&record.id);
            return Err(error);
        }
        failpoint!("network.remove.recorded", infallible);
        self.tear_down_network(&*driver, &record, &owed).await;
        self.release_network(&record).await;
        tracing::info!(network = record.name, id = record.id, "network removed");
        Ok(record)
    }

    /// Undoes what a network's driver has made. A failure is logged and left to recovery.
    async fn tear_down_network(&self, driver: &dyn Driver, record: &Network, owed: &[Owed]) {
        let deleted = match !owed.is_empty() && self.owes_endpoints_of(record).await {
            // A plugin may refuse the end of a network before it was told the ends of the endpoints.
            true => Err(Error::PluginSilent("it has not been told the ends of all endpoints".to_owned())),
            false => driver.delete(record).await,
        };
        failpoint!("network.remove.told", infallible);
        self.settle_told(owed, &deleted).await;
        if let Err(error) = deleted {
            complain(record, &error);
        }
    }

    async fn release_network(&self, record: &Network) {
        if let Err(error) = ipam::release_pools(&self.0.ipams, record).await {
            complain(record, &error);
        }
        self.0.state.lock().forget_network(&record.id);
    }

    /// Removes from the host everything of all networks: interfaces, forwarding if Gantry switched it on, and rules.
    /// The records stay, and the next start makes everything again from them. Until then, calls that need the
    /// networks fail.
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

/// The service, not the client, records whether a subnet was chosen.
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

/// Subnets that the host has or reaches by a route other than the default one.
pub fn host_nets(route: &mut Route) -> Result<Vec<IpNet>> {
    let failed = || Error::kernel("look at the host's routes");
    let mut nets: Vec<IpNet> =
        route.routes().map_err(failed())?.into_iter().map(|entry| entry.destination).collect();
    nets.extend(route.addresses().map_err(failed())?.into_iter().map(|address| address.net.trunc()));
    nets.retain(|net| net.prefix_len() > 0);
    Ok(nets)
}

/// Reads a truth value as Go does.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}
