//! Turns the options of `run` and `create` into the engine's request, as Docker's client does, so that the same options
//! create the same container.

pub mod environment;
mod mounts;
mod networks;
mod ports;
pub mod value;

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use gantry_api::engine::{
    ContainerConfig, CreateSpec, DeviceMapping, HealthConfig, HostConfig, LogConfig, Resources,
    RestartPolicy, ThrottleDevice, Ulimit,
};

use crate::cli::container::{ContainerOptions, Health, Limits};
use value::{bytes, pair, pairs};

/// The client whose defaults the engine applies.
const API_VERSION: &str = "1.51";

/// The request; `attached` says whether the tool shows the output.
pub fn request(options: &ContainerOptions, attached: bool) -> Result<CreateSpec> {
    let (network_mode, networks) = networks::endpoints(&options.network)?;
    let mut config = config(options, attached)?;
    let mut host = host(options)?;
    if networks::is_user_defined(&network_mode) {
        host.links.clear();
    } else if let Some(address) = &options.network.mac_address {
        config.mac_address.clone_from(address);
    }
    host.network_mode = network_mode;
    let identity = &options.identity;
    if identity.rm
        && host.restart_policy.as_ref().is_some_and(|policy| !matches!(policy.name.as_str(), "" | "no"))
    {
        bail!("conflicting options: cannot specify both --restart and --rm");
    }
    Ok(CreateSpec {
        name: identity.name.clone().unwrap_or_default(),
        platform: identity.platform.clone().unwrap_or_default(),
        config,
        host,
        networks,
        api_version: API_VERSION.to_owned(),
    })
}

fn config(options: &ContainerOptions, attached: bool) -> Result<ContainerConfig> {
    let (process, network) = (&options.process, &options.network);
    let mut exposed = ports::exposed(&network.expose)?;
    for port in ports::bindings(&network.publish)?.into_keys() {
        if !exposed.contains(&port) {
            exposed.push(port);
        }
    }
    let entrypoint = process.entrypoint.clone().map(|program| vec![program]);
    Ok(ContainerConfig {
        image: options.image.clone(),
        cmd: (!options.command.is_empty()).then(|| options.command.clone()),
        entrypoint,
        env: environment::variables(&process.env_file, &process.env)?,
        user: process.user.clone().unwrap_or_default(),
        working_dir: process.workdir.clone().unwrap_or_default(),
        tty: process.tty,
        open_stdin: process.interactive,
        stdin_once: process.interactive && attached,
        attach_stdin: process.interactive && attached,
        attach_stdout: attached,
        attach_stderr: attached,
        exposed_ports: exposed,
        hostname: network.hostname.clone().unwrap_or_default(),
        domainname: network.domainname.clone().unwrap_or_default(),
        volumes: mounts::volumes(&options.storage.volumes)?.1,
        labels: environment::labels(&options.identity.label_file, &options.identity.labels)?
            .into_iter()
            .collect(),
        stop_signal: process.stop_signal.clone().unwrap_or_default(),
        stop_timeout: process.stop_timeout,
        healthcheck: health(&options.health)?,
        ..ContainerConfig::default()
    })
}

fn host(options: &ContainerOptions) -> Result<HostConfig> {
    let (storage, network, security) = (&options.storage, &options.network, &options.security);
    let (process, limits, logging) = (&options.process, &options.more_limits, &options.logging);
    let mut host = HostConfig {
        binds: mounts::volumes(&storage.volumes)?.0,
        mounts: storage.mounts.iter().map(|text| mounts::mount(text)).collect::<Result<_>>()?,
        tmpfs: mounts::tmpfs(&storage.tmpfs).collect(),
        volumes_from: storage.volumes_from.clone(),
        volume_driver: storage.volume_driver.clone().unwrap_or_default(),
        readonly_rootfs: storage.read_only,
        storage_opt: pairs(&storage.storage_opt, "storage-opt")?,
        container_id_file: options
            .identity
            .cidfile
            .as_ref()
            .map(|file| file.display().to_string())
            .unwrap_or_default(),
        log_config: Some(LogConfig {
            r#type: logging.log_driver.clone().unwrap_or_default(),
            config: pairs(&logging.log_opts, "log-opt")?,
        }),
        port_bindings: ports::bindings(&network.publish)?,
        publish_all_ports: network.publish_all,
        restart_policy: Some(restart(options.identity.restart.as_deref().unwrap_or_default())?),
        auto_remove: options.identity.rm,
        annotations: pairs(&options.identity.annotations, "annotation")?,
        cap_add: security.cap_add.iter().map(|name| capability(name)).collect(),
        cap_drop: security.cap_drop.iter().map(|name| capability(name)).collect(),
        privileged: security.privileged,
        userns_mode: security.userns.clone().unwrap_or_default(),
        sysctls: pairs(&security.sysctls, "sysctl")?,
        cgroupns_mode: limits.cgroupns.clone().unwrap_or_default(),
        dns: network.dns.iter().map(ToString::to_string).collect(),
        dns_options: network.dns_option.clone(),
        dns_search: network.dns_search.clone(),
        extra_hosts: network.add_host.iter().map(|text| extra_host(text)).collect::<Result<_>>()?,
        links: network.links.clone(),
        group_add: process.group_add.clone(),
        ipc_mode: process.ipc.clone().unwrap_or_default(),
        pid_mode: process.pid.clone().unwrap_or_default(),
        uts_mode: process.uts.clone().unwrap_or_default(),
        init: process.init.then_some(true),
        oom_score_adj: limits.oom_score_adj.unwrap_or_default(),
        shm_size: limits.shm_size.unwrap_or_default(),
        runtime: options.identity.runtime.clone().unwrap_or_default(),
        resources: Some(all_resources(options)?),
        ..HostConfig::default()
    };
    security_options(&security.security_opt, &mut host)?;
    Ok(host)
}

