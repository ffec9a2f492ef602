//! The limits of an OCI spec's `linux.resources`, written to v1's files
//! (Documentation/admin-guide/cgroup-v1; OCI runtime spec, config-linux.md#control-groups).
//!
//! Writing the same limits twice changes nothing. A missing controller is an error where a limit needs it, except for
//! the swap limit, which many kernels lack: the user got a warning about it.

use std::io;

use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxDeviceCgroup, LinuxMemory, LinuxResources};

use crate::v1::{Group, read_at, write_at};
use crate::{Error, Result};

/// The devices that every container may use, whatever its spec says: it may make nodes of any device, and use the
/// harmless ones, terminals, and tun.
pub(crate) const ALWAYS_ALLOWED: [&str; 12] = [
    "c *:* m",
    "b *:* m",
    "c 1:3 rwm",
    "c 1:5 rwm",
    "c 1:7 rwm",
    "c 1:8 rwm",
    "c 1:9 rwm",
    "c 5:0 rwm",
    "c 5:1 rwm",
    "c 5:2 rwm",
    "c 136:* rwm",
    "c 10:200 rwm",
];

/// Writes the limits, except the device rules.
pub fn apply(group: &Group, resources: &LinuxResources) -> Result<()> {
    let limits = Limits(group);
    if let Some(cpu) = resources.cpu() {
        limits.cpu(cpu)?;
    }
    if let Some(memory) = resources.memory() {
        limits.memory(memory)?;
    }
    if let Some(pids) = resources.pids() {
        let limit = pids.limit();
        limits.set("pids.max", if limit > 0 { limit.to_string() } else { "max".into() })?;
    }
    if let Some(block) = resources.block_io() {
        limits.block(block)?;
    }
    for page in resources.hugepage_limits().iter().flatten() {
        limits.set(&format!("hugetlb.{}.limit_in_bytes", page.page_size()), page.limit())?;
    }
    if let Some(network) = resources.network() {
        limits.some("net_cls.classid", network.class_id())?;
        for one in network.priorities().iter().flatten() {
            limits.set("net_prio.ifpriomap", format!("{} {}", one.name(), one.priority()))?;
        }
    }
    Ok(())
}

/// Writes the device rules in their order. Without rules, every device is allowed.
pub fn apply_devices(group: &Group, rules: &[LinuxDeviceCgroup]) -> Result<()> {
    if rules.is_empty() {
        return Ok(());
    }
    let limits = Limits(group);
    for rule in rules {
        limits.set(if rule.allow() { "devices.allow" } else { "devices.deny" }, rule)?;
    }
    ALWAYS_ALLOWED.iter().try_for_each(|rule| limits.set("devices.allow", rule))
}

struct Limits<'a>(&'a Group);

impl Limits<'_> {
    fn cpu(&self, cpu: &LinuxCpu) -> Result<()> {
        self.some("cpu.shares", cpu.shares().filter(|shares| *shares != 0))?;
        self.some("cpu.idle", cpu.idle())?;
        self.some("cpu.cfs_burst_us", cpu.burst())?;
        let (period, quota) =
            (cpu.period().filter(|period| *period != 0), cpu.quota().filter(|quota| *quota != 0));
        // The kernel checks quota and period together: a period that is too long for the old quota may fit the new
        // one.
        if self.some("cpu.cfs_period_us", period).is_err() {
            self.some("cpu.cfs_quota_us", quota)?;
            self.some("cpu.cfs_period_us", period)?;
        }
        self.some("cpu.cfs_quota_us", quota)?;
        self.some("cpu.rt_period_us", cpu.realtime_period().filter(|period| *period != 0))?;
        self.some("cpu.rt_runtime_us", cpu.realtime_runtime().filter(|runtime| *runtime != 0))?;
        self.some("cpuset.cpus", cpu.cpus().as_ref().filter(|list| !list.is_empty()))?;
        self.some("cpuset.mems", cpu.mems().as_ref().filter(|list| !list.is_empty()))
    }

    fn memory(&self, memory: &LinuxMemory) -> Result<()> {
        const LIMIT: &str = "memory.limit_in_bytes";
        const BOTH: &str = "memory.memsw.limit_in_bytes";
        let limit = memory.limit().filter(|limit| *limit != 0);
        let swap = memory.swap().filter(|swap| *swap != 0 && self.0.with(BOTH).is_some());
        // The limit of memory with swap must never be below that of memory, not even between the two writes.
        let now = self
            .0
            .with(LIMIT)
            .and_then(|directory| read_at(directory, LIMIT).ok()?.trim().parse::<i64>().ok());
        if swap.is_some_and(|swap| swap == -1 || now.is_some_and(|now| now < swap)) {
            self.some(BOTH, swap)?;
            self.some(LIMIT, limit)?;
        } else {
            self.some(LIMIT, limit)?;
            self.some(BOTH, swap)?;
        }
        self.some("memory.soft_limit_in_bytes", memory.reservation().filter(|bytes| *bytes != 0))?;
        self.some("memory.kmem.tcp.limit_in_bytes", memory.kernel_tcp().filter(|bytes| *bytes != 0))?;
        self.some("memory.swappiness", memory.swappiness().filter(|percent| *percent <= 100))?;
        self.some("memory.oom_control", memory.disable_oom_killer().filter(|off| *off).map(|_| 1))
    }

    fn block(&self, block: &LinuxBlockIo) -> Result<()> {
        let weight_file =
            if self.0.with("blkio.weight").is_some() { "blkio.weight" } else { "blkio.bfq.weight" };
        self.some(weight_file, block.weight().filter(|weight| *weight != 0))?;
        self.some("blkio.leaf_weight", block.leaf_weight().filter(|weight| *weight != 0))?;
        for device in block.weight_device().iter().flatten() {
            let (major, minor) = (device.major(), device.minor());
            if let Some(weight) = device.weight() {
                self.set(&format!("{weight_file}_device"), format!("{major}:{minor} {weight}"))?;
            }
            if let Some(weight) = device.leaf_weight() {
                self.set("blkio.leaf_weight_device", format!("{major}:{minor} {weight}"))?;
            }
        }
        for (file, devices) in [
            ("blkio.throttle.read_bps_device", block.throttle_read_bps_device()),
            ("blkio.throttle.write_bps_device", block.throttle_write_bps_device()),
            ("blkio.throttle.read_iops_device", block.throttle_read_iops_device()),
            ("blkio.throttle.write_iops_device", block.throttle_write_iops_device()),
        ] {
            for device in devices.iter().flatten() {
                self.set(file, format!("{}:{} {}", device.major(), device.minor(), device.rate()))?;
            }
        }
        Ok(())
    }

    fn some(&self, file: &str, value: Option<impl ToString>) -> Result<()> {
        value.map_or(Ok(()), |value| self.set(file, value))
    }

    fn set(&self, file: &str, value: impl ToString) -> Result<()> {
        let value = value.to_string();
        let written = match self.0.with(file) {
            Some(directory) => write_at(directory, file, &value),
            None => Err(io::Error::from(io::ErrorKind::NotFound)),
        };
        written.map_err(|error| Error::written(file, &value, error))
    }
}
