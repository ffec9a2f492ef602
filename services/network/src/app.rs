//! The wiring of the service: the only place that chooses the drivers of networks and of addresses.

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
    /// The directories of plugins.
    pub plugins: gantry_plugin::Folders,
}

/// The network service, as `gantryd network` runs it.
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

/// The whole `main` of the process. It is not generic, so that the service is compiled with its crate, and not again with
/// every program that names it.
pub fn main(arguments: gantry_daemon::Arguments) -> std::process::ExitCode {
    gantry_daemon::main::<Service>(arguments)
}

/// The network drivers.
pub(crate) fn drivers(host: &Arc<Host>, plugins: &Plugins) -> Drivers {
    let bridge: Arc<dyn Driver> = Arc::new(bridge::Bridge::new(host.clone()));
    Drivers::new([bridge, Arc::new(host::Host), Arc::new(none::Null)], plugins.clone())
}

/// The IPAM drivers.
pub(crate) fn ipams(host: &Host, plugins: &Plugins) -> Ipams {
    let default: Arc<dyn Ipam> = Arc::new(ipam::Local::new(host.identity.v6_seed()));
    Ipams::new([default], plugins.clone())
}
