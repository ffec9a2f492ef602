//! The plugin `otlp`.

use clap::Parser;
use gantry_log_otlp::{Otlp, server};
use gantry_plugin_sdk::At;
use tracing_subscriber::EnvFilter;

/// Takes containers' logs for an OpenTelemetry collector.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// What the driver is called.
    #[arg(long, default_value = "otlp")]
    name: String,
    /// The socket, where it is not the one at which Docker finds it.
    #[arg(long)]
    socket: Option<std::path::PathBuf>,
    /// The collector of those containers that do not name one.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", default_value = "http://127.0.0.1:4317")]
    endpoint: String,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let Arguments { name, socket, endpoint } = Arguments::parse();
    let at = socket.map_or_else(|| At::docker(&name), At::Socket);
    server(Otlp { endpoint }).serve(&at).await
}
