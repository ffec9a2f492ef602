//! Limits of a whole container: memory, processors, processes, block devices.

use std::os::unix::fs::MetadataExt;

use oci_spec::runtime::{
    LinuxBlockIo, LinuxBlockIoBuilder, LinuxCpu, LinuxMemory, LinuxPidsBuilder, LinuxResources,
    LinuxThrottleDevice, LinuxThrottleDeviceBuilder, LinuxWeightDevice, LinuxWeightDeviceBuilder,
};

use crate::devices::{self, numbers};
use crate::{Device, Error, Facts, Result};

/// The period for `--cpus` in microseconds.
const PERIOD: i64 = 100_000;

/// The limits of a container; zero and empty mean no limit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resources {
    /// Bytes.
    pub memory: i64,
    /// Bytes; a target under memory pressure.
    pub memory_reservation: i64,
    /// Bytes of memory and swap together; -1: no limit of swap.
    pub memory_swap: i64,
    /// 0 to 100; negative: the host's.
    pub memory_swappiness: Option<i64>,
    /// Bytes of TCP buffers.
    pub kernel_memory_tcp: i64,
    /// The kernel kills no process for want of memory.
    pub oom_kill_disable: bool,
    /// The relative weight.
    pub cpu_shares: i64,
    /// Billionths of a processor.
    pub nano_cpus: i64,
    /// Microseconds.
    pub cpu_period: i64,
    /// Microseconds in each period.
    pub cpu_quota: i64,
    /// Microseconds.
    pub cpu_realtime_period: i64,
    /// Microseconds in each period.
    pub cpu_realtime_runtime: i64,
    /// Processors, `0-3,7`.
    pub cpuset_cpus: String,
    /// Memory nodes, `0-1`.
    pub cpuset_mems: String,
    /// The number of processes and threads; 0 and -1: no limit.
    pub pids_limit: Option<i64>,
    /// The relative weight of block I/O, 10 to 1000.
    pub blkio_weight: u32,
    /// The weight for single devices.
    pub blkio_weight_device: Vec<BlockWeight>,
    /// Bytes read per second.
    pub blkio_read_bps: Vec<BlockRate>,
    /// Bytes written per second.
    pub blkio_write_bps: Vec<BlockRate>,
    /// Reads per second.
    pub blkio_read_iops: Vec<BlockRate>,
    /// Writes per second.
    pub blkio_write_iops: Vec<BlockRate>,
    /// Devices beside the runtime's own.
    pub devices: Vec<Device>,
    /// Further rules of the device cgroup, such as `c 42:* rmw`.
    pub device_rules: Vec<String>,
}

/// The weight of a container's I/O on a block device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockWeight {
    /// The path of the device node on the host.
    pub path: String,
    /// 10 to 1000.
    pub weight: u32,
}

/// A limit of a container's I/O on a block device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockRate {
    /// The path of the device node on the host.
    pub path: String,
    /// Per second.
    pub rate: u64,
}

/// The resources of the OCI spec.
pub fn linux_resources(resources: &Resources, privileged: bool, facts: &Facts) -> Result<LinuxResources> {
    let mut linux = LinuxResources::default();
    linux.set_devices(Some(devices::rules(&resources.devices, &resources.device_rules, privileged)?));
    linux.set_memory(memory(resources, facts));
    linux.set_cpu(cpu(resources));
    // Zero: a limit was set before and has to be removed.
    if let Some(limit) = resources.pids_limit.map(|limit| if limit == 0 { -1 } else { limit }) {
        linux.set_pids(Some(LinuxPidsBuilder::default().limit(limit).build().expect("the limit is set")));
    }
    linux.set_block_io(block_io(resources)?);
    Ok(linux)
}

fn memory(resources: &Resources, facts: &Facts) -> Option<LinuxMemory> {
    let mut memory = LinuxMemory::default();
    let mut any = false;
    let mut given = |value: i64| (value != 0).then_some(value).inspect(|_| any = true);
    memory.set_limit(given(resources.memory));
    memory.set_reservation(given(resources.memory_reservation));
    memory.set_kernel_tcp(given(resources.kernel_memory_tcp));
    if facts.swap_limit {
        memory.set_swap(given(resources.memory_swap));
    }
    if let Some(swappiness) = resources.memory_swappiness.filter(|value| *value >= 0)
        && !facts.cgroup_v2
    {
        memory.set_swappiness(u64::try_from(swappiness).ok());
        any = true;
    }
    if resources.oom_kill_disable && !facts.cgroup_v2 {
        memory.set_disable_oom_killer(Some(true));
        any = true;
    }
    any.then_some(memory)
}

