//! The options of `run` and `create`, by the headings of their help.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

use crate::options::value::{bytes, bytes_or_unlimited, duration, nano_cpus};

/// When to pull an image before its container is created.
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
    /// The container's name [default: a random one].
    #[arg(long)]
    pub name: Option<String>,
    /// A label.
    #[arg(short, long = "label", value_name = "KEY[=VALUE]")]
    pub labels: Vec<String>,
    /// Labels, one a line.
    #[arg(long, value_name = "FILE")]
    pub label_file: Vec<PathBuf>,
    /// An annotation for the OCI runtime.
    #[arg(long = "annotation", value_name = "KEY=VALUE")]
    pub annotations: Vec<String>,
    /// Writes the container's id into this file.
    #[arg(long, value_name = "FILE")]
    pub cidfile: Option<PathBuf>,
    /// Removes the container when it ends.
    #[arg(long)]
    pub rm: bool,
    /// What to do when the container ends: no, always, unless-stopped, on-failure[:N].
    #[arg(long, value_name = "POLICY")]
    pub restart: Option<String>,
    /// When to pull the image first.
    #[arg(long, value_enum, default_value = "missing", value_name = "WHEN")]
    pub pull: Pull,
    /// Does not show the progress of a pull.
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
    /// Keeps the program's input open.
    #[arg(short, long)]
    pub interactive: bool,
    /// Gives the program a terminal.
    #[arg(short, long)]
    pub tty: bool,
    /// A variable; without a value, it has the value in this environment.
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,
    /// Variables, one a line.
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,
    /// The program, in place of the image's; empty for none.
    #[arg(long, value_name = "PROGRAM")]
    pub entrypoint: Option<String>,
    /// The program's working directory.
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// The program's user, and its group: names or numbers.
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,
    /// An additional group.
    #[arg(long, value_name = "GROUP")]
    pub group_add: Vec<String>,
    /// Runs an init that reaps processes and passes signals on.
    #[arg(long)]
    pub init: bool,
    /// The signal that stops the container.
    #[arg(long, value_name = "SIGNAL")]
    pub stop_signal: Option<String>,
    /// Seconds between that signal and SIGKILL; -1 for no limit.
    #[arg(long, value_name = "SECONDS", allow_hyphen_values = true)]
    pub stop_timeout: Option<i64>,
    /// The PID namespace: host, container:NAME.
    #[arg(long, value_name = "MODE")]
    pub pid: Option<String>,
    /// The IPC namespace: none, private, shareable, host, container:NAME.
    #[arg(long, value_name = "MODE")]
    pub ipc: Option<String>,
    /// The UTS namespace: host.
    #[arg(long, value_name = "MODE")]
    pub uts: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Files")]
