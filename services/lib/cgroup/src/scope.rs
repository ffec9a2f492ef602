//! A container's cgroup as a scope of systemd's, on hosts where systemd manages the only hierarchy: systemd leaves
//! its scopes alone, and may overwrite cgroups that it does not know (systemd's CGROUP_DELEGATION.md).
//!
//! A scope begins with a process. The runtime helper joins the scope, its child processes are born there, and the
//! helper goes back to its own cgroup. The scope ends by itself with its last process. systemd gets the limits too,
//! so that it sets the same ones when it reloads its configuration; the runtime then writes those that systemd rounds
//! or does not know.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use gantry_systemd::{Property, Systemd, Value};
use oci_spec::runtime::{LinuxCpu, LinuxMemory, LinuxResources};
use rustix::fs::{CWD, Mode, OFlags};

use crate::limits::v2::{cpu_weight, io_weight};
use crate::v1::write_at;
use crate::{Error, ROOT, Result};

/// How long an ended scope of the same name may take to go.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(10);

/// A scope, by name.
#[derive(Debug, PartialEq, Eq)]
pub struct Scope {
    slice: String,
    unit: String,
}

/// The calling process's visit to a container's scope.
pub struct Visit {
    home: OwnedFd,
}

impl Scope {
    /// The path of `slice:prefix:name`, the form that runtimes with systemd take.
    pub fn path_of(text: &str) -> Option<String> {
        let mut parts = text.splitn(3, ':');
        let (slice, prefix, name) = (parts.next()?, parts.next()?, parts.next()?);
        let slice = if slice.is_empty() { "system.slice" } else { slice };
        let unit = if prefix.is_empty() { format!("{name}.scope") } else { format!("{prefix}-{name}.scope") };
        Some(format!("{}/{unit}", gantry_systemd::slice_path(slice)?))
    }

    /// The scope of a cgroup path, if systemd manages it.
    pub fn of_path(path: &str) -> Option<Self> {
        if !crate::is_unified() || !gantry_systemd::is_running() {
            return None;
        }
        Self::named_by(path)
    }

    fn named_by(path: &str) -> Option<Self> {
        let (above, unit) = path.rsplit_once('/')?;
        let slice = above.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("-.slice");
        (unit.ends_with(".scope") && gantry_systemd::slice_path(slice)? == above)
            .then(|| Self { slice: slice.to_owned(), unit: unit.to_owned() })
    }

