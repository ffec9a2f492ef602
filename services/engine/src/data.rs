//! The data socket `run/engine-data.sock`: logs and archives, which never cross gRPC.

use gantry_api::engine::containers::data::serve::connection;
use tokio::net::UnixListener;

use crate::engine::Engine;

/// Serves connections until the service ends.
pub async fn serve(engine: Engine, listener: UnixListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => engine.spawn("serve a data connection", connection(stream, engine.clone())),
            Err(error) => {
                tracing::warn!(%error, "data socket: accept");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}
