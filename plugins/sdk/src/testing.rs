//! Helpers for a driver's tests: the plugin is served in a folder of the test, and called as by an engine.
//!
//! ```no_run
//! # async fn example(server: gantry_plugin_sdk::Server) {
//! use gantry_plugin::SHORT;
//! use gantry_plugin_sdk::{interface, testing::Served, wire::{Nothing, volume::ListResponse}};
//!
//! let served = Served::start(server, "/tmp/test".as_ref(), "mine").await;
//! let plugin = served.plugin(interface::VOLUME).await;
//! let all: ListResponse = plugin.call("VolumeDriver.List", &Nothing {}, SHORT).await.expect("volumes");
//! # }
//! ```

use std::path::{Path, PathBuf};
use std::time::Duration;

use gantry_plugin::{Folders, Patience, Plugin, Plugins};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::at::At;
use crate::server::Server;

/// A server that ends when this is dropped.
#[derive(Debug)]
pub struct Served {
    plugins: Plugins,
    name: String,
    socket: PathBuf,
    shutdown: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Served {
    /// Serves a plugin at `NAME.sock` in `folder`, and waits until it answers.
    ///
    /// # Panics
    ///
    /// When it does not answer within ten seconds.
    pub async fn start(server: Server, folder: &Path, name: &str) -> Served {
        let (socket, shutdown) = (folder.join(format!("{name}.sock")), CancellationToken::new());
        let (at, told) = (At::Socket(socket.clone()), shutdown.clone());
        let serving = tokio::spawn(async move { server.serve_until(&at, told).await });
        let up = async {
            while tokio::net::UnixStream::connect(&socket).await.is_err() {
                assert!(!serving.is_finished(), "the plugin cannot be served at {}", socket.display());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), up).await.expect("the plugin does not come up");
        let folders = Folders { sockets: folder.to_owned(), specs: Vec::new() };
        let impatient = Patience { first: Duration::from_millis(10), most: Duration::from_millis(100) };
        let plugins = Plugins::new(folders).with_patience(impatient);
        Served { plugins, name: name.to_owned(), socket, shutdown, serving }
    }

    /// A client of the plugin, as an engine uses it.
    ///
    /// # Panics
    ///
    /// When the plugin does not implement the interface.
    pub async fn plugin(&self, interface: &'static str) -> Plugin {
        self.plugins.get(&self.name, interface).await.expect("a plugin")
    }

    /// The path of its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Stops the plugin.
    ///
    /// # Panics
    ///
    /// When it has failed.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.serving.await.expect("joined").expect("served");
    }
}
