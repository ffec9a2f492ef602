//! From a container's record to the OCI runtime specification of its process: Docker's defaults, exactly.
//!
//! Everything here is a function of the record, of a few facts about the host and of where the neighbours' namespaces
//! are; nothing is changed on the way, so that a specification can be made as often as one likes.

mod capabilities;
mod devices;
mod mounts;
mod process;
mod resources;
mod seccomp;
mod security;
mod syscalls;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use gantry_host::apparmor::{DEFAULT_PROFILE, UNCONFINED};
use gantry_proto::gantry::engine::v1 as pb;
use oci_spec::runtime::{
    Linux, LinuxNamespace, LinuxNamespaceBuilder, LinuxNamespaceType, RootBuilder, Spec, SpecBuilder,
};

pub use capabilities::normalise as normalise_capability;
pub use mounts::{RuntimeFiles, shm_size};
pub use process::{environment, exec_process, merge_environment};
pub use resources::{linux_resources, rlimit_name};
pub use security::Security;

use crate::error::Error;
use crate::record::Record;

/// The annotation in which the shim finds the user to look up inside the root.
pub const USER_ANNOTATION: &str = "io.gantry.user";
/// The annotation in which the shim finds further groups, by name or number, separated by commas.
pub const GROUPS_ANNOTATION: &str = "io.gantry.groups";

/// Where a container's network namespace is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Netns {
    /// The host's own.
    Host,
    /// Pinned at a path.
    Path(PathBuf),
}

/// Namespaces of other containers that this one shares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shared {
    /// `--pid container:x`
    pub pid: Option<PathBuf>,
    /// `--ipc container:x`
    pub ipc: Option<PathBuf>,
}

/// Facts about the machine.
#[derive(Clone, Debug)]
pub struct HostFacts {
    /// The unified hierarchy alone.
    pub cgroup_v2: bool,
    /// systemd keeps the cgroups.
    pub systemd: bool,
    /// Swap can be limited.
    pub swap_limit: bool,
    /// Containers can be confined by AppArmor.
    pub apparmor: bool,
    /// The kernel has seccomp filters.
    pub seccomp: bool,
    /// The host's name.
    pub hostname: String,
}

impl HostFacts {
    /// Looks.
    pub fn detect() -> HostFacts {
        let cgroup_v2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        HostFacts {
            cgroup_v2,
            systemd: cgroup_v2 && gantry_systemd::is_running(),
            swap_limit: cgroup_v2 || Path::new("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes").exists(),
            apparmor: gantry_host::apparmor::is_supported(),
            seccomp: Path::new("/proc/sys/kernel/seccomp/actions_avail").exists(),
            hostname: read("/proc/sys/kernel/hostname").trim().to_owned(),
        }
    }
}

/// What a specification is made from besides the record.
#[derive(Clone, Debug)]
pub struct Surroundings<'a> {
    /// The machine.
    pub host: &'a HostFacts,
    /// The network namespace.
    pub netns: Netns,
    /// Others' namespaces.
    pub shared: Shared,
    /// The files that are mounted over `/etc`.
    pub files: Option<RuntimeFiles>,
    /// The program that `--init` puts before the user's.
    pub init: &'a Path,
    /// What is bound at `/dev/shm`; `None` for a file system of its own.
    pub shm: Option<PathBuf>,
    /// Variables that the user's own go over.
    pub variables: Vec<String>,
}

