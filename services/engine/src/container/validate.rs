//! Checks of a create request against itself and against the machine, before anything is made.

mod cpusets;

use gantry_api::engine::{ContainerConfig, HealthConfig, HostConfig, Resources};
use gantry_spec::Facts;
use gantry_types::Signal;

use super::mode::{IpcMode, NetworkMode, PidMode};
use super::port::{HostPorts, Port};
use crate::error::{Error, Result};
use crate::logs::driver::Drivers;
use crate::restart::Policy;

/// Docker's least memory limit, bytes: less cannot hold a process.
const LEAST_MEMORY: i64 = 6 * 1024 * 1024;
/// Bytes of a host name that the kernel keeps.
const LONGEST_HOSTNAME: usize = 64;
/// Least interval of health checks, nanoseconds.
const LEAST_INTERVAL: i64 = 1_000_000;

/// Checks a request as the user wrote it; what the image adds is not checked. Returns warnings for the user.
pub fn check(config: &ContainerConfig, host: &HostConfig, log_drivers: &Drivers) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    process(config)?;
    restart(host)?;
    let log = log_drivers.log(host.log_config.as_ref())?;
    warnings.extend(log.and_then(|log| log.warning()));
    let resources = host.resources.clone().unwrap_or_default();
    self::resources(&resources, &mut warnings)?;
    namespaces(config, host)?;
    sysctls(host)?;
    for (list, names) in [("CapAdd", &host.cap_add), ("CapDrop", &host.cap_drop)] {
        for name in names {
            gantry_spec::normalise_capability(name)
                .map_err(|error| invalid(format!("invalid {list}: {error}")))?;
        }
    }
    runtime(host)?;
    health(config.healthcheck.as_ref())?;
    if host.oom_score_adj < -1000 || host.oom_score_adj > 1000 {
        return Err(invalid(format!(
            "Invalid value {}, range for oom score adj is [-1000, 1000]",
            host.oom_score_adj
        )));
    }
    if host.shm_size < 0 {
        return Err(invalid("SHM size can not be less than 0"));
    }
    if !host.storage_opt.is_empty() {
        return Err(Error::NotBuilt(
            "storage-opt is not supported: the root file system has no size of its own".to_owned(),
        ));
    }
    if let Some(request) = resources.device_requests.first() {
        let capabilities: Vec<String> =
            request.capabilities.iter().map(|all| format!("[{}]", all.join(" "))).collect();
        return Err(Error::NotBuilt(format!(
            "could not select device driver {:?} with capabilities: [{}]",
            request.driver,
            capabilities.join(" ")
        )));
    }
    Ok(warnings)
}

/// Checks a cgroup parent against the cgroup driver of this machine.
pub fn cgroup_parent(host: &HostConfig, facts: &Facts) -> Result<()> {
    let parent = host.resources.as_ref().map_or("", |resources| &resources.cgroup_parent);
    if facts.systemd && !parent.is_empty() && gantry_systemd::slice_path(parent).is_none() {
        return Err(invalid(
            r#"cgroup-parent for systemd cgroup should be a valid slice named as "xxx.slice""#,
        ));
    }
    Ok(())
}

fn process(config: &ContainerConfig) -> Result<()> {
    if !config.working_dir.is_empty() && !config.working_dir.starts_with('/') {
        return Err(invalid(format!(
            "the working directory '{}' is invalid, it needs to be an absolute path",
            config.working_dir
        )));
    }
    if let Some(bad) = config.env.iter().find(|variable| variable.is_empty() || variable.starts_with('=')) {
        return Err(invalid(format!("invalid environment variable: {bad}")));
    }
    if config.hostname.len() > LONGEST_HOSTNAME || config.hostname.contains(char::is_control) {
        return Err(invalid(format!("invalid hostname format: {}", config.hostname)));
    }
    if !config.stop_signal.is_empty() {
        config.stop_signal.parse::<Signal>()?;
    }
    for port in super::port::expand(&config.exposed_ports) {
        port.parse::<Port>()?;
    }
    Ok(())
}

fn restart(host: &HostConfig) -> Result<()> {
    let policy = policy_of(host)?;
    if host.auto_remove && policy != Policy::No {
        return Err(invalid("can't create 'AutoRemove' container with restart policy"));
    }
    Ok(())
}

/// The restart policy of a configuration.
pub fn policy_of(host: &HostConfig) -> Result<Policy> {
    let policy = host.restart_policy.clone().unwrap_or_default();
    let count = i32::try_from(policy.maximum_retry_count).unwrap_or(i32::MAX);
    Ok(Policy::parse(&policy.name, count)?)
}