    /// Makes the scope, with the calling process in it and without limits, which are the container's.
    pub fn enter(&self, id: &str) -> Result<Visit> {
        let visit = Visit { home: own_directory()? };
        let properties = [
            ("Description", Value::Text(format!("container {id}"))),
            ("Slice", Value::Text(self.slice.clone())),
            ("PIDs", Value::Pids(vec![std::process::id()])),
            ("Delegate", Value::Bool(true)),
            // Containers end with the machine, not at the beginning of its shutdown.
            ("DefaultDependencies", Value::Bool(false)),
            ("CollectMode", Value::Text("inactive-or-failed".to_owned())),
            // systemd has a default limit for units without one.
            ("TasksMax", Value::Number(u64::MAX)),
        ];
        let mut systemd = Systemd::connect()?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match systemd.start_scope(&self.unit, &properties) {
                Ok(()) => return Ok(visit),
                Err(error) if error.is_unit_exists() && Instant::now() < deadline => {
                    // The earlier scope of the name, which systemd has not released yet.
                    let _ = systemd.reset_failed(&self.unit);
                    std::thread::sleep(PAUSE);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Passes limits to systemd. A container that was made without systemd has no scope, which is no error.
    pub fn limit(&self, resources: &LinuxResources) -> Result<()> {
        let properties = limits(resources);
        if properties.is_empty() {
            return Ok(());
        }
        let changed =
            Systemd::connect().and_then(|mut systemd| systemd.set_properties(&self.unit, &properties));
        match changed {
            Err(error) if !error.is_no_such_unit() => Err(error.into()),
            _ => Ok(()),
        }
    }
}

impl Visit {
    /// Moves the process back to its own cgroup.
    pub fn leave(self) -> Result<()> {
        write_at(&self.home, "cgroup.procs", "0")
            .map_err(|source| Error::Move { what: "leave the container's cgroup", source })
    }
}

fn own_directory() -> Result<OwnedFd> {
    let failed = |source| Error::Move { what: "the helper's own cgroup", source };
    let text = std::fs::read_to_string("/proc/self/cgroup").map_err(failed)?;
    let below = text.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, Path::new(ROOT).join(below), flags, Mode::empty())
        .map_err(|errno| failed(errno.into()))
}

/// Limits as properties of systemd (systemd.resource-control(5)).
fn limits(resources: &LinuxResources) -> Vec<Property> {
    let mut properties = Vec::new();
    if let Some(memory) = resources.memory() {
        properties.extend(memory_limits(memory));
    }
    if let Some(cpu) = resources.cpu() {
        properties.extend(cpu_limits(cpu));
    }
    if let Some(pids) = resources.pids() {
        properties.push(("TasksMax", Value::Number(u64::try_from(pids.limit()).unwrap_or(u64::MAX))));
    }
    let weight =
        resources.block_io().as_ref().and_then(|block| block.weight()).filter(|weight| *weight >= 10);
    if let Some(weight) = weight {
        properties.push(("IOWeight", Value::Number(io_weight(weight))));
    }
    properties
}

fn memory_limits(memory: &LinuxMemory) -> Vec<Property> {
    // A negative number means no limit.
    let bytes = |value: i64| Value::Number(u64::try_from(value).unwrap_or(u64::MAX));
    let mut properties = Vec::new();
    let limit = memory.limit().filter(|limit| *limit != 0);
    properties.extend(limit.map(|limit| ("MemoryMax", bytes(limit))));
    properties.extend(memory.reservation().filter(|low| *low != 0).map(|low| ("MemoryLow", bytes(low))));
    // The spec's value is memory with swap, v2's is swap alone.
    if let Some(swap) = memory.swap().filter(|swap| *swap != 0) {
        match limit {
            Some(limit) if swap > 0 && limit > 0 => {
                properties.push(("MemorySwapMax", bytes((swap - limit).max(0))));
            }
            _ if swap < 0 => properties.push(("MemorySwapMax", bytes(swap))),
            _ => {}
        }
    }
    properties
}

fn cpu_limits(cpu: &LinuxCpu) -> Vec<Property> {
    let mut properties = Vec::new();
    if let Some(weight) = cpu.shares().filter(|shares| *shares != 0).map(cpu_weight) {
        properties.push(("CPUWeight", Value::Number(weight)));
    }
    let period = cpu.period().filter(|period| *period != 0);
    properties.extend(period.map(|period| ("CPUQuotaPeriodUSec", Value::Number(period))));
    match cpu.quota() {
        Some(quota @ 1..) => {
            let period = u128::from(period.unwrap_or(100_000));
            let in_a_second = u128::from(quota.unsigned_abs()) * 1_000_000 / period;
            let in_a_second = u64::try_from(in_a_second).unwrap_or(u64::MAX);
            properties.push(("CPUQuotaPerSecUSec", Value::Number(in_a_second.max(1))));
        }
        Some(..=-1) => properties.push(("CPUQuotaPerSecUSec", Value::Number(u64::MAX))),
        _ => {}
    }
    for (name, list) in [("AllowedCPUs", cpu.cpus()), ("AllowedMemoryNodes", cpu.mems())] {
        if let Some(set) = list.as_deref().filter(|list| !list.is_empty()).and_then(set_of) {
            properties.push((name, Value::Bytes(set)));
        }
    }
    properties
}

/// Parses a list such as `0-2,4` to bits, the lowest first; `None` when it is not a list.
fn set_of(list: &str) -> Option<Vec<u8>> {
    let mut set = Vec::new();
    for part in list.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.trim().parse::<u16>().ok()?, last.trim().parse::<u16>().ok()?);
        for number in usize::from(first)..=usize::from(last) {
            let byte = number / 8;
            set.resize(set.len().max(byte + 1), 0);
            set[byte] |= 1 << (number % 8);
        }
    }
    Some(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_named_in_both_ways() {
        let path = Scope::path_of("a-b.slice:docker:1f").expect("a path");
        assert_eq!(path, "/a.slice/a-b.slice/docker-1f.scope");
        let scope = Scope { slice: "a-b.slice".into(), unit: "docker-1f.scope".into() };
        assert_eq!(Scope::named_by(&path), Some(scope));
        assert_eq!(Scope::path_of(":cri:x").as_deref(), Some("/system.slice/cri-x.scope"));
        for other in ["/docker/1f", "/x/docker-1f.scope", "/b.slice/a-b.slice/x.scope", "x.scope"] {
            assert_eq!(Scope::named_by(other), None, "{other}");
        }
        assert_eq!(Scope::path_of("/docker/1f"), None);
    }

    #[test]
    fn limits_are_told_in_systemd_s_units() {
        let resources: LinuxResources = serde_json::from_value(serde_json::json!({
            "memory": {"limit": 100, "swap": 250, "reservation": -1},
            "cpu": {"shares": 1024, "quota": 50_000, "period": 200_000, "cpus": "0-1,9"},
            "pids": {"limit": 7},
            "blockIO": {"weight": 1000},
        }))
        .expect("resources");
        let number = |name, value| (name, Value::Number(value));
        assert_eq!(
            limits(&resources),
            [
                number("MemoryMax", 100),
                number("MemoryLow", u64::MAX),
                number("MemorySwapMax", 150),
                number("CPUWeight", 100),
                number("CPUQuotaPeriodUSec", 200_000),
                number("CPUQuotaPerSecUSec", 250_000),
                ("AllowedCPUs", Value::Bytes(vec![0b11, 0b10])),
                number("TasksMax", 7),
                number("IOWeight", 10_000),
            ]
        );
        assert_eq!(set_of("0-x"), None);
    }
}
