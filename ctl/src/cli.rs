//! The command line.

pub mod command;
pub mod container;
pub mod help;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use gantry_daemon::roots;

use command::{
    Cp, Events, Exec, Image, Images, Kill, Load, Login, Logs, Net, Ps, Pull, Push, Run, Save, Start, Stats,
    Stop, SystemPrune, Update, Volume,
};
use container::ContainerOptions;

/// Runs containers.
#[derive(Parser)]
#[command(name = "gantry", version, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    pub roots: roots::Arguments,
    /// Prints objects as JSON, one document a line.
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Starts all services and watches over them.
    Up(Up),
    /// Stops the services; containers go on running.
    Down {
        /// Stops the containers too, and takes bridges and packet filter away.
        #[arg(long)]
        all: bool,
        /// Stops the containers, and nothing else: those with a restart policy come back with the services.
        #[arg(long, conflicts_with = "all")]
        containers: bool,
    },
    /// Shows each service: pid, health, memory, uptime.
    Status,
    /// Prints what the services count, as Prometheus reads it.
    Metrics {
        /// One service's alone.
        service: Option<String>,
    },
    /// Makes a container from an image, and starts it.
    #[command(disable_help_flag = true)]
    Run(Box<Run>),
    /// Makes a container, and prints its id.
    #[command(disable_help_flag = true)]
    Create(Box<ContainerOptions>),
    /// Starts containers.
    Start(Start),
    /// Stops containers.
    Stop(Stop),
    /// Stops containers and starts them again.
    Restart(Stop),
    /// Sends a signal to containers.
    Kill(Kill),
    /// Freezes containers.
    Pause {
        #[arg(required = true)]
        containers: Vec<String>,
    },
    /// Lets frozen containers go on.
    Unpause {
        #[arg(required = true)]
        containers: Vec<String>,
    },
    /// Waits for containers to end, and prints their exit codes.
    Wait {
        #[arg(required = true)]
        containers: Vec<String>,
    },
    /// Gives a container another name.
    Rename { container: String, name: String },
    /// Changes limits and restart policies.
    Update(Update),
    /// Removes containers.
    Rm {
        #[arg(required = true)]
        containers: Vec<String>,
        /// Kills a running one first. One that is not there is no error then.
        #[arg(short, long)]
        force: bool,
        /// Its anonymous volumes too.
        #[arg(short, long)]
        volumes: bool,
    },
    /// Lists containers.
    Ps(Ps),
    /// Prints a container's output.
    Logs(Logs),
    /// Runs a further process in a container.
    Exec(Exec),
    /// Copies files between a container and here.
    Cp(Cp),
    /// Shows what containers use.
    Stats(Stats),
    /// Lists the processes of a container.
    Top {
        container: String,
        /// Arguments of ps(1) that choose columns.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        ps: Vec<String>,
    },
    /// Lists images.
    Images(Images),
    /// Pulls an image from a registry.
    Pull(Pull),
    /// Pushes an image to a registry.
    Push(Push),
    /// Gives an image a further name.
    Tag { source: String, target: String },
    /// Removes images.
    Rmi {
        #[arg(required = true)]
        references: Vec<String>,
        /// Even when several names or stopped containers use it.
        #[arg(short, long)]
        force: bool,
    },
    /// Writes images into a tar.
    Save(Save),
    /// Reads images from a tar.
    Load(Load),
    /// Keeps credentials for a registry, once it has accepted them.
    Login(Login),
    /// Forgets them.
    Logout {
        /// Docker's, if none is named.
        server: Option<String>,
    },
    /// Images as files of a root, and unused ones.
    Image {
        #[command(subcommand)]
        command: Image,
    },
    /// Volumes.
    Volume {
        #[command(subcommand)]
        command: Volume,
    },
    /// Networks.
    #[command(visible_alias = "network")]
    Net {
        #[command(subcommand)]
        command: Net,
    },
    /// Shows all about a container, an image, a volume or a network.
    Inspect {
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Prints what happens, as it happens.
    Events(Events),
    /// Shows the machine and what is on it.
    Info,
    /// Shows what takes room on the disk.
    Df {
        /// Every object.
        #[arg(short, long)]
        verbose: bool,
    },
    /// Removes what nobody uses: containers that have ended, networks, images without a name.
    Prune(SystemPrune),
    /// Compares records with the disk and the kernel.
    Fsck {
        /// Puts right what can be without loss, and lets services go on that have lost records. Never removes volumes.
        #[arg(long)]
        repair: bool,
        /// Does not read the blobs.
        #[arg(long)]
        quick: bool,
    },
    /// Copies of all records, of one moment.
    Backup {
        #[command(subcommand)]
        command: Backup,
    },
    /// Shows the versions of the tool and the services.
    Version,
    /// Prints the completion script of a shell.
    Completion { shell: clap_complete::Shell },
}