/// Checks limits alone and against each other.
pub fn resources(resources: &Resources, warnings: &mut Vec<String>) -> Result<()> {
    if resources.memory != 0 && resources.memory < LEAST_MEMORY {
        return Err(invalid("Minimum memory limit allowed is 6MB"));
    }
    if resources.memory_reservation > 0 && resources.memory_reservation < LEAST_MEMORY {
        return Err(invalid("Minimum memory reservation allowed is 6MB"));
    }
    if resources.memory > 0 && resources.memory_swap > 0 && resources.memory_swap < resources.memory {
        return Err(invalid("Minimum memoryswap limit should be larger than memory limit, see usage"));
    }
    if resources.memory == 0 && resources.memory_swap > 0 {
        return Err(invalid("You should always set the Memory limit when using Memoryswap limit, see usage"));
    }
    if let Some(swappiness) = resources.memory_swappiness
        && !(-1..=100).contains(&swappiness)
    {
        return Err(invalid(format!("Invalid value: {swappiness}, valid memory swappiness range is 0-100")));
    }
    if resources.memory_reservation > 0
        && resources.memory > 0
        && resources.memory < resources.memory_reservation
    {
        return Err(invalid("Minimum memory limit can not be less than memory reservation limit, see usage"));
    }
    if resources.nano_cpus > 0 && (resources.cpu_period > 0 || resources.cpu_quota > 0) {
        let which = if resources.cpu_period > 0 { "CPU Period" } else { "CPU Quota" };
        return Err(invalid(format!("Conflicting options: Nano CPUs and {which} cannot both be set")));
    }
    if resources.nano_cpus != 0 {
        let available = std::thread::available_parallelism().map_or(1, usize::from);
        let most = i64::try_from(available).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
        if !(0..=most).contains(&resources.nano_cpus) {
            return Err(invalid(format!(
                "range of CPUs is from 0.01 to {available}.00, as there are only {available} CPUs available"
            )));
        }
    }
    if resources.cpu_shares < 0 {
        return Err(invalid(format!(
            "invalid CPU shares ({}): value must be a positive integer",
            resources.cpu_shares
        )));
    }
    if resources.cpu_period != 0 && !(1000..=1_000_000).contains(&resources.cpu_period) {
        return Err(invalid(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ));
    }
    if resources.cpu_quota > 0 && resources.cpu_quota < 1000 {
        return Err(invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)"));
    }
    if resources.blkio_weight > 0 && !(10..=1000).contains(&resources.blkio_weight) {
        return Err(invalid("Range of blkio weight is from 10 to 1000"));
    }
    cpusets::check(resources)?;
    for ulimit in &resources.ulimits {
        gantry_spec::rlimit_name(&ulimit.name)?;
        if ulimit.hard != -1 && (ulimit.soft > ulimit.hard || ulimit.soft == -1) {
            return Err(invalid(format!(
                "ulimit soft limit must be less than or equal to hard limit: {} > {}",
                ulimit.soft, ulimit.hard
            )));
        }
    }
    if resources.oom_kill_disable == Some(true) && resources.memory == 0 {
        warnings.push("OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.".to_owned());
    }
    Ok(())
}

fn namespaces(config: &ContainerConfig, host: &HostConfig) -> Result<()> {
    if IpcMode::parse(&host.ipc_mode).is_none() {
        return Err(invalid(format!("invalid IPC mode: {}", host.ipc_mode)));
    }
    if PidMode::parse(&host.pid_mode).is_none() {
        return Err(invalid(format!("invalid PID mode: {}", host.pid_mode)));
    }
    if !matches!(host.uts_mode.as_str(), "" | "host") {
        return Err(invalid(format!("invalid UTS mode: {}", host.uts_mode)));
    }
    if host.uts_mode == "host" && !config.hostname.is_empty() {
        return Err(invalid("conflicting options: hostname and the UTS mode"));
    }
    if !matches!(host.cgroupns_mode.as_str(), "" | "private" | "host") {
        return Err(invalid(format!("invalid cgroup namespace mode: {}", host.cgroupns_mode)));
    }
    if !matches!(host.userns_mode.as_str(), "" | "private" | "host") {
        return Err(invalid(format!("invalid USER mode: {}", host.userns_mode)));
    }
    if !matches!(host.isolation.as_str(), "" | "default") {
        return Err(invalid(format!(
            "invalid isolation ({}): linux only supports 'default'",
            host.isolation
        )));
    }
    let network = NetworkMode::of(&host.network_mode);
    if network == NetworkMode::Host && !host.links.is_empty() {
        return Err(super::links::conflict("host"));
    }
    if matches!(network, NetworkMode::Container(_)) {
        let clash = |what: &str| Err(invalid(format!("conflicting options: {what}")));
        if !config.hostname.is_empty() {
            return clash("hostname and the network mode");
        }
        if !host.links.is_empty() {
            return Err(super::links::conflict("container"));
        }
        if !host.dns.is_empty() {
            return clash("dns and the network mode");
        }
        if !host.extra_hosts.is_empty() {
            return clash("custom host-to-IP mapping and the network mode");
        }
        if !host.port_bindings.is_empty() || host.publish_all_ports {
            return clash("port publishing and the container type network mode");
        }
        if !config.exposed_ports.is_empty() {
            return clash("port exposing and the container type network mode");
        }
        if !config.mac_address.is_empty() {
            return clash("mac-address and the network mode");
        }
    }
    for (port, bindings) in &host.port_bindings {
        port.parse::<Port>()?;
        for binding in bindings {
            binding.host_port.parse::<HostPorts>()?;
            if !binding.host_ip.is_empty() && binding.host_ip.parse::<std::net::IpAddr>().is_err() {
                return Err(invalid(format!("invalid IP address: {}", binding.host_ip)));
            }
        }
    }
    for server in &host.dns {
        if server.parse::<std::net::IpAddr>().is_err() {
            return Err(invalid(format!("invalid IP address: {server}")));
        }
    }
    for entry in &host.extra_hosts {
        let Some((_, address)) = entry.split_once([':', '=']).filter(|(name, _)| !name.is_empty()) else {
            return Err(invalid(format!("bad format for add-host: {entry:?}")));
        };
        let address = address.trim_start_matches('[').trim_end_matches(']');
        if address != "host-gateway" && address.parse::<std::net::IpAddr>().is_err() {
            return Err(invalid(format!("invalid IP address in add-host: {address:?}")));
        }
    }
    Ok(())
}

