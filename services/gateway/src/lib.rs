//! The gateway: Docker's Engine API over HTTP.
//!
//! The gateway translates, and keeps nothing on disk: `engine` owns containers, execs, volumes and events, `images` owns images,
//! `network` owns networks.
//!
//! ```text
//! docker ──HTTP──> run/docker.sock ──> gantry_http  connections and callers
//!                                      app          one response a request
//!                                      version      /v1.41/…
//!                                      routes/…     one function a route: parse, call a peer, convert
//!                                      convert/…    Docker's models (wire/…) <-> the services' messages
//!                                      lists        the last container lists of the engine
//!                                      response     JSON, streams, errors
//! ```
//!
//! Bulk bytes do not go through gRPC: logs and archives come from the data sockets of `engine` and `images`, and an attached client's
//! connection is spliced to the shim's own socket ([`hijack`]).
//!
//! # Invariants
//!
//! - Every response, including errors, has Docker's headers and one of Docker's statuses.
//! - When a client goes away, the gateway stops working for it.
//! - When a request needs a service that is away, its answer is 503 with the service's name; other requests work.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "the work of a test ends with it"))]

mod app;
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
mod origin;
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
        // gRPC serves health and reflection only; the API itself is HTTP.
        context.serve(tonic::service::Routes::default()).await?;
        app.drained().await;
        Ok(())
    }
}

/// The whole `main` of the process. It is not generic, so that the service is compiled with its crate, and not again with
/// every program that names it.
pub fn main(arguments: gantry_daemon::Arguments) -> std::process::ExitCode {
    gantry_daemon::main::<Service>(arguments)
}