/// Makes the specification.
pub fn build(record: &Record, around: &Surroundings<'_>) -> Result<Spec, Error> {
    let (config, host) = (&record.config, &record.host);
    let security = Security::parse(&host.security_opt, host.privileged)?;
    let capabilities = capabilities::resolve(&host.cap_add, &host.cap_drop, host.privileged)?;
    let resources = host.resources.clone().unwrap_or_default();

    let mut linux = Linux::default();
    linux.set_namespaces(Some(namespaces(record, around)));
    linux.set_resources(Some(resources::linux_resources(&resources, host.privileged, around.host)?));
    linux.set_cgroups_path(Some(cgroups_path(record, around.host)));
    linux.set_devices(Some(devices::nodes(&resources, host.privileged)?));
    linux.set_sysctl(Some(own_sysctls(host)));
    linux.set_masked_paths(Some(list(host.masked_paths.as_ref())));
    linux.set_readonly_paths(Some(list(host.readonly_paths.as_ref())));
    linux.set_seccomp(match (&security.seccomp, host.privileged) {
        (security::Seccomp::Unconfined, _) => None,
        _ if !around.host.seccomp => None,
        (security::Seccomp::Default, true) => None,
        (security::Seccomp::Builtin | security::Seccomp::Default, _) => {
            Some(seccomp::default_profile(&capabilities))
        }
        (security::Seccomp::Inline(json), _) => Some(seccomp::parse(json, &capabilities)?),
    });
    linux.set_rootfs_propagation(mounts::rootfs_propagation(record));

    let root =
        RootBuilder::default().path("rootfs").readonly(host.readonly_rootfs).build().map_err(incomplete)?;
    let mut spec = SpecBuilder::default()
        .version("1.0.2")
        .root(root)
        .mounts(mounts::all(record, around, &security))
        .process(process::init_process(record, around, &capabilities, &security)?)
        .linux(linux)
        .annotations(annotations(record))
        .build()
        .map_err(incomplete)?;
    // The library's own default is a name of its own.
    spec.set_hostname(None);
    if !is_host(&host.uts_mode) {
        spec.set_hostname(Some(config.hostname.clone()));
        if !config.domainname.is_empty() {
            spec.set_domainname(Some(config.domainname.clone()));
        }
    }
    Ok(spec)
}

/// Where the container's cgroup is, below each hierarchy's root: where systemd keeps them, a scope in a slice.
pub fn cgroups_path(record: &Record, facts: &HostFacts) -> PathBuf {
    let parent = record.host.resources.as_ref().map_or("", |resources| &resources.cgroup_parent);
    if facts.systemd {
        let slice = if parent.is_empty() { "system.slice" } else { parent };
        if let Some(slice) = gantry_systemd::slice_path(slice) {
            return PathBuf::from(format!("{slice}/docker-{}.scope", record.id));
        }
    }
    let parent = if parent.is_empty() { "/docker" } else { parent };
    Path::new("/").join(parent).join(&record.id)
}

/// The AppArmor profile that the container's processes get; `None` where nothing is confined by AppArmor.
pub fn apparmor_profile(host: &pb::HostConfig, facts: &HostFacts) -> Result<Option<String>, Error> {
    let named = Security::parse(&host.security_opt, host.privileged)?.apparmor;
    Ok(match named.as_str() {
        _ if !facts.apparmor => None,
        "" if host.privileged => Some(UNCONFINED.to_owned()),
        "" => Some(DEFAULT_PROFILE.to_owned()),
        _ => Some(named),
    })
}

/// Paths that are hidden unless the user says otherwise.
pub fn default_masked_paths() -> Vec<String> {
    let mut paths: Vec<String> = [
        "/proc/asound",
        "/proc/acpi",
        "/proc/interrupts",
        "/proc/kcore",
        "/proc/keys",
        "/proc/latency_stats",
        "/proc/timer_list",
        "/proc/timer_stats",
        "/proc/sched_debug",
        "/proc/scsi",
        "/sys/firmware",
        "/sys/devices/virtual/powercap",
    ]
    .map(str::to_owned)
    .to_vec();
    paths.extend_from_slice(&THERMAL_THROTTLE);
    paths
}