/// The changes of `update`.
pub fn resources(limits: &Limits) -> Resources {
    Resources {
        memory: limits.memory.unwrap_or_default(),
        memory_reservation: limits.memory_reservation.unwrap_or_default(),
        memory_swap: limits.memory_swap.unwrap_or_default(),
        nano_cpus: limits.cpus.unwrap_or_default(),
        cpu_shares: limits.cpu_shares.unwrap_or_default(),
        cpu_period: limits.cpu_period.unwrap_or_default(),
        cpu_quota: limits.cpu_quota.unwrap_or_default(),
        cpuset_cpus: limits.cpuset_cpus.clone().unwrap_or_default(),
        cpuset_mems: limits.cpuset_mems.clone().unwrap_or_default(),
        blkio_weight: limits.blkio_weight.unwrap_or_default(),
        pids_limit: limits.pids_limit,
        ..Resources::default()
    }
}

fn all_resources(options: &ContainerOptions) -> Result<Resources> {
    let more = &options.more_limits;
    Ok(Resources {
        memory_swappiness: more.memory_swappiness,
        oom_kill_disable: more.oom_kill_disable.then_some(true),
        ulimits: more.ulimits.iter().map(|text| ulimit(text)).collect::<Result<_>>()?,
        devices: options.storage.devices.iter().map(|text| device(text)).collect::<Result<_>>()?,
        device_cgroup_rules: options.storage.device_cgroup_rule.clone(),
        blkio_device_read_bps: rates(&more.device_read_bps, "device-read-bps", bytes)?,
        blkio_device_write_bps: rates(&more.device_write_bps, "device-write-bps", bytes)?,
        blkio_device_read_iops: rates(&more.device_read_iops, "device-read-iops", number)?,
        blkio_device_write_iops: rates(&more.device_write_iops, "device-write-iops", number)?,
        cgroup_parent: more.cgroup_parent.clone().unwrap_or_default(),
        ..resources(&options.limits)
    })
}

