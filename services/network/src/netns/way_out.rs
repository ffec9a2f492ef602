//! The endpoints of plugins through which a network namespace's default route leads. Their plugins publish its ports,
//! and are told when the default route changes to or from their endpoint.

use super::Described;
use crate::controller::Controller;
use crate::driver::Drivers;
use crate::error::{Error, Result};
use crate::gateway::{Family, gateway};
use crate::record::{Endpoint, Netns, Networks};

/// The families whose default route leads through the endpoint of a plugin that publishes ports.
pub fn elsewhere(netns: &Netns, networks: &Networks, drivers: &Drivers, family: Family) -> bool {
    let network = gateway(netns, networks, family).and_then(|endpoint| networks.get(&endpoint.network));
    network.and_then(|network| drivers.of(network).ok()).is_some_and(|driver| driver.capabilities().distant)
}

impl Controller {
    /// Tells plugins which of their endpoints have the default route now, and updates the record.
    ///
    /// # Errors
    /// A plugin refuses the default route. The state before is then restored.
    pub(super) async fn move_way_out(&self, (netns, networks): &mut Described) -> Result<()> {
        let ways: Vec<String> = [Family::V4, Family::V6]
            .into_iter()
            .filter(|family| elsewhere(netns, networks, &self.0.drivers, *family))
            .filter_map(|family| gateway(netns, networks, family).map(|endpoint| endpoint.id.clone()))
            .collect();
        let is = |endpoint: &Endpoint| ways.contains(&endpoint.id);
        if netns.endpoints.iter().all(|endpoint| endpoint.way_out == is(endpoint)) {
            return Ok(());
        }
        let before = netns.clone();
        for endpoint in netns.endpoints.iter_mut().filter(|endpoint| endpoint.way_out && !is(endpoint)) {
            self.end_way_out(endpoint, networks).await;
            endpoint.way_out = false;
        }
        let new = netns.endpoints.iter().filter(|endpoint| !endpoint.way_out && is(endpoint));
        for endpoint in new.cloned().collect::<Vec<_>>() {
            if let Err(error) = self.begin_way_out(netns, &endpoint, networks).await {
                self.restore_way_out(&before, netns, networks).await;
                return Err(error);
            }
            netns.endpoints.iter_mut().filter(|it| it.id == endpoint.id).for_each(|it| it.way_out = true);
        }
        self.0.store.put_netns(netns, &[]).await?;
        self.0.state.lock().put_netns(netns.clone());
        Ok(())
    }

    /// Tells plugins of changes of default routes that a killed service has not told them.
    pub(crate) async fn mend_ways_out(self) {
        for (netns, _) in self.list_netns() {
            let _guard = self.0.changing.lock(netns.id.clone()).await;
            let Ok(mut described) = self.find_netns(&netns.id) else { continue };
            if let Err(error) = self.move_way_out(&mut described).await {
                tracing::warn!(netns = netns.id, error = %gantry_rpc::chain(&error), "its way out is not as it should be");
            }
        }
    }

    async fn begin_way_out(&self, netns: &Netns, endpoint: &Endpoint, networks: &Networks) -> Result<()> {
        let Some(network) = networks.get(&endpoint.network) else { return Ok(()) };
        let elsewhere = gateway(netns, networks, Family::V6).is_some_and(|other| other.id != endpoint.id);
        let begun = self.0.drivers.of(network)?.begin_way_out(network, endpoint, netns, elsewhere).await;
        begun.map_err(|error| match error {
            Error::Plugin(why) | Error::PluginSilent(why) => {
                Error::WayOut { container: netns.name.clone(), endpoint: endpoint.id.clone(), why }
            }
            other => other,
        })
    }

    /// Undoes the announcements of a change that failed.
    async fn restore_way_out(&self, before: &Netns, netns: &mut Netns, networks: &Networks) {
        for endpoint in &netns.endpoints {
            if endpoint.way_out && !before.endpoints.contains(endpoint) {
                self.end_way_out(endpoint, networks).await;
            }
        }
        for endpoint in &before.endpoints {
            if endpoint.way_out
                && !netns.endpoints.contains(endpoint)
                && let Err(error) = self.begin_way_out(before, endpoint, networks).await
            {
                tracing::warn!(netns = netns.id, error = %gantry_rpc::chain(&error), "its way out is not back");
            }
        }
        netns.clone_from(before);
    }

    /// Tells the plugin of an endpoint that no longer has the default route. A failure is logged.
    pub(super) async fn end_way_out(&self, endpoint: &Endpoint, networks: &Networks) {
        let Some(network) = networks.get(&endpoint.network) else { return };
        let ended = match self.0.drivers.of(network) {
            Ok(driver) => driver.end_way_out(network, endpoint).await,
            Err(error) => Err(error),
        };
        if let Err(error) = ended {
            tracing::warn!(endpoint = endpoint.id, error = %gantry_rpc::chain(&error), "its plugin was not told that it is no way out");
        }
    }

    /// Asks plugins about their endpoints, first about the one with the default route, as dockerd does. The answers
    /// are not used.
    pub(super) async fn look_at_endpoints(&self, netns: &Netns, networks: &Networks) {
        let mut endpoints: Vec<(&Endpoint, &str)> = netns
            .endpoints
            .iter()
            .filter_map(|endpoint| Some((endpoint, networks.get(&endpoint.network)?.name.as_str())))
            .collect();
        endpoints.sort_by_key(|(endpoint, network)| (!endpoint.way_out, *network));
        for (endpoint, _) in endpoints {
            let Some(network) = networks.get(&endpoint.network) else { continue };
            if let Ok(driver) = self.0.drivers.of(network) {
                driver.look_at_endpoint(network, endpoint).await;
            }
        }
    }
}