fn cpu(resources: &Resources) -> Option<LinuxCpu> {
    let mut cpu = LinuxCpu::default();
    let mut any = false;
    if resources.cpu_shares > 0 {
        cpu.set_shares(u64::try_from(resources.cpu_shares).ok());
        any = true;
    }
    if resources.nano_cpus > 0 {
        cpu.set_period(u64::try_from(PERIOD).ok());
        cpu.set_quota(Some(resources.nano_cpus / 1000 * PERIOD / 1_000_000));
        any = true;
    }
    if resources.cpu_period > 0 {
        cpu.set_period(u64::try_from(resources.cpu_period).ok());
        any = true;
    }
    if resources.cpu_quota != 0 {
        cpu.set_quota(Some(resources.cpu_quota));
        any = true;
    }
    if resources.cpu_realtime_period > 0 {
        cpu.set_realtime_period(u64::try_from(resources.cpu_realtime_period).ok());
        any = true;
    }
    if resources.cpu_realtime_runtime > 0 {
        cpu.set_realtime_runtime(Some(resources.cpu_realtime_runtime));
        any = true;
    }
    if !resources.cpuset_cpus.is_empty() {
        cpu.set_cpus(Some(resources.cpuset_cpus.clone()));
        any = true;
    }
    if !resources.cpuset_mems.is_empty() {
        cpu.set_mems(Some(resources.cpuset_mems.clone()));
        any = true;
    }
    any.then_some(cpu)
}

fn block_io(resources: &Resources) -> Result<Option<LinuxBlockIo>> {
    let nothing = resources.blkio_weight == 0
        && resources.blkio_weight_device.is_empty()
        && resources.blkio_read_bps.is_empty()
        && resources.blkio_write_bps.is_empty()
        && resources.blkio_read_iops.is_empty()
        && resources.blkio_write_iops.is_empty();
    if nothing {
        return Ok(None);
    }
    let mut builder = LinuxBlockIoBuilder::default();
    if resources.blkio_weight > 0 {
        builder = builder.weight(u16::try_from(resources.blkio_weight).unwrap_or(u16::MAX));
    }
    let weights: Vec<LinuxWeightDevice> = resources
        .blkio_weight_device
        .iter()
        .map(|device| {
            let (major, minor) = device_numbers(&device.path)?;
            Ok(LinuxWeightDeviceBuilder::default()
                .major(major)
                .minor(minor)
                .weight(u16::try_from(device.weight).unwrap_or(u16::MAX))
                .build()
                .expect("every field of the device is set"))
        })
        .collect::<Result<_>>()?;
    builder = builder
        .weight_device(weights)
        .throttle_read_bps_device(throttles(&resources.blkio_read_bps)?)
        .throttle_write_bps_device(throttles(&resources.blkio_write_bps)?)
        .throttle_read_iops_device(throttles(&resources.blkio_read_iops)?)
        .throttle_write_iops_device(throttles(&resources.blkio_write_iops)?);
    Ok(Some(builder.build().expect("every field is set or has a default")))
}

fn throttles(devices: &[BlockRate]) -> Result<Vec<LinuxThrottleDevice>> {
    devices
        .iter()
        .map(|device| {
            let (major, minor) = device_numbers(&device.path)?;
            Ok(LinuxThrottleDeviceBuilder::default()
                .major(major)
                .minor(minor)
                .rate(device.rate)
                .build()
                .expect("every field of the device is set"))
        })
        .collect()
}

fn device_numbers(path: &str) -> Result<(i64, i64)> {
    let metadata =
        std::fs::metadata(path).map_err(|source| Error::BlockDevice { path: path.to_owned(), source })?;
    Ok(numbers(metadata.rdev()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_become_a_quota() {
        let resources = Resources { nano_cpus: 1_500_000_000, ..Resources::default() };
        let linux = linux_resources(&resources, false, &Facts::plain()).expect("valid");
        let cpu = linux.cpu().clone().expect("limited");
        assert_eq!((cpu.quota(), cpu.period()), (Some(150_000), Some(100_000)));
    }

    #[test]
    fn nothing_asked_is_nothing_limited() {
        let linux = linux_resources(&Resources::default(), false, &Facts::plain()).expect("valid");
        assert!(linux.memory().is_none() && linux.cpu().is_none() && linux.pids().is_none());
    }

    #[test]
    fn swap_is_only_limited_where_the_kernel_can() {
        let resources = Resources { memory: 1 << 20, memory_swap: 2 << 20, ..Resources::default() };
        let without = Facts { swap_limit: false, ..Facts::plain() };
        let linux = linux_resources(&resources, false, &without).expect("valid");
        assert_eq!(linux.memory().as_ref().and_then(|memory| memory.swap()), None);
    }
}