impl Command {
    /// Whether it can do nothing without the services.
    pub fn needs_services(&self) -> bool {
        !matches!(
            self,
            Self::Up(_)
                | Self::Down { .. }
                | Self::Status
                | Self::Backup { command: Backup::Restore { .. } }
                | Self::Logout { .. }
                | Self::Version
                | Self::Completion { .. }
        )
    }

    /// Whether it prints objects, as JSON if asked to.
    pub fn prints_objects(&self) -> bool {
        match self {
            Self::Status
            | Self::Ps(_)
            | Self::Stats(_)
            | Self::Top { .. }
            | Self::Images(_)
            | Self::Inspect { .. }
            | Self::Events(_)
            | Self::Info
            | Self::Df { .. }
            | Self::Fsck { .. }
            | Self::Version => true,
            Self::Volume { command } => matches!(command, Volume::Ls { .. } | Volume::Inspect { .. }),
            Self::Net { command } => matches!(command, Net::Ls { .. } | Net::Inspect { .. }),
            _ => false,
        }
    }

    /// The exit code when it fails before a container has one: Docker's where Docker has the command.
    pub fn failure(&self) -> u8 {
        match self {
            Self::Run(_)
            | Self::Up(_)
            | Self::Down { .. }
            | Self::Status
            | Self::Metrics { .. }
            | Self::Fsck { .. }
            | Self::Backup { .. }
            | Self::Completion { .. } => USAGE,
            _ => 1,
        }
    }
}

/// The exit code of a command line that makes no sense, and of what fails in Gantry rather than in a container.
pub const USAGE: u8 = 125;

#[derive(Args)]
pub struct Up {
    /// Returns when everything is ready.
    #[arg(short, long)]
    pub detach: bool,
    /// What the services log, as in `info,gantry_content=debug`.
    #[arg(long)]
    pub log: Option<String>,
    /// The services' settings: DIR/SERVICE.toml, each optional [default: /etc/gantry].
    #[arg(long, value_name = "DIR")]
    pub config: Option<PathBuf>,
}

impl Up {
    /// What the services are told of it; the rest they find in the environment.
    pub fn options(&self) -> Vec<OsString> {
        let mut options = Vec::new();
        for (name, value) in [
            ("--log", self.log.as_ref().map(OsString::from)),
            ("--config", self.config.as_ref().map(OsString::from)),
        ] {
            options.extend(value.map(|value| [name.into(), value]).into_iter().flatten());
        }
        options
    }
}

#[derive(Subcommand)]
pub enum Backup {
    /// Writes one while everything runs: into a new directory, or into a file if the name ends with `.tar`.
    Create {
        destination: PathBuf,
        /// With the bytes that records refer to: blobs, layers, containers' roots and logs, volumes. Into a directory
        /// only. What is written meanwhile may be in it or not.
        #[arg(long)]
        data: bool,
    },
    /// Brings one back, while nothing runs.
    Restore {
        source: PathBuf,
        /// In place of what is there, which is set aside.
        #[arg(long)]
        force: bool,
    },
}
