//! The data socket's listener; what is said on a connection is in `gantry_api::content::files`.

use std::time::Duration;

use gantry_api::content::files::serve;
use gantry_daemon::Context;
use tokio::net::UnixListener;

use crate::store::Store;

/// Accepts connections for ever; each is served by work of its own.
pub(crate) async fn serve(listener: UnixListener, store: Store, context: Context) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => context.spawn("data connection", serve::connection(stream, store.clone())),
            Err(error) => {
                // Out of descriptors: those in use are given back in time.
                tracing::warn!(%error, "cannot accept on the data socket");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}
