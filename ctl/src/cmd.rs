//! The commands, one file each.

mod archives;
mod backup;
mod completion;
mod cp;
mod create;
mod df;
mod down;
mod events;
mod exec;
mod foreground;
mod fsck;
mod images;
mod info;
mod inspect;
mod lifecycle;
mod login;
mod logs;
mod metrics;
mod net;
mod progress;
mod prune;
mod ps;
mod pull;
mod push;
mod run;
mod start;
mod stats;
mod status;
mod top;
mod up;
mod update;
mod version;
mod volume;

use std::fmt;

use anyhow::{Result, bail};
use gantry_api::Peers;
use gantry_api::engine::system::{Inspect as _, Publish as _};
use gantry_api::engine::{Event, Info, containers, execs, system};
use gantry_daemon::Roots;
use gantry_types::Namespace;
use tonic::Status;

use crate::cli::command::{Image, Net, Volume};
use crate::cli::{Backup, Cli, Command};
use crate::output::{self, Format};
use crate::presence;

/// What every command needs.
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

    /// Containers.
    pub fn containers(&self) -> containers::Client {
        containers::Client::new(&self.peers)
    }

    /// Further processes in containers.
    pub fn execs(&self) -> execs::Client {
        execs::Client::new(&self.peers)
    }

    /// Images, which are in that namespace.
    pub fn images(&self) -> gantry_api::images::Client {
        gantry_api::images::Client::new(&self.peers)
    }

    /// Networks.
    pub fn networks(&self) -> gantry_api::network::Client {
        gantry_api::network::Client::new(&self.peers)
    }

    /// Counts and settings of the engine.
    pub async fn info(&self) -> Result<Info, Status> {
        self.system().info().await.map_err(said)
    }

    /// The engine as a whole.
    pub fn system(&self) -> system::Client {
        system::Client::new(&self.peers)
    }

    /// Adds an event of another service to the engine's event log. A failure is ignored, because the event's cause is done in any case.
    pub async fn tell(&self, event: Event) {
        if let Err(failure) = self.system().publish(event).await {
            output::note(format_args!("the event is not recorded: {}", failure.status.message()));
        }
    }
}

/// A service's refusal; its message is for the user.
pub fn said(failure: gantry_api::Failure) -> Status {
    *failure.status
}

/// A failure with an exit code of its own.
#[derive(Debug)]
pub struct Coded {
    pub code: u8,
    pub words: String,
}

impl fmt::Display for Coded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for Coded {}

/// The exit code of a failure.
pub fn code_of(error: &anyhow::Error) -> Option<u8> {
    error.downcast_ref::<Coded>().map(|coded| coded.code)
}

/// The results of a command on several objects: it prints each failure, and the command fails at the end.
#[derive(Debug, Default)]
pub struct Outcome(u8);

impl Outcome {
    /// Prints the name, or the failure.
    pub fn report<T>(&mut self, name: &str, result: Result<T, Status>) -> Result<()> {
        match self.succeeded(result) {
            Some(_) => output::line(name),
            None => Ok(()),
        }
    }

    /// Returns the value, or prints the failure.
    pub fn succeeded<T>(&mut self, result: Result<T, Status>) -> Option<T> {
        result.map_err(|status| self.failed(output::explain(&status.into()))).ok()
    }

    /// Prints a failure.
    pub fn failed(&mut self, words: impl fmt::Display) {
        output::note(words);
        self.0 = 1;
    }

    /// The exit code.
    pub fn code(self) -> u8 {
        self.0
    }
}

