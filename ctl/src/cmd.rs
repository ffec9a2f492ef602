//! The commands, one file each.

mod backup;
mod completion;
mod containers;
mod down;
mod events;
mod exec;
mod fsck;
mod images;
mod inspect;
mod logs;
mod metrics;
mod net;
mod pull;
mod run;
mod status;
mod up;
mod version;

use anyhow::Result;
use gantry_api::Peers;
use gantry_daemon::Roots;
use gantry_types::Namespace;

use crate::cli::{Backup, Cli, Command, Image, Net};
use crate::output::Format;

/// The exit code of a command that failed; those of containers are passed on.
pub const FAILED: u8 = 125;

/// What every command works with.
pub struct Session {
    pub roots: Roots,
    pub peers: Peers,
    pub format: Format,
}

impl Session {
    /// The containerd namespace of Docker's objects.
    pub fn namespace(&self) -> Namespace {
        "moby".parse().expect("an identifier")
    }

    /// A request in that namespace.
    pub fn request<T>(&self, message: T) -> tonic::Request<T> {
        gantry_rpc::context::with_namespace(message, &self.namespace())
    }
}

/// Runs a command; its exit code.
pub async fn run(cli: Cli) -> Result<u8> {
    let roots = cli.roots.resolve()?;
    let session = Session {
        peers: Peers::new(&roots.run),
        roots,
        format: if cli.json { Format::Json } else { Format::Table },
    };
    match cli.command {
        Command::Up(arguments) => up::run(&session, &arguments).await?,
        Command::Down { containers: true, .. } => down::containers(&session).await?,
        Command::Down { all, .. } => down::run(&session, all).await?,
        Command::Status => return status::run(&session).await,
        Command::Metrics { service } => metrics::run(&session, service.as_deref()).await?,
        Command::Run(arguments) => return run::run(&session, arguments).await,
        Command::Ps { all, quiet } => containers::list(&session, all, quiet).await?,
        Command::Logs { container, follow, tail, timestamps } => {
            logs::run(&session, container, follow, tail.unwrap_or(-1), timestamps).await?;
        }
        Command::Exec(arguments) => return exec::run(&session, arguments).await,
        Command::Stop { containers, time } => {
            return containers::stop(&session, &containers, time).await;
        }
        Command::Rm { containers, force, volumes } => {
            return containers::remove(&session, &containers, force, volumes).await;
        }
        Command::Images { quiet } => images::list(&session, quiet).await?,
        Command::Pull { reference, platform } => {
            pull::run(&session, reference, platform.unwrap_or_default()).await?;
        }
        Command::Rmi { references, force } => {
            return images::remove(&session, &references, force).await;
        }
        Command::Inspect { names } => return inspect::run(&session, &names).await,
        Command::Image { command: Image::Import { file, reference, change } } => {
            images::import(&session, &file, reference, change).await?;
        }
        Command::Net { command: Net::Ls } => net::list(&session).await?,
        Command::Events => events::run(&session).await?,
        Command::Fsck { repair, quick } => return fsck::run(&session, repair, quick).await,
        Command::Backup { command: Backup::Create { destination, data } } => {
            backup::create(&session, &destination, data).await?;
        }
        Command::Backup { command: Backup::Restore { source, force } } => {
            backup::restore(&session, &source, force).await?;
        }
        Command::Version => version::run(&session).await?,
        Command::Completion { shell } => completion::run(shell),
    }
    Ok(0)
}
