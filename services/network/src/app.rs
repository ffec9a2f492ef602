//! The service, put together: which drivers of networks and of addresses there are is chosen here alone.

use std::sync::Arc;

use gantry_daemon::{BoxError, Context, Descriptor};

use crate::controller::Controller;
use crate::driver::{Driver, Drivers, bridge, host, none};
use crate::host::Host;
use crate::ipam::{self, Ipam, Ipams};
use crate::server;

/// The service, as `gantryd network` runs it.
#[derive(Debug)]
pub struct Service;

impl gantry_daemon::Service for Service {
    const DESCRIPTOR: &'static Descriptor = &gantry_descriptor::NETWORK;

    type Settings = gantry_daemon::settings::None;

    async fn run(context: Context) -> Result<(), BoxError> {
        let controller = Controller::open(&context).await?;
        let routes = server::routes(&controller);
        context.serve(routes).await
    }
}

/// The drivers of networks.
pub(crate) fn drivers(host: &Arc<Host>) -> Drivers {
    let bridge: Arc<dyn Driver> = Arc::new(bridge::Bridge::new(host.clone()));
    Drivers::new([bridge, Arc::new(host::Host), Arc::new(none::Null)])
}

/// The allocators of addresses.
pub(crate) fn ipams(host: &Host) -> Ipams {
    let default: Arc<dyn Ipam> = Arc::new(ipam::Local::new(host.identity.v6_seed()));
    Ipams::new([default])
}