/// What each processor tells of its temperature: a side channel. In the order of processors.
static THERMAL_THROTTLE: LazyLock<Vec<String>> = LazyLock::new(|| {
    let entries = std::fs::read_dir("/sys/devices/system/cpu").into_iter().flatten().flatten();
    let number = |entry: std::fs::DirEntry| entry.file_name().to_str()?.strip_prefix("cpu")?.parse().ok();
    let processors: BTreeSet<u32> = entries.filter_map(number).collect();
    let paths = processors.iter().map(|cpu| format!("/sys/devices/system/cpu/cpu{cpu}/thermal_throttle"));
    paths.filter(|path| Path::new(path).exists()).collect()
});

/// Paths that cannot be written unless the user says otherwise.
pub fn default_readonly_paths() -> Vec<String> {
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"].map(str::to_owned).to_vec()
}

/// The kernel parameters of the network namespace: the user's, over Docker's two.
pub fn network_sysctls(host: &pb::HostConfig) -> HashMap<String, String> {
    let mut sysctls = HashMap::from([
        ("net.ipv4.ping_group_range".to_owned(), "0 2147483647".to_owned()),
        ("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned()),
    ]);
    sysctls.extend(
        host.sysctls
            .iter()
            .filter(|(name, _)| name.starts_with("net."))
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    sysctls
}

fn own_sysctls(host: &pb::HostConfig) -> HashMap<String, String> {
    host.sysctls
        .iter()
        .filter(|(name, _)| !name.starts_with("net."))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn namespaces(record: &Record, around: &Surroundings<'_>) -> Vec<LinuxNamespace> {
    let host = &record.host;
    let mut namespaces = vec![namespace(LinuxNamespaceType::Mount, None)];
    if let Netns::Path(path) = &around.netns {
        namespaces.push(namespace(LinuxNamespaceType::Network, Some(path.clone())));
    }
    if !is_host(&host.pid_mode) {
        namespaces.push(namespace(LinuxNamespaceType::Pid, around.shared.pid.clone()));
    }
    if !is_host(&host.ipc_mode) {
        namespaces.push(namespace(LinuxNamespaceType::Ipc, around.shared.ipc.clone()));
    }
    if !is_host(&host.uts_mode) {
        namespaces.push(namespace(LinuxNamespaceType::Uts, None));
    }
    if private_cgroup_namespace(host, around.host) {
        namespaces.push(namespace(LinuxNamespaceType::Cgroup, None));
    }
    namespaces
}

/// The daemon's default: private on the unified hierarchy, the host's otherwise.
fn private_cgroup_namespace(host: &pb::HostConfig, facts: &HostFacts) -> bool {
    match host.cgroupns_mode.as_str() {
        "private" => true,
        "host" => false,
        _ => facts.cgroup_v2,
    }
}

fn namespace(kind: LinuxNamespaceType, path: Option<PathBuf>) -> LinuxNamespace {
    let builder = LinuxNamespaceBuilder::default().typ(kind);
    let builder = match path {
        Some(path) => builder.path(path),
        None => builder,
    };
    builder.build().expect("a namespace needs only its type")
}

fn annotations(record: &Record) -> HashMap<String, String> {
    let mut annotations = record.host.annotations.clone();
    let user = &record.config.user;
    let user = if user.is_empty() { "0" } else { user };
    annotations.insert(USER_ANNOTATION.to_owned(), user.to_owned());
    if !record.host.group_add.is_empty() {
        annotations.insert(GROUPS_ANNOTATION.to_owned(), record.host.group_add.join(","));
    }
    annotations
}

fn list(paths: Option<&pb::StringList>) -> Vec<String> {
    paths.map(|paths| paths.values.clone()).unwrap_or_default()
}

/// Whether a namespace mode means the host's.
pub fn is_host(mode: &str) -> bool {
    mode == "host"
}

/// The container that a mode of the form `container:x` names.
pub fn of_container(mode: &str) -> Option<&str> {
    mode.strip_prefix("container:")
}

fn incomplete(source: oci_spec::OciSpecError) -> Error {
    Error::Invalid(format!("runtime specification: {source}"))
}

#[cfg(test)]
mod tests;