fn sysctls(host: &HostConfig) -> Result<()> {
    const IPC: [&str; 8] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    for name in host.sysctls.keys() {
        if name.starts_with("net.") {
            if NetworkMode::of(&host.network_mode) == NetworkMode::Host {
                return Err(invalid(format!(
                    "sysctl '{name}' cannot be set in the host's network namespace"
                )));
            }
        } else if !(IPC.contains(&name.as_str())
            || name.starts_with("fs.mqueue.")
            || matches!(name.as_str(), "kernel.domainname" | "kernel.hostname"))
        {
            return Err(invalid(format!("sysctl '{name}' is not allowed")));
        }
    }
    Ok(())
}

fn runtime(host: &HostConfig) -> Result<()> {
    match host.runtime.as_str() {
        "" | "runc" | "gantry" | "io.containerd.runc.v2" | "io.containerd.gantry.v2" => Ok(()),
        other => Err(invalid(format!("unknown or invalid runtime name: {other}"))),
    }
}

fn health(check: Option<&HealthConfig>) -> Result<()> {
    let Some(check) = check else { return Ok(()) };
    for (name, value) in [
        ("Interval", check.interval),
        ("Timeout", check.timeout),
        ("StartPeriod", check.start_period),
        ("StartInterval", check.start_interval),
    ] {
        if value < 0 || (value > 0 && value < LEAST_INTERVAL) {
            return Err(invalid(format!("{name} in Healthcheck cannot be less than 1ms")));
        }
    }
    if check.retries < 0 {
        return Err(invalid("Retries in Healthcheck cannot be negative"));
    }
    if let Some(kind) = check.test.first()
        && !matches!(kind.as_str(), "" | "NONE" | "CMD" | "CMD-SHELL")
    {
        return Err(invalid(format!("Unknown type {kind:?} in Healthcheck (try \"CMD\")")));
    }
    Ok(())
}

fn invalid(text: impl Into<String>) -> Error {
    Error::Invalid(text.into())
}

#[cfg(test)]
mod tests {
    use gantry_api::engine::RestartPolicy;

    use super::*;

    fn checked(change: impl FnOnce(&mut ContainerConfig, &mut HostConfig)) -> Result<Vec<String>> {
        let (mut config, mut host) = (ContainerConfig::default(), HostConfig::default());
        change(&mut config, &mut host);
        check(&config, &host, &crate::app::own_log_drivers())
    }

    #[test]
    fn an_empty_request_is_fine() {
        assert!(checked(|_, _| {}).is_ok());
    }

    #[test]
    fn impossible_limits_are_refused() {
        let limited = |resources: Resources| checked(|_, host| host.resources = Some(resources));
        assert!(limited(Resources { memory: 4096, ..Default::default() }).is_err());
        assert!(limited(Resources { memory: -1, ..Default::default() }).is_err());
        assert!(limited(Resources { memory_reservation: 4096, ..Default::default() }).is_err());
        assert!(limited(Resources { cpu_shares: -1, ..Default::default() }).is_err());
        assert!(limited(Resources { memory_swap: 1 << 30, ..Default::default() }).is_err());
        assert!(limited(Resources { nano_cpus: 1_000_000_000_000, ..Default::default() }).is_err());
        assert!(limited(Resources { memory: 1 << 30, memory_swap: -1, ..Default::default() }).is_ok());
    }

    #[test]
    fn auto_remove_does_not_restart() {
        let refused = checked(|_, host| {
            host.auto_remove = true;
            host.restart_policy = Some(RestartPolicy { name: "always".to_owned(), maximum_retry_count: 0 });
        });
        assert!(refused.is_err());
    }
}
