//! gRPC in, store out.

use gantry_api::{content, fsck, gc};
use tonic::service::Routes;

use crate::store::Store;

/// Everything that the service answers on its gRPC socket.
pub(crate) fn routes(store: Store) -> Routes {
    Routes::new(content::server::service(store.clone()))
        .add_service(gc::server::collector(store.clone()))
        .add_service(gantry_records::server(store.database().clone()))
        .add_service(fsck::service(store))
}
