//! What a container gets that its user has not set, and what a user is told of settings that have no effect.

use gantry_api::engine::{ContainerConfig, HostConfig};
use gantry_spec::{Facts, masked};

use crate::container::mode::{IpcMode, NetworkMode, PidMode, container_of};
use crate::containers::Containers;
use crate::error::Result;
use crate::names;

/// Sets the host name of a container that has none: its short id, the host's name, or that of the container whose
/// network it shares.
pub(super) fn with_hostname(
    mut config: ContainerConfig,
    host: &HostConfig,
    id: &str,
    containers: &Containers,
    facts: &Facts,
) -> ContainerConfig {
    match NetworkMode::of(&host.network_mode) {
        NetworkMode::Container(other) => {
            // Another check refuses a container that does not exist.
            if let Ok(other) = containers.find(other) {
                config.hostname.clone_from(&other.record().config.hostname);
            }
        }
        _ if !config.hostname.is_empty() => {}
        NetworkMode::Host => config.hostname.clone_from(&facts.hostname),
        NetworkMode::None | NetworkMode::Network(_) => names::short(id).clone_into(&mut config.hostname),
    }
    config
}

/// Fills the request's missing values with those that Docker shows.
pub(super) fn fill(
    host: &mut HostConfig,
    warnings: &mut Vec<String>,
    containers: &Containers,
    facts: &Facts,
) -> Result<()> {
    // Replaced by the id, because the other container may be renamed.
    for mode in [&mut host.pid_mode, &mut host.ipc_mode, &mut host.network_mode] {
        if let Some(other) = container_of(mode) {
            let id = containers.find(other)?.id().to_owned();
            *mode = format!("container:{id}");
        }
    }
    if host.ipc_mode.is_empty() {
        host.ipc_mode = "private".to_owned();
    }
    if host.cgroupns_mode.is_empty() {
        host.cgroupns_mode = if facts.cgroup_v2 { "private" } else { "host" }.to_owned();
    }
    if host.shm_size == 0 {
        host.shm_size = gantry_spec::DEFAULT_SHM;
    }
    if host.runtime.is_empty() {
        host.runtime = "runc".to_owned();
    }
    let log = host.log_config.get_or_insert_default();
    if log.r#type.is_empty() {
        log.r#type = "json-file".to_owned();
    }
    let restart = host.restart_policy.get_or_insert_default();
    if restart.name.is_empty() {
        restart.name = "no".to_owned();
    }
    // A container that shares these namespaces with the host has no SELinux label of its own.
    let shares = host.privileged
        || PidMode::of(&host.pid_mode) == PidMode::Host
        || IpcMode::of(&host.ipc_mode) == IpcMode::Host;
    if shares && host.security_opt.is_empty() {
        host.security_opt.push("label=disable".to_owned());
    }
    for (paths, default) in [
        (&mut host.masked_paths, masked::hidden as fn() -> Vec<String>),
        (&mut host.readonly_paths, masked::read_only),
    ] {
        if paths.is_none() && !host.privileged {
            *paths = Some(default());
        }
    }
    let resources = host.resources.get_or_insert_default();
    if resources.memory > 0 && resources.memory_swap == 0 {
        resources.memory_swap = resources.memory.saturating_mul(2);
    }
    if resources.memory_swap > 0 && !facts.swap_limit {
        warnings.push("Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.".to_owned());
    }
    if resources.pids_limit.is_some_and(|limit| limit <= 0) {
        resources.pids_limit = None;
    }
    resources.oom_kill_disable.get_or_insert(false);
    if resources.memory_swappiness == Some(-1) {
        resources.memory_swappiness = None;
    }
    if host.oom_score_adj < 0 {
        warnings.push("Lowering the OOM score needs CAP_SYS_RESOURCE: where Gantry does not have it, the container will not start.".to_owned());
    }
    if !facts.apparmor && host.security_opt.iter().any(|option| option.starts_with("apparmor")) {
        warnings.push("This machine has no AppArmor: the profile is not applied.".to_owned());
    }
    Ok(())
}

/// Warnings for fields that Docker accepts from old clients and ignores.
pub(super) fn ignored(config: &ContainerConfig, host: &HostConfig, is_new: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    if is_new && !config.mac_address.is_empty() {
        warnings.push("The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead.".to_owned());
    }
    if NetworkMode::of(&host.network_mode) == NetworkMode::Host && !host.port_bindings.is_empty() {
        warnings.push("Published ports are discarded when using host network mode".to_owned());
    }
    warnings
}

/// The network of a container whose configuration names none.
pub(super) fn default_network(config: &ContainerConfig, host: &mut HostConfig) {
    if config.network_disabled {
        host.network_mode = "none".to_owned();
    } else if host.network_mode.is_empty() || host.network_mode == "default" {
        host.network_mode = "bridge".to_owned();
    }
}
