//! The context of a running service.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gantry_rpc::carry;
use serde::de::DeserializeOwned;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::confinement::{Watched, replaced};
use crate::layers::Layers;
use crate::{BoxError, Policy, Registry, Roots, Settings, serve};

/// The context of a running service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Context {
    name: &'static str,
    roots: Roots,
    settings: Settings,
    shutdown: CancellationToken,
    tasks: TaskTracker,
    metrics: Registry,
    layers: Layers,
}

impl Context {
    pub(crate) fn new(
        name: &'static str,
        roots: Roots,
        settings: Settings,
        layers: Layers,
    ) -> io::Result<Self> {
        let context = Self { settings, layers, ..Self::for_test(name, roots) };
        serve::end_on_signals(context.shutdown.clone())?;
        Ok(context)
    }

    /// A context for tests, without signals and settings.
    pub fn for_test(name: &'static str, roots: Roots) -> Self {
        Self {
            name,
            roots,
            settings: Settings::empty(name),
            shutdown: CancellationToken::new(),
            tasks: TaskTracker::new(),
            metrics: Registry::new(name),
            layers: Layers::new(),
        }
    }

    /// The same context with settings from this text, for tests.
    ///
    /// # Panics
    ///
    /// When the text is not TOML.
    #[must_use]
    pub fn with_settings(mut self, text: &str) -> Self {
        self.settings = Settings::written(self.name, text);
        self
    }

    /// Ends the service when one of these files is replaced.
    pub(crate) fn end_when_replaced(&self, watched: Vec<Watched>) {
        let shutdown = self.shutdown.clone();
        self.spawn("watch", async move {
            let path = replaced(watched).await;
            tracing::info!(path = %path.display(), "replaced: ending, to be started again with access to the new one");
            shutdown.cancel();
        });
    }

    /// The service's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The two roots.
    pub fn roots(&self) -> &Roots {
        &self.roots
    }

    /// The service's state directory, which exists.
    pub fn state(&self) -> PathBuf {
        self.roots.state_of(self.name)
    }

    /// The directory of sockets and bundles, which exists.
    pub fn run(&self) -> &Path {
        &self.roots.run
    }

    /// The service's metrics.
    pub fn metrics(&self) -> &Registry {
        &self.metrics
    }

    /// The service's settings, which were validated before its start.
    ///
    /// # Errors
    ///
    /// As [`Settings::parse`], for a type other than the service's own.
    pub fn config<T: DeserializeOwned>(&self) -> Result<T, BoxError> {
        Ok(self.settings.parse()?)
    }

    /// Cancelled when the service has to end.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }

    /// Starts background work that ends with the service: `work` is dropped at its next await when the shutdown
    /// begins.
    pub fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let shutdown = self.shutdown.clone();
        let work = async move {
            tokio::select! {
                () = shutdown.cancelled() => tracing::debug!(name, "background work cut"),
                () = work => tracing::debug!(name, "background work ended"),
            }
        };
        self.tasks.spawn(carry::within(self.tasks.clone(), work));
    }

    /// The same context with a `policy` that decides who may call what.
    pub fn with_policy(mut self, policy: impl Policy) -> Self {
        self.layers.policy = Arc::new(policy);
        self
    }

    /// The listener of the service's data socket.
    ///
    /// # Errors
    ///
    /// What bind(2) reports.
    pub fn data_listener(&self) -> io::Result<UnixListener> {
        gantry_rpc::socket::bind(&self.roots.data_socket(self.name), 0o660)
    }

    /// Serves gRPC on the service's socket until shutdown, with health and
    /// reflection beside `routes`. Health is `SERVING` from here on.
    ///
    /// # Errors
    ///
    /// When the socket cannot be bound or the transport breaks.
    pub async fn serve(self, routes: tonic::service::Routes) -> Result<(), BoxError> {
        let listener = gantry_rpc::socket::bind(&self.roots.socket(self.name), 0o660)?;
        self.serve_on(listener, routes).await
    }

    /// Like [`serve`](Self::serve), on a listener of the caller's.
    ///
    /// # Errors
    ///
    /// When the transport breaks.
    pub async fn serve_on(
        self,
        listener: UnixListener,
        routes: tonic::service::Routes,
    ) -> Result<(), BoxError> {
        crate::refusal::clear(&self.roots.refusal(self.name));
        tracing::info!(service = self.name, state = %self.state().display(), "ready");
        serve::serve(
            listener,
            routes,
            self.metrics.clone(),
            self.layers.clone(),
            self.tasks.clone(),
            self.shutdown.clone(),
        )
        .await?;
        self.shutdown.cancel();
        self.tasks.close();
        let patience = std::time::Duration::from_secs(2);
        if tokio::time::timeout(patience, self.tasks.wait()).await.is_err() {
            tracing::warn!(service = self.name, "background work did not end in time");
        }
        Ok(())
    }
}
