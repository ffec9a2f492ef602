//! What every service process does, in this order:
//!
//! 1. it reads and validates arguments and settings ([`Arguments`], [`settings`]);
//! 2. it makes and locks the state directory, so that no second process opens it ([`roots`]);
//! 3. it drops privileges to those in the service's descriptor ([`privileges`]), and confines itself
//!    ([`confinement`]);
//! 4. it starts the async runtime and telemetry ([`telemetry`], [`trace`]);
//! 5. it raises its limit of open files ([`open_files`]);
//! 6. [`Service::run`] opens its store, reconciles, and calls [`Context::serve`];
//! 7. health becomes `SERVING`; SIGTERM or SIGINT ends the service: calls under way get a moment, long ones are cut.
//!
//! A service is killed as often as it is stopped: nothing may depend on the orderly end in step 7.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "the work of a test ends with it"))]

mod audit;
mod authority;
mod caller;
pub mod confinement;
mod context;
pub mod exit;
mod heap;
mod layers;
mod limit;
mod metrics;
mod observe;
pub mod open_files;
mod outcome;
mod policy;
mod privileges;
mod reflection;
mod refusal;
pub mod roots;
mod serve;
pub mod settings;
mod telemetry;
pub mod trace;

pub use authority::Tolerant;
pub use context::Context;
pub use gantry_descriptor::Descriptor;
pub use gantry_rpc::BoxError;
pub use metrics::Registry;
pub use policy::{Policy, Socket};
pub use roots::Roots;
pub use settings::Settings;

use std::path::PathBuf;
use std::process::ExitCode;

use confinement::{Confinement, Files};
use layers::Layers;
use serde::de::DeserializeOwned;

/// A service: what `gantryd NAME` runs.
pub trait Service: Send + 'static {
    /// The facts about the service that others need before it runs: its name, privileges and confinement.
    const DESCRIPTOR: &'static Descriptor;

    /// The keys of its settings beside the common ones; [`settings::None`] for none.
    type Settings: DeserializeOwned;

    /// The files and ports that its settings name, which it may use beside those of the descriptor.
    fn named(settings: &Self::Settings) -> Files {
        let _ = settings;
        Files::default()
    }

    /// Opens the store, reconciles, and serves until the context's shutdown. An error ends the process; the
    /// supervisor starts it again.
    fn run(context: Context) -> impl Future<Output = Result<(), BoxError>> + Send;
}

/// The arguments that every service takes.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Arguments {
    #[command(flatten)]
    pub roots: roots::Arguments,
    /// What to log, as in `info,gantry_content=debug` [default: info].
    #[arg(long, env = "GANTRY_LOG")]
    pub log: Option<String>,
    /// Logs as JSON, one object a line.
    #[arg(long, env = "GANTRY_LOG_JSON")]
    pub log_json: bool,
    /// The OTLP collector (gRPC) that gets the traces.
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,
    /// The service's settings: a file, or a directory with SERVICE.toml [default: /etc/gantry].
    #[arg(long, value_name = "PATH", env = "GANTRY_CONFIG")]
    pub config: Option<PathBuf>,
    /// One setting, over that of the file.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl Arguments {
    /// The settings of a service, and the common ones, which these arguments override.
    fn settings(&self, service: &'static str) -> Result<(Settings, settings::Common), settings::Error> {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let settings = Settings::load(service, self.config.as_deref(), environment, &self.set)?;
        let mut common = settings.common()?;
        common.log = self.log.clone().or(common.log);
        common.log_json = self.log_json.then_some(true).or(common.log_json);
        let named = |endpoint: &String| !endpoint.is_empty();
        common.otlp_endpoint = self.otlp_endpoint.clone().or(common.otlp_endpoint).filter(named);
        Ok((settings, common))
    }
}

/// Runs a service to its end: the whole `main` of the process.
pub fn main<S: Service>(arguments: Arguments) -> ExitCode {
    match start::<S>(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Telemetry may not have started, and the line must not be lost.
            eprintln!("gantryd {}: {}", S::DESCRIPTOR.name, gantry_rpc::chain(error.as_ref()));
            ExitCode::from(exit::code(error.as_ref()))
        }
    }
}

fn start<S: Service>(arguments: Arguments) -> Result<(), BoxError> {
    let roots = arguments.roots.resolve()?;
    let name = S::DESCRIPTOR.name;
    let (settings, common) = arguments.settings(name)?;
    let mut confinement = Confinement::of(S::DESCRIPTOR, &roots, S::named(&settings.parse()?));
    if common.otlp_endpoint.is_some() {
        confinement = confinement.connecting();
    }
    let layers = Layers::new();
    gantry_host::memory::share_arena();
    let lock = roots.claim(name)?;
    let refusal = roots.refusal(name);
    privileges::drop_to(&S::DESCRIPTOR.privileges)?;
    // Read here, because the confinement forbids it later.
    let workers = std::thread::available_parallelism().map_or(2, |count| count.get().clamp(2, 8));
    let confined = confinement.apply()?;

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .max_blocking_threads(64)
        .thread_name(name)
        .enable_all()
        .build()?;
    let exporter = {
        let _within = runtime.enter();
        telemetry::start(name, &common)?
    };
    let result = runtime.block_on(async {
        match open_files::raise() {
            Ok(limit) => tracing::debug!(service = name, ?limit, "as many files may be open"),
            // The service works with fewer open files too.
            Err(error) => {
                tracing::warn!(service = name, error = %gantry_rpc::chain(&error), "few files may be open")
            }
        }
        for missing in &confined.missing {
            tracing::info!(service = name, "{missing}");
        }
        let layers = layers.with(&common, &roots.state_of(name))?;
        let context = Context::new(name, roots, settings, layers)?;
        context.end_when_replaced(confined.watched);
        gantry_rpc::carry::beside(heap::keep_small());
        S::run(context).await
    });
    if let Err(error) = &result {
        refusal::note(&refusal, error.as_ref());
        tracing::error!(error = %gantry_rpc::chain(error.as_ref()), "service ended");
    }
    exporter.finish();
    // Blocking work that does not end (a read from a dead disk) must not keep the process alive.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    drop(lock);
    result
}