pub struct Storage {
    /// A volume or a folder of the host: [SOURCE:]TARGET[:OPTIONS].
    #[arg(short, long = "volume", value_name = "VOLUME")]
    pub volumes: Vec<String>,
    /// A mount by keys: type=bind|volume|tmpfs|image,source=…,target=…[,readonly,…].
    #[arg(long = "mount", value_name = "MOUNT")]
    pub mounts: Vec<String>,
    /// A folder in memory: TARGET[:OPTIONS].
    #[arg(long, value_name = "TMPFS")]
    pub tmpfs: Vec<String>,
    /// The volumes of another container: NAME[:ro].
    #[arg(long, value_name = "CONTAINER")]
    pub volumes_from: Vec<String>,
    /// The driver of the volumes of `-v`.
    #[arg(long, value_name = "DRIVER")]
    pub volume_driver: Option<String>,
    /// Makes the container's root read-only.
    #[arg(long)]
    pub read_only: bool,
    /// A device of the host: PATH[:PATH][:rwm].
    #[arg(long = "device", value_name = "DEVICE")]
    pub devices: Vec<String>,
    /// A rule for devices: `c 10:200 rwm`.
    #[arg(long, value_name = "RULE")]
    pub device_cgroup_rule: Vec<String>,
    /// An option of the snapshotter.
    #[arg(long, value_name = "KEY=VALUE")]
    pub storage_opt: Vec<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Networks")]
pub struct Networking {
    /// bridge, host, none, container:NAME, or a network's name; by keys: name=…[,alias=…,ip=…,ip6=…,mac-address=…].
    #[arg(long = "network", visible_alias = "net", value_name = "NETWORK")]
    pub networks: Vec<String>,
    /// Another name for the container in its network.
    #[arg(long = "network-alias", visible_alias = "net-alias", value_name = "NAME")]
    pub aliases: Vec<String>,
    /// The container's IPv4 address.
    #[arg(long, value_name = "ADDRESS")]
    pub ip: Option<String>,
    /// The container's IPv6 address.
    #[arg(long, value_name = "ADDRESS")]
    pub ip6: Option<String>,
    /// The container's MAC address.
    #[arg(long, value_name = "ADDRESS")]
    pub mac_address: Option<String>,
    /// A name for another container: CONTAINER[:ALIAS].
    #[arg(long = "link", value_name = "LINK")]
    pub links: Vec<String>,
    /// Publishes a port of the container at one of the host: [ADDRESS:][PORT:]PORT[/PROTOCOL].
    #[arg(short, long, value_name = "PORTS")]
    pub publish: Vec<String>,
    /// Publishes all exposed ports at free ports of the host.
    #[arg(short = 'P', long)]
    pub publish_all: bool,
    /// A port on which the container listens: PORT[-PORT][/PROTOCOL].
    #[arg(long, value_name = "PORTS")]
    pub expose: Vec<String>,
    /// The container's host name.
    #[arg(short = 'h', long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// The container's NIS domain name.
    #[arg(long, value_name = "NAME")]
    pub domainname: Option<String>,
    /// A line of the container's hosts file: NAME:ADDRESS.
    #[arg(long, value_name = "HOST")]
    pub add_host: Vec<String>,
    /// The container's DNS server.
    #[arg(long, value_name = "ADDRESS")]
    pub dns: Vec<std::net::IpAddr>,
    /// A domain in which the resolver looks for short names.
    #[arg(long, value_name = "DOMAIN")]
    pub dns_search: Vec<String>,
    /// An option of the resolver.
    #[arg(long, visible_alias = "dns-opt", value_name = "OPTION")]
    pub dns_option: Vec<String>,
}

/// Limits that `update` can change.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct Limits {
    /// Memory.
    #[arg(short, long, value_name = "BYTES", value_parser = bytes)]
    pub memory: Option<i64>,
    /// Memory that the kernel leaves to the container where memory is scarce.
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub memory_reservation: Option<i64>,
    /// Memory and swap together; -1 for no limit.
    #[arg(long, value_name = "BYTES", value_parser = bytes_or_unlimited, allow_hyphen_values = true)]
    pub memory_swap: Option<i64>,
    /// Processors, as in 1.5.
    #[arg(long, value_name = "NUMBER", value_parser = nano_cpus)]
    pub cpus: Option<i64>,
    /// The weight among other containers.
    #[arg(short, long, value_name = "WEIGHT")]
    pub cpu_shares: Option<i64>,
    /// The period of the CPU quota, in microseconds.
    #[arg(long, value_name = "MICROSECONDS")]
    pub cpu_period: Option<i64>,
    /// The CPU quota, in microseconds for each period.
    #[arg(long, value_name = "MICROSECONDS", allow_hyphen_values = true)]
    pub cpu_quota: Option<i64>,
    /// The processors to use, as in 0-2,4.
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// The memory nodes to use.
    #[arg(long, value_name = "LIST")]
    pub cpuset_mems: Option<String>,
    /// The weight at disks: 10 to 1000.
    #[arg(long, value_name = "WEIGHT")]
    pub blkio_weight: Option<u32>,
    /// Processes and threads; -1 for no limit.
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub pids_limit: Option<i64>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct MoreLimits {
    /// How readily the kernel swaps it: 0 to 100.
    #[arg(long, value_name = "PERCENT")]
    pub memory_swappiness: Option<i64>,
    /// The size of /dev/shm.
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub shm_size: Option<i64>,
    /// A limit of setrlimit(2): NAME=SOFT[:HARD].
    #[arg(long = "ulimit", value_name = "LIMIT")]
    pub ulimits: Vec<String>,
    /// Makes processes wait instead of killing them when memory runs out.
    #[arg(long)]
    pub oom_kill_disable: bool,
    /// How soon the kernel kills it when memory runs out: -1000 to 1000.
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub oom_score_adj: Option<i64>,
    /// Bytes that it may read in a second: DEVICE:BYTES.
    #[arg(long, value_name = "RATE")]
    pub device_read_bps: Vec<String>,
    /// Bytes that it may write in a second: DEVICE:BYTES.
    #[arg(long, value_name = "RATE")]
    pub device_write_bps: Vec<String>,
    /// Reads in a second: DEVICE:NUMBER.
    #[arg(long, value_name = "RATE")]
    pub device_read_iops: Vec<String>,
    /// Writes in a second: DEVICE:NUMBER.
    #[arg(long, value_name = "RATE")]
    pub device_write_iops: Vec<String>,
    /// The parent of the container's cgroup.
    #[arg(long, value_name = "PATH")]
    pub cgroup_parent: Option<String>,
    /// The cgroup namespace: host, private.
    #[arg(long, value_name = "MODE")]
    pub cgroupns: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Health")]
pub struct Health {
    /// A shell command that succeeds while the container is healthy.
    #[arg(long, value_name = "COMMAND", conflicts_with = "no_healthcheck")]
    pub health_cmd: Option<String>,
    /// The time between probes, as in 30s.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub health_interval: Option<i64>,
    /// The time that a probe may take.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub health_timeout: Option<i64>,
    /// The time after the start in which failures do not count.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub health_start_period: Option<i64>,
    /// The time between probes during that time.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub health_start_interval: Option<i64>,
    /// Failures in a row after which the container is unhealthy.
    #[arg(long, value_name = "NUMBER")]
    pub health_retries: Option<u32>,
    /// Runs no probe, not even the image's.
    #[arg(long)]
    pub no_healthcheck: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Rights")]
pub struct Security {
    /// Gives the container all of root's rights.
    #[arg(long)]
    pub privileged: bool,
    /// Adds a capability, as in NET_ADMIN; ALL for all.
    #[arg(long, value_name = "CAPABILITY")]
    pub cap_add: Vec<String>,
    /// Removes a capability.
    #[arg(long, value_name = "CAPABILITY")]
    pub cap_drop: Vec<String>,
    /// no-new-privileges, apparmor=PROFILE, seccomp=FILE|unconfined, systempaths=unconfined.
    #[arg(long, value_name = "OPTION")]
    pub security_opt: Vec<String>,
    /// The user namespace: host.
    #[arg(long, value_name = "MODE")]
    pub userns: Option<String>,
    /// A kernel parameter of sysctl(8).
    #[arg(long = "sysctl", value_name = "KEY=VALUE")]
    pub sysctls: Vec<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Its log")]
pub struct Logging {
    /// The log driver.
    #[arg(long, value_name = "DRIVER")]
    pub log_driver: Option<String>,
    /// An option of the log driver, as in max-size=10m.
    #[arg(long = "log-opt", value_name = "KEY=VALUE")]
    pub log_opts: Vec<String>,
}
