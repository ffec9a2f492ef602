//! The service, put together: which drivers of networks and of addresses there are is chosen here alone.

use std::sync::Arc;

use gantry_daemon::{BoxError, Context, Descriptor};
use gantry_plugin::Plugins;
use serde::Deserialize;

use crate::controller::Controller;
use crate::driver::{Driver, Drivers, bridge, host, none};
use crate::host::Host;
use crate::ipam::{self, Ipam, Ipams};
use crate::server;

/// The service's settings.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where plugins are looked for.
    pub plugins: gantry_plugin::Folders,
}

/// The service, as `gantryd network` runs it.
#[derive(Debug)]
pub struct Service;

impl gantry_daemon::Service for Service {
    const DESCRIPTOR: &'static Descriptor = &gantry_descriptor::NETWORK;

    type Settings = Settings;

    async fn run(context: Context) -> Result<(), BoxError> {
        let controller = Controller::open(&context).await?;
        let routes = server::routes(&controller);
        context.serve(routes).await
    }
}

/// The drivers of networks.
pub(crate) fn drivers(host: &Arc<Host>, plugins: &Plugins) -> Drivers {
    let bridge: Arc<dyn Driver> = Arc::new(bridge::Bridge::new(host.clone()));
    Drivers::new([bridge, Arc::new(host::Host), Arc::new(none::Null)], plugins.clone())
}

/// The allocators of addresses.
pub(crate) fn ipams(host: &Host, plugins: &Plugins) -> Ipams {
    let default: Arc<dyn Ipam> = Arc::new(ipam::Local::new(host.identity.v6_seed()));
    Ipams::new([default], plugins.clone())
}
