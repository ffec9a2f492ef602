//! The arguments of the commands for containers, images, volumes and networks.

mod images;
mod networks;
mod volumes;

use std::path::PathBuf;

use clap::Args;

pub use images::{Image, Images, Load, Login, Pull, Push, Save};
pub use networks::{Net, NetConnect, NetCreate};
pub use volumes::Volume;

use super::container::{ContainerOptions, Limits};

/// Which rows a list has, and how to print them.
#[derive(Debug, Args)]
pub struct Listed {
    /// Only rows for which this holds.
    #[arg(short, long = "filter", value_name = "KEY=VALUE")]
    pub filters: Vec<String>,
    /// Prints only names or ids.
    #[arg(short, long)]
    pub quiet: bool,
    /// `{{.Field}}` any number of times, with text around; `table …` for columns with titles; `json`.
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Does not shorten ids and commands.
    #[arg(long)]
    pub no_trunc: bool,
}

#[derive(Debug, Args)]
pub struct Run {
    /// Returns when the container runs, and prints its id.
    #[arg(short, long)]
    pub detach: bool,
    #[command(flatten)]
    pub options: ContainerOptions,
}

#[derive(Debug, Args)]
pub struct Start {
    #[arg(required = true)]
    pub containers: Vec<String>,
    /// Shows the container's output, passes signals on, and ends with its exit code.
    #[arg(short, long)]
    pub attach: bool,
    /// Also passes standard input on.
    #[arg(short, long)]
    pub interactive: bool,
}

#[derive(Debug, Args)]
pub struct Stop {
    #[arg(required = true)]
    pub containers: Vec<String>,
    /// Seconds until SIGKILL; -1 for no limit.
    #[arg(short, long, visible_alias = "timeout", allow_hyphen_values = true)]
    pub time: Option<i64>,
    /// The signal, in place of the container's own.
    #[arg(short, long)]
    pub signal: Option<String>,
}

#[derive(Debug, Args)]
pub struct Kill {
    #[arg(required = true)]
    pub containers: Vec<String>,
    /// The signal's name or number.
    #[arg(short, long, default_value = "KILL")]
    pub signal: String,
}

#[derive(Debug, Args)]
pub struct Ps {
    /// Also ended containers.
    #[arg(short, long)]
    pub all: bool,
    /// The last N that were created.
    #[arg(short = 'n', long, value_name = "N")]
    pub last: Option<i64>,
    /// The last one that was created.
    #[arg(short, long, conflicts_with = "last")]
    pub latest: bool,
    /// The size of what each has written.
    #[arg(short, long)]
    pub size: bool,
    #[command(flatten)]
    pub listed: Listed,
}

#[derive(Debug, Args)]
pub struct Logs {
    pub container: String,
    /// Continues until the container ends.
    #[arg(short, long)]
    pub follow: bool,
    /// Only the last lines; `all` for all.
    #[arg(short = 'n', long, value_name = "N")]
    pub tail: Option<String>,
    /// Adds the time to each line.
    #[arg(short, long)]
    pub timestamps: bool,
    /// From a time on: RFC 3339, unix seconds, or a duration before now, as in 10m.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Up to a time.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

#[derive(Debug, Args)]
pub struct Exec {
    /// Returns when the process runs.
    #[arg(short, long)]
    pub detach: bool,
    /// Keeps the process's input open.
    #[arg(short, long)]
    pub interactive: bool,
    /// Gives the process a terminal.
    #[arg(short, long)]
    pub tty: bool,
    /// A variable; without a value, it has the value in this environment.
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,
    /// Variables, one a line.
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,
    /// The process's working directory.
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// The process's user, and its group.
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,
    /// Gives the process all of root's rights.
    #[arg(long)]
    pub privileged: bool,
    pub container: String,
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Cp {
    /// PATH, CONTAINER:PATH, or - for a tar.
    pub source: String,
    /// The same for the destination.
    pub target: String,
    /// Follows a link that is the source.
    #[arg(short = 'L', long)]
    pub follow_link: bool,
    /// Keeps owners.
    #[arg(short, long)]
    pub archive: bool,
    /// Prints nothing when the copy is complete.
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub struct Stats {
    /// The containers [default: all that run].
    pub containers: Vec<String>,
    /// Also containers that do not run.
    #[arg(short, long)]
    pub all: bool,
    /// Prints one sample and ends.
    #[arg(long)]
    pub no_stream: bool,
    /// `{{.Field}}` any number of times; `table …`; `json`.
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Does not shorten ids.
    #[arg(long)]
    pub no_trunc: bool,
}

#[derive(Debug, Args)]
pub struct Update {
    #[arg(required = true)]
    pub containers: Vec<String>,
    /// What to do when the container ends: no, always, unless-stopped, on-failure[:N].
    #[arg(long, value_name = "POLICY")]
    pub restart: Option<String>,
    #[command(flatten)]
    pub limits: Limits,
}

#[derive(Debug, Args)]
pub struct Events {
    /// From a time on: RFC 3339, unix seconds, or a duration before now, as in 10m.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Up to a time; then ends.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Only events for which this holds: type, event, container, image, network, volume, label.
    #[arg(short, long = "filter", value_name = "KEY=VALUE")]
    pub filters: Vec<String>,
    /// Also events of health probes' processes.
    #[arg(long)]
    pub probes: bool,
}

/// How to prune.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Prune {
    /// Does not ask first.
    #[arg(short, long)]
    pub force: bool,
    /// Only objects for which this holds: until=TIME, label=…, label!=….
    #[arg(long = "filter", value_name = "KEY=VALUE")]
    pub filters: Vec<String>,
}

#[derive(Debug, Args)]
pub struct SystemPrune {
    #[command(flatten)]
    pub prune: Prune,
    /// All images that no container uses, not only those without a name.
    #[arg(short, long)]
    pub all: bool,
    /// Also anonymous volumes.
    #[arg(long)]
    pub volumes: bool,
}
