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
    /// Starts all services and restarts those that fail.
    Up(Up),
    /// Stops the services; containers go on running.
    Down {
        /// Also stops the containers, and removes bridges and packet filter rules.
        #[arg(long)]
        all: bool,
        /// Only stops the containers; those with a restart policy start again with the services.
        #[arg(long, conflicts_with = "all")]
        containers: bool,
    },
    /// Shows each service: pid, health, memory, uptime.
    Status,
    /// Prints the services' metrics, in the format of Prometheus.
    Metrics {
        /// Only this service's metrics.
        service: Option<String>,
    },
    /// Creates a container from an image, and starts it.
    #[command(disable_help_flag = true)]
    Run(Box<Run>),
    /// Creates a container, and prints its id.
    #[command(disable_help_flag = true)]
    Create(Box<ContainerOptions>),
    /// Starts containers.
    Start(Start),
    /// Stops containers.
    Stop(Stop),
    /// Restarts containers.
    Restart(Stop),
    /// Sends a signal to containers.
    Kill(Kill),
    /// Pauses containers.
    Pause {
        #[arg(required = true)]
        containers: Vec<String>,
    },
    /// Resumes paused containers.
    Unpause {
        #[arg(required = true)]
        containers: Vec<String>,
    },
    /// Waits until containers end, and prints their exit codes.
    Wait {
        #[arg(required = true)]
        containers: Vec<String>,
    },
    /// Renames a container.
    Rename { container: String, name: String },
    /// Changes the limits and restart policies of containers.
    Update(Update),
    /// Removes containers.
    Rm {
        #[arg(required = true)]
        containers: Vec<String>,
        /// Kills a running container first; a missing one is no error.
        #[arg(short, long)]
        force: bool,
        /// Also removes its anonymous volumes.
        #[arg(short, long)]
        volumes: bool,
    },
    /// Lists containers.
    Ps(Ps),
    /// Prints a container's output.
    Logs(Logs),
    /// Runs another process in a container.
    Exec(Exec),
    /// Copies files between a container and the local file system.
    Cp(Cp),
    /// Shows the resource usage of containers.
    Stats(Stats),
    /// Lists the processes of a container.
    Top {
        container: String,
        /// Arguments for ps(1) that choose columns.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        ps: Vec<String>,
    },
    /// Lists images.
    Images(Images),
    /// Pulls an image from a registry.
    Pull(Pull),
    /// Pushes an image to a registry.
    Push(Push),
    /// Gives an image another name.
    Tag { source: String, target: String },
    /// Removes images.
    Rmi {
        #[arg(required = true)]
        references: Vec<String>,
        /// Also if several names or stopped containers use it.
        #[arg(short, long)]
        force: bool,
    },
    /// Writes images into a tar.
    Save(Save),
    /// Loads images from a tar.
    Load(Load),
    /// Checks credentials for a registry, and stores them.
    Login(Login),
    /// Removes the stored credentials for a registry.
    Logout {
        /// The registry [default: Docker Hub].
        server: Option<String>,
    },
    /// Imports and prunes images.
    Image {
        #[command(subcommand)]
        command: Image,
    },
    /// Manages volumes.
    Volume {
        #[command(subcommand)]
        command: Volume,
    },
    /// Manages networks.
    #[command(visible_alias = "network")]
    Net {
        #[command(subcommand)]
        command: Net,
    },
    /// Shows details of a container, an image, a volume or a network.
    Inspect {
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Prints events as they happen.
    Events(Events),
    /// Shows facts about the machine and counts of its objects.
    Info,
    /// Shows the use of disk space.
    Df {
        /// Lists every object.
        #[arg(short, long)]
        verbose: bool,
    },
    /// Removes unused objects: ended containers, networks, images without a name.
    Prune(SystemPrune),
    /// Compares records with the disk and the kernel.
    Fsck {
        /// Repairs what it can without loss, and lets services start that have lost records. Never removes volumes.
        #[arg(long)]
        repair: bool,
        /// Does not read the blobs.
        #[arg(long)]
        quick: bool,
    },
    /// Backs up and restores the records of all services.
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
    /// Whether the command can do nothing without the services.
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

    /// Whether the command prints objects, as JSON with `--json`.
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

    /// The exit code of a failure before a container has an exit code: Docker's, for commands that Docker has, too.
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

/// The exit code of a wrong command line, and of a failure of Gantry rather than of a container.
pub const USAGE: u8 = 125;

#[derive(Args)]
pub struct Up {
    /// Returns when everything is ready.
    #[arg(short, long)]
    pub detach: bool,
    /// The services' log level, as in `info,gantry_content=debug`.
    #[arg(long)]
    pub log: Option<String>,
    /// The services' settings: DIR/SERVICE.toml, each optional [default: /etc/gantry].
    #[arg(long, value_name = "DIR")]
    pub config: Option<PathBuf>,
}

impl Up {
    /// The arguments for the services; they find the rest in their environment.
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
    /// Writes a backup while the services run: into a new directory, or into a file if the name ends with `.tar`.
    Create {
        destination: PathBuf,
        /// Also copies the bytes that records refer to: blobs, layers, containers' roots and logs, volumes. Into a directory
        /// only. The backup may or may not have what is written meanwhile.
        #[arg(long)]
        data: bool,
    },
    /// Restores a backup, while nothing runs.
    Restore {
        source: PathBuf,
        /// Replaces the state that is there; it is moved aside.
        #[arg(long)]
        force: bool,
    },
}
