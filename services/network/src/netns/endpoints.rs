//! The endpoints of a network namespace outside of the kernel: their addresses, and the calls to their drivers.

use gantry_api::network::EndpointSpec;

use crate::controller::Controller;
use crate::driver::Owner;
use crate::error::{Error, Result};
use crate::ipam;
use crate::mac;
use crate::record::{Endpoint, Netns, Networks};

impl Controller {
    /// Allocates the endpoints' addresses and has their drivers make them: all or none.
    ///
    /// The endpoints are those of the network namespace from index `first` on.
    pub(super) async fn make_endpoints(
        &self,
        netns: &mut Netns,
        first: usize,
        specs: &[EndpointSpec],
        networks: &Networks,
    ) -> Result<()> {
        for (index, spec) in (first..).zip(specs) {
            let mut endpoint = netns.endpoints[index].clone();
            let made = self.make_endpoint(netns, &mut endpoint, spec, networks).await;
            netns.endpoints[index] = endpoint;
            if made.is_err() {
                self.unmake_endpoints(&netns.id, &netns.endpoints[first..index], networks).await;
                return made;
            }
        }
        Ok(())
    }

    /// Whether the host publishes ports for a network namespace, as far as is known before its endpoints are made.
    fn is_published(&self, netns: &Netns, networks: &Networks) -> bool {
        let own = |endpoint: &Endpoint| {
            let network = networks.get(&endpoint.network).filter(|network| !network.internal);
            let driver = network.and_then(|network| self.0.drivers.of(network).ok());
            driver.is_some_and(|driver| !driver.capabilities().distant)
        };
        !netns.mappings.is_empty() && netns.endpoints.iter().any(own)
    }

    async fn make_endpoint(
        &self,
        netns: &Netns,
        endpoint: &mut Endpoint,
        spec: &EndpointSpec,
        networks: &Networks,
    ) -> Result<()> {
        let gone = || Error::NetworkNotFound(endpoint.network.clone());
        let network = networks.get(&endpoint.network).ok_or_else(gone)?;
        let driver = self.0.drivers.of(network)?;
        let capabilities = driver.capabilities();
        if capabilities.addresses {
            ipam::allocate(&self.0.ipams, network, spec, endpoint).await?;
        }
        // A link of a distant driver has its own address.
        if endpoint.mac.is_empty() && !capabilities.distant {
            let first = endpoint.nets().first().map(|net| net.addr().to_string()).unwrap_or_default();
            endpoint.mac = mac::derived(&network.id, &first).to_string();
        }
        let owed = self.owed_of_endpoints(std::slice::from_ref(&*endpoint), networks, &netns.id);
        let pin = self.0.host.identity.pin(&netns.id);
        let published = capabilities.distant && self.is_published(netns, networks);
        let owner = Owner { netns, pin: &pin, published, mac_given: !spec.mac.is_empty() };
        let made = match self.0.store.owe(&owed).await {
            Ok(()) => driver.create_endpoint(network, endpoint, &owner).await,
            failed => failed,
        };
        if made.is_ok() && !owed.is_empty() {
            // Now with the name of the plugin's link, so that a start after a kill can give the link back.
            let owed = self.owed_of_endpoints(std::slice::from_ref(&*endpoint), networks, &netns.id);
            if let Err(error) = self.0.store.owe(&owed).await {
                self.unmake_endpoints(&netns.id, std::slice::from_ref(&*endpoint), networks).await;
                return Err(error);
            }
        }
        if made.is_err() {
            if capabilities.addresses
                && let Err(error) = ipam::release(&self.0.ipams, network, endpoint).await
            {
                complain(endpoint, &error);
            }
            // The driver has made nothing, or has not answered.
            self.settle_told(&owed, &made).await;
        }
        made
    }

    /// Undoes [`Controller::make_endpoints`], for endpoints that are not in the kernel.
    pub(super) async fn unmake_endpoints(&self, netns: &str, endpoints: &[Endpoint], networks: &Networks) {
        self.part_endpoints(endpoints, networks).await;
        self.release_endpoints(netns, endpoints, networks).await;
    }

    /// Tells drivers that the interfaces of endpoints will be removed. A failure is logged, and the next endpoint
    /// follows.
    pub(super) async fn part_endpoints(&self, endpoints: &[Endpoint], networks: &Networks) {
        for endpoint in endpoints {
            let Some(network) = networks.get(&endpoint.network) else { continue };
            let Ok(driver) = self.0.drivers.of(network) else { continue };
            if endpoint.way_out {
                self.end_way_out(endpoint, networks).await;
            }
            if let Err(error) = driver.part(network, endpoint).await {
                tracing::warn!(endpoint = endpoint.id, error = %gantry_rpc::chain(&error), "its driver was not told of its end");
            }
        }
    }

    /// Releases what endpoints have outside of the kernel. A failure is logged, and the next endpoint follows.
    pub(super) async fn release_endpoints(&self, netns: &str, endpoints: &[Endpoint], networks: &Networks) {
        for endpoint in endpoints {
            let Some(network) = networks.get(&endpoint.network) else { continue };
            let Ok(driver) = self.0.drivers.of(network) else { continue };
            let unmade = driver.delete_endpoint(network, endpoint).await;
            let owed = self.owed_of_endpoints(std::slice::from_ref(endpoint), networks, netns);
            self.settle_told(&owed, &unmade).await;
            let released = match driver.capabilities().addresses {
                true => ipam::release(&self.0.ipams, network, endpoint).await,
                false => Ok(()),
            };
            if let Err(error) = unmade.and(released) {
                complain(endpoint, &error);
            }
        }
    }
}

fn complain(endpoint: &Endpoint, error: &Error) {
    tracing::warn!(endpoint = endpoint.id, error = %gantry_rpc::chain(error), "endpoint not wholly released");
}