/// Runs a command and returns its exit code.
pub async fn run(cli: Cli) -> Result<u8> {
    let roots = cli.roots.resolve()?;
    let session = Session {
        peers: Peers::new(&roots.run),
        roots,
        format: if cli.json { Format::Json } else { Format::Table },
    };
    if cli.json && !cli.command.prints_objects() {
        bail!("--json: this command prints no objects");
    }
    if cli.command.needs_services() {
        presence::require(&session.roots).await?;
    }
    match cli.command {
        Command::Up(arguments) => up::run(&session, &arguments).await?,
        Command::Down { containers: true, .. } => down::containers(&session).await?,
        Command::Down { all, .. } => down::run(&session, all).await?,
        Command::Status => return status::run(&session).await,
        Command::Metrics { service } => metrics::run(&session, service.as_deref()).await?,
        Command::Run(arguments) => return run::run(&session, &arguments).await,
        Command::Create(options) => create::run(&session, &options).await?,
        Command::Start(arguments) => return start::run(&session, &arguments).await,
        Command::Stop(arguments) => return lifecycle::stop(&session, &arguments).await,
        Command::Restart(arguments) => return lifecycle::restart(&session, &arguments).await,
        Command::Kill(arguments) => return lifecycle::kill(&session, &arguments).await,
        Command::Pause { containers } => return lifecycle::pause(&session, &containers).await,
        Command::Unpause { containers } => return lifecycle::unpause(&session, &containers).await,
        Command::Wait { containers } => return lifecycle::wait(&session, &containers).await,
        Command::Rename { container, name } => lifecycle::rename(&session, &container, &name).await?,
        Command::Update(arguments) => return update::run(&session, &arguments).await,
        Command::Rm { containers, force, volumes } => {
            return lifecycle::remove(&session, &containers, force, volumes).await;
        }
        Command::Ps(arguments) => ps::run(&session, &arguments).await?,
        Command::Logs(arguments) => logs::run(&session, arguments).await?,
        Command::Exec(arguments) => return exec::run(&session, arguments).await,
        Command::Cp(arguments) => cp::run(&session, &arguments).await?,
        Command::Stats(arguments) => return stats::run(&session, &arguments).await,
        Command::Top { container, ps } => top::run(&session, &container, &ps).await?,
        Command::Images(arguments) => images::list(&session, &arguments).await?,
        Command::Pull(arguments) => pull::run(&session, &arguments).await?,
        Command::Push(arguments) => push::run(&session, &arguments).await?,
        Command::Tag { source, target } => images::tag(&session, &source, &target).await?,
        Command::Rmi { references, force } => {
            return images::remove(&session, &references, force).await;
        }
        Command::Save(arguments) => archives::save(&session, arguments).await?,
        Command::Load(arguments) => archives::load(&session, arguments).await?,
        Command::Login(arguments) => login::login(&session, arguments).await?,
        Command::Logout { server } => login::logout(server.as_deref())?,
        Command::Image { command: Image::Import { file, reference, change } } => {
            archives::import(&session, &file, &reference, change).await?;
        }
        Command::Image { command: Image::Prune { prune, all } } => {
            prune::images(&session, &prune, all).await?;
        }
        Command::Volume { command } => return volume(&session, command).await,
        Command::Net { command } => return net(&session, command).await,
        Command::Inspect { names } => return inspect::run(&session, &names).await,
        Command::Events(arguments) => events::run(&session, &arguments).await?,
        Command::Info => info::run(&session).await?,
        Command::Df { verbose } => df::run(&session, verbose).await?,
        Command::Prune(arguments) => prune::system(&session, &arguments).await?,
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

async fn volume(session: &Session, command: Volume) -> Result<u8> {
    match command {
        Volume::Create { name, driver, options, labels } => {
            volume::create(session, name.unwrap_or_default(), driver, &options, &labels).await?;
        }
        Volume::Ls { listed } => volume::list(session, &listed).await?,
        Volume::Rm { names, force } => return volume::remove(session, &names, force).await,
        Volume::Inspect { names } => return volume::inspect(session, &names).await,
        Volume::Prune { prune, all } => prune::volumes(session, &prune, all).await?,
    }
    Ok(0)
}

async fn net(session: &Session, command: Net) -> Result<u8> {
    match command {
        Net::Create(arguments) => net::create(session, arguments).await?,
        Net::Ls { listed } => net::list(session, &listed).await?,
        Net::Rm { names, force } => return net::remove(session, &names, force).await,
        Net::Connect(arguments) => net::connect(session, arguments).await?,
        Net::Disconnect { network, container, force } => {
            net::disconnect(session, network, container, force).await?;
        }
        Net::Inspect { names } => return net::inspect(session, &names).await,
        Net::Prune { prune } => prune::networks(session, &prune).await?,
    }
    Ok(0)
}
