//! The gateway: Docker's Engine API over HTTP.
//!
//! It translates, and has no facts of its own: containers, execs, volumes and events are the engine's, images those of
//! images, networks those of network. It keeps nothing on disk.
//!
//! ```text
//! docker ──HTTP──> run/docker.sock ──> gantry_http  connections, and who is calling
//!                                      app          one response a request
//!                                      version      /v1.41/…
//!                                      routes/…     one function a route: parse, call a peer, convert
//!                                      convert/…    Docker's models (wire/…) <-> the services' messages
//!                                      lists        container lists, as the engine told them last
//!                                      response     JSON, streams, errors
//! ```
//!
//! Bulk bytes do not go through gRPC: logs and archives come from the data sockets of engine and images, and an attached
//! client is spliced to the shim's own socket ([`hijack`]).
//!
//! # Invariants
//!
//! - Every response, an error too, has Docker's headers and one of Docker's statuses.
//! - A client that goes away ends the work that was done for it.
//! - A peer that is away is answered with 503 and its name; nothing else depends on it.

mod app;
mod attach_point;
mod authorization;
mod call;
mod caller;
mod config;
mod convert;
mod detach;
mod error;
mod hijack;
mod host;
pub mod input;
mod listeners;
mod lists;
mod metrics;
mod multiplex;
mod peers;
mod query;
mod response;
mod routes;
mod version;
mod websocket;
mod wire;

pub use app::App;
pub use authorization::Authorization;
pub use config::Config;
pub use error::Error;

use std::sync::Arc;

use gantry_daemon::confinement::{Files, Tcp};
use gantry_daemon::{BoxError, Context, Descriptor};
use gantry_docker::moment;
use gantry_plugin::Plugins;

/// The name of Docker's socket in the directory of sockets.
pub const SOCKET: &str = "docker.sock";

/// The service.
#[derive(Debug)]
pub struct Service;

impl gantry_daemon::Service for Service {
    const DESCRIPTOR: &'static Descriptor = &gantry_descriptor::GATEWAY;

    type Settings = Config;

    fn named(settings: &Self::Settings) -> Files {
        let tls = settings.tls.as_ref();
        let secured = tls.map(|tls| tls.listen.as_slice()).unwrap_or_default();
        let addresses = settings.tcp.iter().chain(secured).chain(&settings.metrics);
        let ports = addresses.map(std::net::SocketAddr::port);
        let files = tls.map(|tls| [&tls.ca, &tls.cert, &tls.key]).into_iter().flatten();
        let folders = std::iter::once(&settings.plugins.sockets).chain(&settings.plugins.specs);
        let folders = folders.filter(|_| !settings.authorization_plugins.is_empty());
        Files::default().read(files.chain(folders)).tcp(Tcp::Listen(ports.collect()))
    }

    async fn run(context: Context) -> Result<(), BoxError> {
        let config: Config = context.config()?;
        config.validate()?;
        let plugins = Plugins::new(config.plugins.clone());
        let authorization = Authorization::new(config.authorization_plugins.clone(), plugins);
        let app = App::new(context.run(), authorization, context.shutdown().clone());
        for listener in listeners::all(context.run(), &config)? {
            context.spawn("Docker's API", Arc::clone(&app).serve(listener));
        }
        if let Some(address) = config.metrics {
            let listener = listeners::tcp(address)?;
            let shutdown = context.shutdown().clone();
            context.spawn("metrics", metrics::serve(listener, context.run().to_owned(), shutdown));
        }
        // Health and reflection; the API itself is HTTP.
        context.serve(tonic::service::Routes::default()).await?;
        app.drained().await;
        Ok(())
    }
}
