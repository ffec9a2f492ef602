//! What every service process needs, in the order in which it happens:
//!
//! 1. arguments: the two roots, the log level ([`Arguments`]);
//! 2. the state directory is made and locked, so that no second process opens it ([`roots`]);
//! 3. privileges are dropped to what the service's row in the design's table says ([`privileges`]);
//! 4. telemetry starts ([`telemetry`]), then the runtime;
//! 5. [`Service::run`] opens its store, reconciles, and calls [`Context::serve`];
//! 6. health turns to `SERVING`; SIGTERM or SIGINT ends it: calls in flight are
//!    given a moment, long ones are cut.
//!
//! A service is killed as often as it is stopped: nothing may depend on step 6.

mod context;
mod metrics;
pub mod privileges;
pub mod roots;
mod serve;
mod telemetry;

pub use context::Context;
pub use gantry_rpc::BoxError;
pub use metrics::Registry;
pub use privileges::Privileges;
pub use roots::Roots;

use std::process::ExitCode;

/// A service: what `gantryd NAME` runs.
pub trait Service: Send + 'static {
    /// The subcommand, the socket's name, the state directory's name.
    const NAME: &'static str;
    /// One line for the help text.
    const ABOUT: &'static str;
    /// What the process keeps after it has started.
    const PRIVILEGES: Privileges;

    /// Opens the store, reconciles it with the world, and serves until the
    /// context's shutdown. An error ends the process; the supervisor starts it again.
    fn run(context: Context) -> impl Future<Output = Result<(), BoxError>> + Send;
}

/// The arguments that every service takes.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Arguments {
    #[command(flatten)]
    pub roots: roots::Arguments,
    /// What to log, as in `info,gantry_content=debug`.
    #[arg(long, env = "GANTRY_LOG", default_value = "info")]
    pub log: String,
    /// Logs as JSON, one object a line.
    #[arg(long, env = "GANTRY_LOG_JSON")]
    pub log_json: bool,
    /// The service's settings.
    #[arg(long, value_name = "FILE")]
    pub config: Option<std::path::PathBuf>,
}

/// Runs a service to its end: the whole of its `main`.
pub fn main<S: Service>(arguments: Arguments) -> ExitCode {
    match start::<S>(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Telemetry may not have started: this line must not be lost.
            eprintln!("gantryd {}: {}", S::NAME, gantry_rpc::chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn start<S: Service>(arguments: Arguments) -> Result<(), BoxError> {
    let roots = arguments.roots.resolve()?;
    let lock = roots.claim(S::NAME)?;
    privileges::drop_to(&S::PRIVILEGES)?;
    telemetry::start(S::NAME, &arguments)?;

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(std::thread::available_parallelism().map_or(2, |count| count.get().clamp(2, 8)))
        .max_blocking_threads(64)
        .thread_name(S::NAME)
        .enable_all()
        .build()?;
    let result = runtime.block_on(async {
        let context = Context::new(S::NAME, roots, arguments.config.as_deref())?;
        S::run(context).await
    });
    if let Err(error) = &result {
        tracing::error!(error = %gantry_rpc::chain(error.as_ref()), "service ended");
    }
    // Blocking work that does not end (a read from a dead disk) must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    drop(lock);
    result
}
