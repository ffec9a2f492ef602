//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use gantry_daemon::roots;

/// Runs containers.
#[derive(Parser)]
#[command(name = "gantry", version, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    pub roots: roots::Arguments,
    /// Prints JSON.
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
    /// Runs a container from an image.
    Run(Run),
    /// Lists containers.
    Ps {
        /// Those that have ended too.
        #[arg(short, long)]
        all: bool,
        /// Only ids.
        #[arg(short, long)]
        quiet: bool,
    },
    /// Prints a container's output.
    Logs {
        container: String,
        /// Goes on until the container ends.
        #[arg(short, long)]
        follow: bool,
        /// The last lines only.
        #[arg(long, value_name = "N")]
        tail: Option<i64>,
        /// With the time of each line.
        #[arg(short, long)]
        timestamps: bool,
    },
    /// Runs a further process in a container.
    Exec(Exec),
    /// Stops containers.
    Stop {
        #[arg(required = true)]
        containers: Vec<String>,
        /// Seconds until SIGKILL.
        #[arg(short, long)]
        time: Option<i64>,
    },
    /// Removes containers.
    Rm {
        #[arg(required = true)]
        containers: Vec<String>,
        /// Kills a running one first.
        #[arg(short, long)]
        force: bool,
        /// Its anonymous volumes too.
        #[arg(short, long)]
        volumes: bool,
    },
    /// Lists images.
    Images {
        /// Only ids.
        #[arg(short, long)]
        quiet: bool,
    },
    /// Pulls an image from a registry.
    Pull {
        reference: String,
        /// os/arch[/variant]
        #[arg(long)]
        platform: Option<String>,
    },
    /// Removes images.
    Rmi {
        #[arg(required = true)]
        references: Vec<String>,
        /// Even when several names or stopped containers use it.
        #[arg(short, long)]
        force: bool,
    },
    /// Shows all about a container, an image or a network.
    Inspect {
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Images as files.
    Image {
        #[command(subcommand)]
        command: Image,
    },
    /// Networks.
    Net {
        #[command(subcommand)]
        command: Net,
    },
    /// Prints what happens, as it happens.
    Events,
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

#[derive(Args)]
pub struct Run {
    /// Returns when it runs, and prints its id.
    #[arg(short, long)]
    pub detach: bool,
    /// Removes it when it has ended.
    #[arg(long)]
    pub rm: bool,
    /// Keeps its input open.
    #[arg(short, long)]
    pub interactive: bool,
    /// With a terminal.
    #[arg(short, long)]
    pub tty: bool,
    #[arg(long)]
    pub name: Option<String>,
    /// NAME=VALUE
    #[arg(short, long)]
    pub env: Vec<String>,
    /// [address:][port:]port[/protocol]
    #[arg(short, long)]
    pub publish: Vec<String>,
    /// source:target[:options]
    #[arg(short, long)]
    pub volume: Vec<String>,
    #[arg(short, long)]
    pub workdir: Option<String>,
    #[arg(short, long)]
    pub user: Option<String>,
    #[arg(long, default_value = "default")]
    pub network: String,
    pub image: String,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}

#[derive(Args)]
pub struct Exec {
    #[arg(short, long)]
    pub interactive: bool,
    #[arg(short, long)]
    pub tty: bool,
    /// NAME=VALUE
    #[arg(short, long)]
    pub env: Vec<String>,
    #[arg(short, long)]
    pub workdir: Option<String>,
    #[arg(short, long)]
    pub user: Option<String>,
    pub container: String,
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}

#[derive(Subcommand)]
pub enum Image {
    /// Makes an image of a root file system's tar.
    Import {
        /// The tar, maybe compressed; `-` for standard input.
        file: PathBuf,
        /// The image's name.
        reference: String,
        /// Dockerfile instructions, as in `CMD ["/bin/sh"]`.
        #[arg(short, long)]
        change: Vec<String>,
    },
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

#[derive(Subcommand)]
pub enum Net {
    /// Lists networks.
    Ls,
}
