//! gRPC in, store out.

mod plugins;

use gantry_api::{content, fsck, gc};
use gantry_proto::containerd::services::introspection::v1::introspection_server::IntrospectionServer;
use tonic::service::Routes;

use crate::settings::Settings;
use crate::store::Store;

/// Everything that the service answers on its gRPC socket.
pub(crate) fn routes(store: Store, settings: &Settings) -> Routes {
    Routes::new(content::server::service(store.clone()))
        .add_service(IntrospectionServer::new(plugins::Plugins::new(settings)))
        .add_service(gc::server::collector(store.clone()))
        .add_service(gantry_records::server(store.database().clone()))
        .add_service(fsck::service(store))
}
