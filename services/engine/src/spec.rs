//! Converts a container's record into the input from which `gantry_spec` makes the OCI runtime specification.
//!
//! The functions here compute their result from the record, some facts about the host, and the paths of other
//! containers' namespaces. They change nothing.

mod mounts;
mod resources;

use std::path::{Path, PathBuf};

use gantry_api::engine::{ExecSpec, HostConfig, Resources, Ulimit};
use gantry_spec::{
    Confinement, Container, Exec, Facts, Namespace, Namespaces, Process, Rlimit, RuntimeFiles, Security, Shm,
    Window, environment,
};
use oci_spec::runtime::{LinuxResources, Process as OciProcess, Spec};

use crate::container::mode::{IpcMode, PidMode};
use crate::error::Result;
use crate::record::Record;

/// Namespaces of other containers that this one shares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shared {
    /// `--pid container:x`
    pub pid: Option<PathBuf>,
    /// `--ipc container:x`
    pub ipc: Option<PathBuf>,
}

/// What a specification is made from, besides the record.
#[derive(Clone, Debug)]
pub struct Surroundings<'a> {
    /// Facts about the machine.
    pub host: &'a Facts,
    /// The network namespace.
    pub netns: Namespace,
    /// Other containers' namespaces.
    pub shared: Shared,
    /// The files that are mounted in `/etc`.
    pub files: Option<RuntimeFiles>,
    /// The program that `--init` starts before the user's.
    pub init: &'a Path,
    /// The directory that is bound at `/dev/shm`; `None` for a tmpfs of its own.
    pub shm: Option<PathBuf>,
    /// Variables that the user's own variables override.
    pub variables: Vec<String>,
}

/// Makes the specification.
pub fn build(record: &Record, around: &Surroundings<'_>) -> Result<Spec> {
    Ok(gantry_spec::build(&container(record, around)?, around.host)?)
}

/// Makes the process of an exec. `privileged` gives it all capabilities, even if the container has fewer.
pub fn exec_process(
    record: &Record,
    facts: &Facts,
    variables: &[String],
    exec: &ExecSpec,
) -> Result<OciProcess> {
    let config = &record.config;
    let or_own = |asked: &String, own: &String| if asked.is_empty() { own.clone() } else { asked.clone() };
    let env = environment::docker(variables, &config.env, &config.hostname, exec.tty);
    let process = Process {
        args: exec.cmd.clone(),
        env: environment::merge(env, &exec.env),
        working_dir: or_own(&exec.working_dir, &config.working_dir),
        user: or_own(&exec.user, &config.user),
        terminal: terminal(exec.tty, exec.console_width, exec.console_height),
    };
    let exec = Exec { process, privileged: exec.privileged };
    Ok(gantry_spec::exec_process(&exec, &confinement(&record.host)?, facts)?)
}

/// Makes the cgroup's settings.
pub fn linux_resources(resources: &Resources, privileged: bool, facts: &Facts) -> Result<LinuxResources> {
    Ok(gantry_spec::linux_resources(&resources::wanted(resources), privileged, facts)?)
}

/// The path of the container's cgroup below each hierarchy's root.
pub fn cgroups_path(record: &Record, facts: &Facts) -> PathBuf {
    let parent = record.host.resources.as_ref().map_or("", |resources| &resources.cgroup_parent);
    gantry_spec::cgroup::path(parent, &record.id, facts)
}

/// The AppArmor profile of the container's processes; `None` if AppArmor does not confine them.
pub fn apparmor_profile(host: &HostConfig, facts: &Facts) -> Result<Option<String>> {
    Ok(confinement(host)?.apparmor_profile(facts))
}

/// Size of `/dev/shm`, bytes.
pub fn shm_size(host: &HostConfig) -> i64 {
    if host.shm_size > 0 { host.shm_size } else { gantry_spec::DEFAULT_SHM }
}

fn container(record: &Record, around: &Surroundings<'_>) -> Result<Container> {
    let (config, host) = (&record.config, &record.host);
    Ok(Container {
        process: Process {
            args: record.command.clone(),
            env: environment::docker(&around.variables, &config.env, &config.hostname, config.tty),
            working_dir: config.working_dir.clone(),
            user: config.user.clone(),
            terminal: terminal(config.tty, host.console_width, host.console_height),
        },
        groups: host.group_add.clone(),
        oom_score_adj: host.oom_score_adj,
        init: uses_init(host).then(|| around.init.to_owned()),
        confinement: confinement(host)?,
        resources: host.resources.as_ref().map(resources::wanted).unwrap_or_default(),
        cgroup: cgroups_path(record, around.host),
        namespaces: namespaces(host, around),
        hostname: config.hostname.clone(),
        domainname: config.domainname.clone(),
        read_only_root: host.readonly_rootfs,
        shm: match &around.shm {
            Some(shared) => Shm::Bound(shared.clone()),
            None if IpcMode::of(&host.ipc_mode) == IpcMode::None => Shm::None,
            None => Shm::Own(shm_size(host)),
        },
        files: around.files.clone(),
        mounts: mounts::wanted(record),
        masked_paths: host.masked_paths.clone().unwrap_or_default(),
        read_only_paths: host.readonly_paths.clone().unwrap_or_default(),
        sysctls: host.sysctls.clone(),
        annotations: host.annotations.clone(),
    })
}

fn confinement(host: &HostConfig) -> Result<Confinement> {
    let ulimits = host.resources.as_ref().map_or(&[][..], |resources| &resources.ulimits);
    let rlimit = |own: &Ulimit| Rlimit { name: own.name.clone(), soft: own.soft, hard: own.hard };
    Ok(Confinement {
        privileged: host.privileged,
        add: host.cap_add.clone(),
        drop: host.cap_drop.clone(),
        security: Security::parse(&host.security_opt, host.privileged)?,
        rlimits: ulimits.iter().map(rlimit).collect(),
    })
}

fn namespaces(host: &HostConfig, around: &Surroundings<'_>) -> Namespaces {
    let joined = |path: Option<&PathBuf>| path.map_or(Namespace::Own, |path| Namespace::Path(path.clone()));
    Namespaces {
        network: around.netns.clone(),
        pid: match PidMode::of(&host.pid_mode) {
            PidMode::Host => Namespace::Host,
            PidMode::Own | PidMode::Container(_) => joined(around.shared.pid.as_ref()),
        },
        ipc: match IpcMode::of(&host.ipc_mode) {
            IpcMode::Host => Namespace::Host,
            _ => joined(around.shared.ipc.as_ref()),
        },
        uts: if host.uts_mode == "host" { Namespace::Host } else { Namespace::Own },
        cgroup: match host.cgroupns_mode.as_str() {
            "private" => Namespace::Own,
            "host" => Namespace::Host,
            // The daemon's default: private on the unified hierarchy, the host's otherwise.
            _ if around.host.cgroup_v2 => Namespace::Own,
            _ => Namespace::Host,
        },
    }
}

/// Whether an init process starts the container's program.
fn uses_init(host: &HostConfig) -> bool {
    host.init == Some(true) && PidMode::of(&host.pid_mode) == PidMode::Own
}

fn terminal(tty: bool, width: u32, height: u32) -> Option<Window> {
    tty.then_some(Window { width, height })
}

#[cfg(test)]
mod tests;
