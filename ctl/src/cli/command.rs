//! The arguments of the commands that are about containers, images, volumes and networks.

mod images;
mod networks;
mod volumes;

use std::path::PathBuf;

use clap::Args;

pub use images::{Image, Images, Load, Login, Pull, Push, Save};
pub use networks::{Net, NetConnect, NetCreate};
pub use volumes::Volume;

use super::container::{ContainerOptions, Limits};

/// Which rows a list shows, and how.
#[derive(Debug, Args)]
pub struct Listed {
    /// Only those for which this holds.
    #[arg(short, long = "filter", value_name = "KEY=VALUE")]
    pub filters: Vec<String>,
    /// Only names or ids.
    #[arg(short, long)]
    pub quiet: bool,
    /// `{{.Field}}` as often as wanted, with text around; `table …` for columns with titles; `json`.
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Whole ids and commands.
    #[arg(long)]
    pub no_trunc: bool,
}

#[derive(Debug, Args)]
pub struct Run {
    /// Returns when it runs, and prints its id.
    #[arg(short, long)]
    pub detach: bool,
    #[command(flatten)]
    pub options: ContainerOptions,
}

#[derive(Debug, Args)]
pub struct Start {
    #[arg(required = true)]
    pub containers: Vec<String>,
    /// Shows its output, passes signals on, and ends as it does.
    #[arg(short, long)]
    pub attach: bool,
    /// Gives it our input as well.
    #[arg(short, long)]
    pub interactive: bool,
}

#[derive(Debug, Args)]
pub struct Stop {
    #[arg(required = true)]
    pub containers: Vec<String>,
    /// Seconds until SIGKILL; -1 for ever.
    #[arg(short, long, visible_alias = "timeout", allow_hyphen_values = true)]
    pub time: Option<i64>,
    /// In place of the container's own.
    #[arg(short, long)]
    pub signal: Option<String>,
}

#[derive(Debug, Args)]
pub struct Kill {
    #[arg(required = true)]
    pub containers: Vec<String>,
    /// A name or a number.
    #[arg(short, long, default_value = "KILL")]
    pub signal: String,
}

#[derive(Debug, Args)]
pub struct Ps {
    /// Those that have ended too.
    #[arg(short, long)]
    pub all: bool,
    /// The last N that were made.
    #[arg(short = 'n', long, value_name = "N")]
    pub last: Option<i64>,
    /// The last one that was made.
    #[arg(short, long, conflicts_with = "last")]
    pub latest: bool,
    /// What each has written.
    #[arg(short, long)]
    pub size: bool,
    #[command(flatten)]
    pub listed: Listed,
}

#[derive(Debug, Args)]
pub struct Logs {
    pub container: String,
    /// Goes on until the container ends.
    #[arg(short, long)]
    pub follow: bool,
    /// The last lines only; `all` for all.
    #[arg(short = 'n', long, value_name = "N")]
    pub tail: Option<String>,
    /// With the time of each line.
    #[arg(short, long)]
    pub timestamps: bool,
    /// From a time on: RFC 3339, unix seconds, or so long ago, as in 10m.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Up to a time.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

#[derive(Debug, Args)]
pub struct Exec {
    /// Returns when it runs.
    #[arg(short, long)]
    pub detach: bool,
    /// Keeps its input open.
    #[arg(short, long)]
    pub interactive: bool,
    /// With a terminal.
    #[arg(short, long)]
    pub tty: bool,
    /// A variable; without a value, with that of this environment.
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,
    /// Variables, one a line.
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,
    /// Where it starts.
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// As whom.
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,
    /// With all rights of the host's root.
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
    /// The same.
    pub target: String,
    /// Follows a link that is the source.
    #[arg(short = 'L', long)]
    pub follow_link: bool,
    /// With owners.
    #[arg(short, long)]
    pub archive: bool,
    /// Says nothing when all is copied.
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub struct Stats {
    /// All that run, if none is named.
    pub containers: Vec<String>,
    /// Those that do not run too.
    #[arg(short, long)]
    pub all: bool,
    /// Once, instead of again and again.
    #[arg(long)]
    pub no_stream: bool,
    /// `{{.Field}}` as often as wanted; `table …`; `json`.
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Whole ids.
    #[arg(long)]
    pub no_trunc: bool,
}

#[derive(Debug, Args)]
pub struct Update {
    #[arg(required = true)]
    pub containers: Vec<String>,
    /// What follows its end: no, always, unless-stopped, on-failure[:N].
    #[arg(long, value_name = "POLICY")]
    pub restart: Option<String>,
    #[command(flatten)]
    pub limits: Limits,
}

#[derive(Debug, Args)]
pub struct Events {
    /// From a time on: RFC 3339, unix seconds, or so long ago, as in 10m.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Up to a time; ends then.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Only those for which this holds: type, event, container, image, network, volume, label.
    #[arg(short, long = "filter", value_name = "KEY=VALUE")]
    pub filters: Vec<String>,
    /// Those of health probes' processes too.
    #[arg(long)]
    pub probes: bool,
}

/// What is removed because nobody uses it.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Prune {
    /// Without asking.
    #[arg(short, long)]
    pub force: bool,
    /// Only those for which this holds: until=TIME, label=…, label!=….
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
    /// Anonymous volumes too.
    #[arg(long)]
    pub volumes: bool,
}
