//! The endpoints of a network namespace, beside the kernel: their addresses, and what their drivers do about them.

use gantry_api::network::EndpointSpec;

use crate::controller::Controller;
use crate::error::{Error, Result};
use crate::ipam;
use crate::mac;
use crate::record::{Endpoint, Networks};

impl Controller {
    /// Gives endpoints their addresses, and has their drivers make them known; all or none.
    pub(super) async fn make_endpoints(
        &self,
        endpoints: &mut [Endpoint],
        specs: &[EndpointSpec],
        networks: &Networks,
    ) -> Result<()> {
        for (index, spec) in specs.iter().enumerate() {
            let made = self.make_endpoint(&mut endpoints[index], spec, networks).await;
            if made.is_err() {
                self.release_endpoints(&endpoints[..index], networks).await;
                return made;
            }
        }
        Ok(())
    }

    async fn make_endpoint(
        &self,
        endpoint: &mut Endpoint,
        spec: &EndpointSpec,
        networks: &Networks,
    ) -> Result<()> {
        let gone = || Error::NetworkNotFound(endpoint.network.clone());
        let network = networks.get(&endpoint.network).ok_or_else(gone)?;
        let driver = self.0.drivers.of(network)?;
        if driver.capabilities().addresses {
            ipam::allocate(&self.0.ipams, network, spec, endpoint).await?;
        }
        if endpoint.mac.is_empty() {
            let first = endpoint.nets().first().map(|net| net.addr().to_string()).unwrap_or_default();
            endpoint.mac = mac::derived(&network.id, &first).to_string();
        }
        let made = driver.create_endpoint(network, endpoint).await;
        if made.is_err() {
            self.release_endpoints(std::slice::from_ref(&*endpoint), networks).await;
        }
        made
    }

    /// Undoes [`Controller::make_endpoints`]. What fails is logged; the rest goes on.
    pub(super) async fn release_endpoints(&self, endpoints: &[Endpoint], networks: &Networks) {
        for endpoint in endpoints {
            let Some(network) = networks.get(&endpoint.network) else { continue };
            let Ok(driver) = self.0.drivers.of(network) else { continue };
            let unmade = driver.delete_endpoint(network, endpoint).await;
            let released = match driver.capabilities().addresses {
                true => ipam::release(&self.0.ipams, network, endpoint).await,
                false => Ok(()),
            };
            if let Err(error) = unmade.and(released) {
                tracing::warn!(endpoint = endpoint.id, error = %gantry_rpc::chain(&error), "endpoint not wholly released");
            }
        }
    }
}
