//! What `run` and `create` may say of a container, by the headings of their help.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

use crate::options::value::{bytes, bytes_or_unlimited, duration, nano_cpus};

/// When an image is pulled before its container is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Pull {
    Always,
    Missing,
    Never,
}

#[derive(Debug, Args)]
pub struct ContainerOptions {
    /// Prints this help.
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    #[command(flatten)]
    pub identity: Identity,
    #[command(flatten)]
    pub process: Process,
    #[command(flatten)]
    pub storage: Storage,
    #[command(flatten)]
    pub network: Networking,
    #[command(flatten)]
    pub limits: Limits,
    #[command(flatten)]
    pub more_limits: MoreLimits,
    #[command(flatten)]
    pub health: Health,
    #[command(flatten)]
    pub security: Security,
    #[command(flatten)]
    pub logging: Logging,
    /// The image.
    pub image: String,
    /// The program and its arguments, in place of the image's.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "The container")]
pub struct Identity {
    /// Its name; one is made up otherwise.
    #[arg(long)]
    pub name: Option<String>,
    /// A label.
    #[arg(short, long = "label", value_name = "KEY[=VALUE]")]
    pub labels: Vec<String>,
    /// Labels, one a line.
    #[arg(long, value_name = "FILE")]
    pub label_file: Vec<PathBuf>,
    /// A note for its runtime.
    #[arg(long = "annotation", value_name = "KEY=VALUE")]
    pub annotations: Vec<String>,
    /// Where its id is written.
    #[arg(long, value_name = "FILE")]
    pub cidfile: Option<PathBuf>,
    /// Removes it when it has ended.
    #[arg(long)]
    pub rm: bool,
    /// What follows its end: no, always, unless-stopped, on-failure[:N].
    #[arg(long, value_name = "POLICY")]
    pub restart: Option<String>,
    /// Whether its image is pulled first.
    #[arg(long, value_enum, default_value = "missing", value_name = "WHEN")]
    pub pull: Pull,
    /// Says nothing of a pull.
    #[arg(short, long)]
    pub quiet: bool,
    /// The image's platform: os/arch[/variant].
    #[arg(long)]
    pub platform: Option<String>,
    /// The OCI runtime.
    #[arg(long)]
    pub runtime: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Its process")]
pub struct Process {
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
    /// The program, in place of the image's; empty for none.
    #[arg(long, value_name = "PROGRAM")]
    pub entrypoint: Option<String>,
    /// Where it starts.
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// As whom: name or number, and group.
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,
    /// A further group.
    #[arg(long, value_name = "GROUP")]
    pub group_add: Vec<String>,
    /// Under an init that reaps and passes signals on.
    #[arg(long)]
    pub init: bool,
    /// What stops it.
    #[arg(long, value_name = "SIGNAL")]
    pub stop_signal: Option<String>,
    /// Seconds between that signal and SIGKILL; -1 for ever.
    #[arg(long, value_name = "SECONDS", allow_hyphen_values = true)]
    pub stop_timeout: Option<i64>,
    /// Whose process ids it sees: host, container:NAME.
    #[arg(long, value_name = "MODE")]
    pub pid: Option<String>,
    /// Whose shared memory it has: none, private, shareable, host, container:NAME.
    #[arg(long, value_name = "MODE")]
    pub ipc: Option<String>,
    /// Whose host name it has: host.
    #[arg(long, value_name = "MODE")]
    pub uts: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Files")]
pub struct Storage {
    /// A volume or a folder of the host: [SOURCE:]TARGET[:OPTIONS].
    #[arg(short, long = "volume", value_name = "VOLUME")]
    pub volumes: Vec<String>,
    /// The same by keys: type=bind|volume|tmpfs|image,source=…,target=…[,readonly,…].
    #[arg(long = "mount", value_name = "MOUNT")]
    pub mounts: Vec<String>,
    /// A folder in memory: TARGET[:OPTIONS].
    #[arg(long, value_name = "TMPFS")]
    pub tmpfs: Vec<String>,
    /// The volumes of another container: NAME[:ro].
    #[arg(long, value_name = "CONTAINER")]
    pub volumes_from: Vec<String>,
    /// Whose volumes those of `-v` are.
    #[arg(long, value_name = "DRIVER")]
    pub volume_driver: Option<String>,
    /// Nothing is written to its root.
    #[arg(long)]
    pub read_only: bool,
    /// A device of the host: PATH[:PATH][:rwm].
    #[arg(long = "device", value_name = "DEVICE")]
    pub devices: Vec<String>,
    /// A rule for devices: `c 10:200 rwm`.
    #[arg(long, value_name = "RULE")]
    pub device_cgroup_rule: Vec<String>,
    /// Of the snapshotter.
    #[arg(long, value_name = "KEY=VALUE")]
    pub storage_opt: Vec<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Networks")]
pub struct Networking {
    /// bridge, host, none, container:NAME, or a network's name; by keys: name=…[,alias=…,ip=…,ip6=…,mac-address=…].
    #[arg(long = "network", visible_alias = "net", value_name = "NETWORK")]
    pub networks: Vec<String>,
    /// A further name there.
    #[arg(long = "network-alias", visible_alias = "net-alias", value_name = "NAME")]
    pub aliases: Vec<String>,
    /// Its IPv4 address.
    #[arg(long, value_name = "ADDRESS")]
    pub ip: Option<String>,
    /// Its IPv6 address.
    #[arg(long, value_name = "ADDRESS")]
    pub ip6: Option<String>,
    /// Its MAC address.
    #[arg(long, value_name = "ADDRESS")]
    pub mac_address: Option<String>,
    /// Another container, by a name: CONTAINER[:ALIAS].
    #[arg(long = "link", value_name = "LINK")]
    pub links: Vec<String>,
    /// A port of the host that leads to one of the container: [ADDRESS:][PORT:]PORT[/PROTOCOL].
    #[arg(short, long, value_name = "PORTS")]
    pub publish: Vec<String>,
    /// All exposed ports, at ports of the host that are free.
    #[arg(short = 'P', long)]
    pub publish_all: bool,
    /// A port that it listens on: PORT[-PORT][/PROTOCOL].
    #[arg(long, value_name = "PORTS")]
    pub expose: Vec<String>,
    /// Its host name.
    #[arg(short = 'h', long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// Its NIS domain name.
    #[arg(long, value_name = "NAME")]
    pub domainname: Option<String>,
    /// A line of its hosts file: NAME:ADDRESS.
    #[arg(long, value_name = "HOST")]
    pub add_host: Vec<String>,
    /// Who answers its names.
    #[arg(long, value_name = "ADDRESS")]
    pub dns: Vec<std::net::IpAddr>,
    /// Where short names are looked for.
    #[arg(long, value_name = "DOMAIN")]
    pub dns_search: Vec<String>,
    /// Of its resolver.
    #[arg(long, visible_alias = "dns-opt", value_name = "OPTION")]
    pub dns_option: Vec<String>,
}

/// Limits that may be changed while a container runs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct Limits {
    /// Memory.
    #[arg(short, long, value_name = "BYTES", value_parser = bytes)]
    pub memory: Option<i64>,
    /// What it is reduced to where memory is scarce.
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub memory_reservation: Option<i64>,
    /// Memory and swap together; -1 for no limit.
    #[arg(long, value_name = "BYTES", value_parser = bytes_or_unlimited, allow_hyphen_values = true)]
    pub memory_swap: Option<i64>,
    /// Processors, as in 1.5.
    #[arg(long, value_name = "NUMBER", value_parser = nano_cpus)]
    pub cpus: Option<i64>,
    /// Its weight among others.
    #[arg(short, long, value_name = "WEIGHT")]
    pub cpu_shares: Option<i64>,
    /// Microseconds of which it has a quota.
    #[arg(long, value_name = "MICROSECONDS")]
    pub cpu_period: Option<i64>,
    /// That quota.
    #[arg(long, value_name = "MICROSECONDS", allow_hyphen_values = true)]
    pub cpu_quota: Option<i64>,
    /// Which processors, as in 0-2,4.
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// Which memory nodes.
    #[arg(long, value_name = "LIST")]
    pub cpuset_mems: Option<String>,
    /// Its weight at disks: 10 to 1000.
    #[arg(long, value_name = "WEIGHT")]
    pub blkio_weight: Option<u32>,
    /// Processes and threads; -1 for no limit.
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub pids_limit: Option<i64>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct MoreLimits {
    /// How readily it is swapped: 0 to 100.
    #[arg(long, value_name = "PERCENT")]
    pub memory_swappiness: Option<i64>,
    /// Of /dev/shm.
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub shm_size: Option<i64>,
    /// Of setrlimit(2): NAME=SOFT[:HARD].
    #[arg(long = "ulimit", value_name = "LIMIT")]
    pub ulimits: Vec<String>,
    /// Waits instead of being killed for want of memory.
    #[arg(long)]
    pub oom_kill_disable: bool,
    /// Whom the kernel kills first: -1000 to 1000.
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub oom_score_adj: Option<i64>,
    /// Bytes a second that are read: DEVICE:BYTES.
    #[arg(long, value_name = "RATE")]
    pub device_read_bps: Vec<String>,
    /// Bytes a second that are written.
    #[arg(long, value_name = "RATE")]
    pub device_write_bps: Vec<String>,
    /// Reads a second: DEVICE:NUMBER.
    #[arg(long, value_name = "RATE")]
    pub device_read_iops: Vec<String>,
    /// Writes a second.
    #[arg(long, value_name = "RATE")]
    pub device_write_iops: Vec<String>,
    /// The cgroup above its own.
    #[arg(long, value_name = "PATH")]
    pub cgroup_parent: Option<String>,
    /// Whose cgroups it sees: host, private.
    #[arg(long, value_name = "MODE")]
    pub cgroupns: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Health")]
pub struct Health {
    /// A shell command that succeeds while it is well.
    #[arg(long, value_name = "COMMAND", conflicts_with = "no_healthcheck")]
    pub health_cmd: Option<String>,
    /// Between probes, as in 30s.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub health_interval: Option<i64>,
    /// For one probe.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub health_timeout: Option<i64>,
    /// Failures do not count for so long after the start.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub health_start_period: Option<i64>,
    /// Between probes meanwhile.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub health_start_interval: Option<i64>,
    /// Failures in a row that make it unhealthy.
    #[arg(long, value_name = "NUMBER")]
    pub health_retries: Option<u32>,
    /// Not even the image's probe.
    #[arg(long)]
    pub no_healthcheck: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Rights")]
pub struct Security {
    /// With all rights of the host's root.
    #[arg(long)]
    pub privileged: bool,
    /// A capability more, as NET_ADMIN; ALL for all.
    #[arg(long, value_name = "CAPABILITY")]
    pub cap_add: Vec<String>,
    /// A capability less.
    #[arg(long, value_name = "CAPABILITY")]
    pub cap_drop: Vec<String>,
    /// no-new-privileges, apparmor=PROFILE, seccomp=FILE|unconfined, systempaths=unconfined.
    #[arg(long, value_name = "OPTION")]
    pub security_opt: Vec<String>,
    /// Whose users it has: host.
    #[arg(long, value_name = "MODE")]
    pub userns: Option<String>,
    /// Of sysctl(8).
    #[arg(long = "sysctl", value_name = "KEY=VALUE")]
    pub sysctls: Vec<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Its log")]
pub struct Logging {
    /// Where it is kept.
    #[arg(long, value_name = "DRIVER")]
    pub log_driver: Option<String>,
    /// Of that driver, as max-size=10m.
    #[arg(long = "log-opt", value_name = "KEY=VALUE")]
    pub log_opts: Vec<String>,
}