fn number(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

/// `DEVICE:RATE`
fn rates(
    texts: &[String],
    option: &str,
    read: fn(&str) -> Result<i64, String>,
) -> Result<Vec<ThrottleDevice>> {
    let rate = |text: &String| {
        let (path, rate) = text.rsplit_once(':').context("DEVICE:RATE is expected")?;
        let rate = read(rate).map_err(anyhow::Error::msg)?;
        anyhow::Ok(ThrottleDevice { path: path.to_owned(), rate: u64::try_from(rate)? })
    };
    texts.iter().map(|text| rate(text).with_context(|| format!("--{option} {text}"))).collect()
}

/// A capability's full name.
fn capability(name: &str) -> String {
    let name = name.trim().to_uppercase();
    if name == "ALL" || name.starts_with("CAP_") { name } else { format!("CAP_{name}") }
}

/// `NAME=SOFT[:HARD]`
fn ulimit(text: &str) -> Result<Ulimit> {
    let read = || {
        let (name, limits) = pair(text, "ulimit")?;
        let (soft, hard) = limits.split_once(':').unwrap_or((&limits, &limits));
        let limit = |text: &str| text.parse::<i64>().with_context(|| format!("{text:?} is no limit"));
        let (soft, hard) = (limit(soft)?, limit(hard)?);
        if hard != -1 && (soft == -1 || soft > hard) {
            bail!("the soft limit is above the hard one");
        }
        anyhow::Ok(Ulimit { name, soft, hard })
    };
    read().with_context(|| format!("--ulimit {text}"))
}

/// `PATH[:PATH][:rwm]`
fn device(text: &str) -> Result<DeviceMapping> {
    let is_permissions =
        |text: &str| !text.is_empty() && text.chars().all(|letter| matches!(letter, 'r' | 'w' | 'm'));
    let parts: Vec<_> = text.split(':').collect();
    let (host, container, permissions) = match parts[..] {
        [host] => (host, host, "rwm"),
        [host, permissions] if is_permissions(permissions) => (host, host, permissions),
        [host, container] => (host, container, "rwm"),
        [host, container, permissions] if is_permissions(permissions) => (host, container, permissions),
        _ => bail!("--device {text}: PATH[:PATH][:rwm] is expected"),
    };
    if host.is_empty() || container.is_empty() {
        bail!("--device {text}: PATH[:PATH][:rwm] is expected");
    }
    Ok(DeviceMapping {
        path_on_host: host.to_owned(),
        path_in_container: container.to_owned(),
        cgroup_permissions: permissions.to_owned(),
    })
}

/// `NAME:ADDRESS`, also with `=` between them.
fn extra_host(text: &str) -> Result<String> {
    let (name, address) = text
        .split_once('=')
        .or_else(|| text.split_once(':'))
        .filter(|(name, _)| !name.is_empty())
        .with_context(|| format!("--add-host {text}: NAME:ADDRESS is expected"))?;
    let bare = address.trim_matches(['[', ']']);
    if address != "host-gateway" && bare.parse::<std::net::IpAddr>().is_err() {
        bail!("--add-host {text}: {address:?} is no address");
    }
    Ok(format!("{name}:{bare}"))
}

/// `NAME[:TIMES]`
pub fn restart(text: &str) -> Result<RestartPolicy> {
    let (name, times) = text.split_once(':').unwrap_or((text, "0"));
    let known = matches!(name, "" | "no" | "always" | "unless-stopped" | "on-failure");
    if !known || (text.contains(':') && name != "on-failure") {
        bail!("--restart {text}: no, always, unless-stopped or on-failure[:N] is expected");
    }
    let maximum_retry_count =
        times.parse().with_context(|| format!("--restart {text}: {times:?} is no number"))?;
    Ok(RestartPolicy { name: name.to_owned(), maximum_retry_count })
}

fn health(of: &Health) -> Result<Option<HealthConfig>> {
    let times = [of.health_interval, of.health_timeout, of.health_start_period, of.health_start_interval];
    let wished = of.health_cmd.is_some() || times.iter().any(Option::is_some) || of.health_retries.is_some();
    if of.no_healthcheck {
        if wished {
            bail!("--no-healthcheck conflicts with --health-* options");
        }
        return Ok(Some(HealthConfig { test: vec!["NONE".to_owned()], ..HealthConfig::default() }));
    }
    let test = of.health_cmd.iter().flat_map(|command| ["CMD-SHELL".to_owned(), command.clone()]).collect();
    let [interval, timeout, start_period, start_interval] = times.map(Option::unwrap_or_default);
    let retries = of.health_retries.unwrap_or_default().into();
    let config = HealthConfig { test, interval, timeout, start_period, start_interval, retries };
    Ok(wished.then_some(config))
}

/// Reads files that options name, because the engine takes their contents.
fn security_options(options: &[String], host: &mut HostConfig) -> Result<()> {
    for option in options {
        let (key, value) = option.split_once(['=', ':']).unwrap_or((option, ""));
        match (key, value) {
            ("systempaths", "unconfined") => {
                host.masked_paths = Some(Vec::new());
                host.readonly_paths = Some(Vec::new());
            }
            ("seccomp", file) if !matches!(file, "unconfined" | "builtin" | "") => {
                let profile = std::fs::read(file).with_context(|| format!("--security-opt {option}"))?;
                let profile: serde_json::Value =
                    serde_json::from_slice(&profile).with_context(|| format!("--security-opt {option}"))?;
                host.security_opt.push(format!("seccomp={profile}"));
            }
            _ => host.security_opt.push(option.clone()),
        }
    }
    Ok(())
}

/// Labels in the form of the services.
pub fn label_map(options: &[String]) -> Result<HashMap<String, String>> {
    Ok(environment::labels(&[], options)?.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_devices_hosts_and_policies() {
        let limit = ulimit("nofile=10:20").expect("a limit");
        assert_eq!((limit.name.as_str(), limit.soft, limit.hard), ("nofile", 10, 20));
        assert_eq!(ulimit("core=-1").expect("none").hard, -1);
        for wrong in ["nofile", "nofile=20:10", "nofile=x", "nofile=-1:5"] {
            assert!(ulimit(wrong).is_err(), "{wrong}");
        }
        let parts = |text| {
            device(text)
                .map(|of| [of.path_on_host, of.path_in_container, of.cgroup_permissions].join(" "))
                .ok()
        };
        assert_eq!(parts("/dev/a").as_deref(), Some("/dev/a /dev/a rwm"));
        assert_eq!(parts("/dev/a:r").as_deref(), Some("/dev/a /dev/a r"));
        assert_eq!(parts("/dev/a:/dev/b:rw").as_deref(), Some("/dev/a /dev/b rw"));
        assert_eq!(parts("/dev/a:/dev/b:q"), None);
        assert_eq!(extra_host("a=::1").expect("a host"), "a:::1");
        assert_eq!(extra_host("a:host-gateway").expect("a host"), "a:host-gateway");
        assert!(extra_host("a:b").is_err() && extra_host("a").is_err());
        assert_eq!(restart("on-failure:3").expect("a policy").maximum_retry_count, 3);
        assert!(restart("always:3").is_err() && restart("sometimes").is_err());
    }
}
