//! Limits: memory, processors, processes, block devices, and the rlimits' names.

use std::os::unix::fs::MetadataExt;

use gantry_proto::gantry::engine::v1 as pb;
use oci_spec::runtime::{
    LinuxBlockIo, LinuxBlockIoBuilder, LinuxCpu, LinuxMemory, LinuxPidsBuilder, LinuxResources,
    LinuxThrottleDevice, LinuxThrottleDeviceBuilder, LinuxWeightDevice, LinuxWeightDeviceBuilder,
    PosixRlimitType,
};

use super::devices::{self, numbers};
use super::{Error, HostFacts};

/// The period over which `--cpus` is counted, in microseconds.
const PERIOD: i64 = 100_000;

/// The cgroup's settings.
pub fn linux_resources(
    resources: &pb::Resources,
    privileged: bool,
    facts: &HostFacts,
) -> Result<LinuxResources, Error> {
    let mut linux = LinuxResources::default();
    linux.set_devices(Some(devices::rules(resources, privileged)?));
    linux.set_memory(memory(resources, facts));
    linux.set_cpu(cpu(resources));
    // Zero: it had a limit once, which the kernel has to forget.
    if let Some(limit) = resources.pids_limit.map(|limit| if limit == 0 { -1 } else { limit }) {
        linux.set_pids(Some(LinuxPidsBuilder::default().limit(limit).build().expect("the limit is set")));
    }
    linux.set_block_io(block_io(resources)?);
    Ok(linux)
}

fn memory(resources: &pb::Resources, facts: &HostFacts) -> Option<LinuxMemory> {
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
    if resources.oom_kill_disable == Some(true) && !facts.cgroup_v2 {
        memory.set_disable_oom_killer(Some(true));
        any = true;
    }
    any.then_some(memory)
}

fn cpu(resources: &pb::Resources) -> Option<LinuxCpu> {
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

fn block_io(resources: &pb::Resources) -> Result<Option<LinuxBlockIo>, Error> {
    let nothing = resources.blkio_weight == 0
        && resources.blkio_weight_device.is_empty()
        && resources.blkio_device_read_bps.is_empty()
        && resources.blkio_device_write_bps.is_empty()
        && resources.blkio_device_read_iops.is_empty()
        && resources.blkio_device_write_iops.is_empty();
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
        .collect::<Result<_, Error>>()?;
    builder = builder
        .weight_device(weights)
        .throttle_read_bps_device(throttles(&resources.blkio_device_read_bps)?)
        .throttle_write_bps_device(throttles(&resources.blkio_device_write_bps)?)
        .throttle_read_iops_device(throttles(&resources.blkio_device_read_iops)?)
        .throttle_write_iops_device(throttles(&resources.blkio_device_write_iops)?);
    Ok(Some(builder.build().expect("every field is set or has a default")))
}

fn throttles(devices: &[pb::ThrottleDevice]) -> Result<Vec<LinuxThrottleDevice>, Error> {
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

fn device_numbers(path: &str) -> Result<(i64, i64), Error> {
    let metadata = std::fs::metadata(path)
        .map_err(|source| Error::Invalid(format!("cannot use block device {path}: {source}")))?;
    Ok(numbers(metadata.rdev()))
}

/// The rlimit that Docker's short name means.
pub fn rlimit_name(name: &str) -> Result<PosixRlimitType, Error> {
    Ok(match name {
        "core" => PosixRlimitType::RlimitCore,
        "cpu" => PosixRlimitType::RlimitCpu,
        "data" => PosixRlimitType::RlimitData,
        "fsize" => PosixRlimitType::RlimitFsize,
        "locks" => PosixRlimitType::RlimitLocks,
        "memlock" => PosixRlimitType::RlimitMemlock,
        "msgqueue" => PosixRlimitType::RlimitMsgqueue,
        "nice" => PosixRlimitType::RlimitNice,
        "nofile" => PosixRlimitType::RlimitNofile,
        "nproc" => PosixRlimitType::RlimitNproc,
        "rss" => PosixRlimitType::RlimitRss,
        "rtprio" => PosixRlimitType::RlimitRtprio,
        "rttime" => PosixRlimitType::RlimitRttime,
        "sigpending" => PosixRlimitType::RlimitSigpending,
        "stack" => PosixRlimitType::RlimitStack,
        other => return Err(Error::Invalid(format!("invalid ulimit type: {other}"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> HostFacts {
        HostFacts {
            cgroup_v2: false,
            systemd: false,
            swap_limit: true,
            apparmor: false,
            seccomp: true,
            hostname: "h".to_owned(),
        }
    }

    #[test]
    fn cpus_become_a_quota() {
        let resources = pb::Resources { nano_cpus: 1_500_000_000, ..Default::default() };
        let linux = linux_resources(&resources, false, &facts()).expect("valid");
        let cpu = linux.cpu().clone().expect("limited");
        assert_eq!((cpu.quota(), cpu.period()), (Some(150_000), Some(100_000)));
    }

    #[test]
    fn nothing_asked_is_nothing_limited() {
        let linux = linux_resources(&pb::Resources::default(), false, &facts()).expect("valid");
        assert!(linux.memory().is_none() && linux.cpu().is_none() && linux.pids().is_none());
    }

    #[test]
    fn swap_is_only_limited_where_the_kernel_can() {
        let resources = pb::Resources { memory: 1 << 20, memory_swap: 2 << 20, ..Default::default() };
        let without = HostFacts { swap_limit: false, ..facts() };
        let linux = linux_resources(&resources, false, &without).expect("valid");
        assert_eq!(linux.memory().as_ref().and_then(|memory| memory.swap()), None);
    }
}
