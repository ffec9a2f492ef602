//! The program: `gantry-volume-dir --root /srv/volumes`, and then `docker volume create -d dir -o size=1g data`.

use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use gantry_plugin_sdk::volume::Scope;
use gantry_plugin_sdk::{At, Server};
use gantry_volume_dir::Dir;

/// Docker volumes in a folder of any mounted file system, with size limits by project quota.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The folder that volumes are in
    #[arg(long, value_name = "DIR")]
    root: PathBuf,
    /// What Docker calls the driver
    #[arg(long, default_value = "dir", value_name = "NAME")]
    name: String,
    /// Where to listen [default: /run/docker/plugins/NAME.sock]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// The folder is the same on all machines: a volume's name means the same volume everywhere
    #[arg(long)]
    shared: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let scope = if arguments.shared { Scope::Global } else { Scope::Local };
    let driver = Dir::open(&arguments.root, scope).context("volumes")?;
    let at = arguments.socket.map_or_else(|| At::docker(&arguments.name), At::Socket);
    Server::new().volumes(driver).serve(&at).await.context("plugin socket")
}
