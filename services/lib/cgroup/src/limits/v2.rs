//! The limits of an OCI spec's `linux.resources`, written to v2's files (Documentation/admin-guide/cgroup-v2.rst; OCI
//! runtime spec, config-linux.md#control-groups, whose units are v1's).
//!
//! Writing the same limits twice changes nothing. A missing controller is an error where a limit needs it, except for
//! weights of block devices, which many schedulers lack. Limits without a file on v2 (network classes, swappiness,
//! kernel memory) are left out: the user got a warning about them.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxResources};
use rustix::fs::{CWD, Mode, OFlags};

use crate::v1::{read_at, write_at};
use crate::{Error, Result};

/// Writes the limits, except the device rules, to the cgroup in `directory`.
pub fn apply(directory: &Path, resources: &LinuxResources) -> Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let group = rustix::fs::openat(CWD, directory, flags, Mode::empty()).map_err(|errno| {
        Error::Directory { directory: directory.into(), op: "open", source: errno.into() }
    })?;
    let limits = Limits(group);
    if let Some(cpu) = resources.cpu() {
        limits.cpu(cpu)?;
    }
    if let Some(memory) = resources.memory() {
        for (file, value) in memory_limits(memory)? {
            limits.set(file, value)?;
        }
    }
    if let Some(limit) = resources.pids().as_ref().map(|pids| pids.limit()).filter(|limit| *limit != 0) {
        limits.set("pids.max", number(limit))?;
    }
    if let Some(block) = resources.block_io() {
        limits.block(block)?;
    }
    for page in resources.hugepage_limits().iter().flatten() {
        limits.set(&format!("hugetlb.{}.max", page.page_size()), page.limit())?;
    }
    for (file, value) in resources.unified().iter().flatten() {
        if file.contains('/') {
            return Err(Error::Limit(format!("{file:?} is no file of a cgroup")));
        }
        limits.set(file, value)?;
    }
    Ok(())
}

/// The files of memory and their values. Swap comes first, so that the limit of both together is never below the old
/// and the new one.
fn memory_limits(memory: &LinuxMemory) -> Result<Vec<(&'static str, String)>> {
    let given = |value: Option<i64>| value.filter(|value| *value != 0);
    let (limit, swap) = (given(memory.limit()), given(memory.swap()));
    let swap = match (limit, swap) {
        (Some(..=-1), None) | (_, Some(..=-1)) => Some("max".to_owned()),
        (_, None) => None,
        // The spec's value is memory with swap, v2's is swap alone; a swap of zero is a limit too.
        (Some(limit @ 1..), Some(swap)) if swap >= limit => Some((swap - limit).to_string()),
        (Some(limit @ 1..), Some(swap)) => {
            return Err(Error::Limit(format!("memory with swap, {swap}, is less than memory, {limit}")));
        }
        (_, Some(_)) => return Err(Error::Limit("swap is limited and memory is not".to_owned())),
    };
    let low = given(memory.reservation()).map(number);
    let all = [("memory.swap.max", swap), ("memory.max", limit.map(number)), ("memory.low", low)];
    Ok(all.into_iter().filter_map(|(file, value)| Some((file, value?))).collect())
}

/// v1's shares, from 2 through 1024 to 262144, as v2's weight, from 1 through 100 to 10000.
pub(crate) fn cpu_weight(shares: u64) -> u64 {
    let logarithm = (shares.clamp(2, 262_144) as f64).log2();
    let exponent = (logarithm * logarithm + 125.0 * logarithm) / 612.0 - 7.0 / 34.0;
    (10_f64.powf(exponent).ceil() as u64).clamp(1, 10_000)
}

/// v1's weight of block devices, from 10 to 1000, as v2's weight, from 1 to 10000.
pub(crate) fn io_weight(weight: u16) -> u64 {
    1 + (u64::from(weight).saturating_sub(10)) * 9999 / 990
}

/// A negative number means no limit.
fn number(limit: i64) -> String {
    if limit < 0 { "max".to_owned() } else { limit.to_string() }
}

struct Limits(OwnedFd);

impl Limits {
    fn cpu(&self, cpu: &LinuxCpu) -> Result<()> {
        if cpu.realtime_period().is_some_and(|period| period != 0)
            || cpu.realtime_runtime().is_some_and(|runtime| runtime != 0)
        {
            return Err(Error::Limit("v2 has no limits of realtime processes".to_owned()));
        }
        let shares = cpu.shares().filter(|shares| *shares != 0);
        self.some("cpu.weight", shares.map(cpu_weight))?;
        self.some("cpu.idle", cpu.idle())?;
        let quota = cpu.quota().filter(|quota| *quota != 0).map(number);
        let period = cpu.period().filter(|period| *period != 0);
        let quota = match (quota, period) {
            (None, None) => None,
            (None, Some(_)) => self.first_word("cpu.max"),
            (quota, _) => quota,
        };
        if let Some(quota) = quota {
            // The period stays as it is unless one is given.
            let period = period.map(|period| format!(" {period}")).unwrap_or_default();
            self.set("cpu.max", format!("{quota}{period}"))?;
        }
        self.some("cpu.max.burst", cpu.burst())?;
        self.some("cpuset.cpus", cpu.cpus().as_ref().filter(|list| !list.is_empty()))?;
        self.some("cpuset.mems", cpu.mems().as_ref().filter(|list| !list.is_empty()))
    }

    fn block(&self, block: &LinuxBlockIo) -> Result<()> {
        if let Some(weight) = block.weight().filter(|weight| *weight != 0) {
            self.weight("io.bfq.weight", weight.to_string())?;
            self.weight("io.weight", io_weight(weight).to_string())?;
        }
        for device in block.weight_device().iter().flatten() {
            if let Some(weight) = device.weight() {
                let value = format!("{}:{} {weight}", device.major(), device.minor());
                self.weight("io.bfq.weight", value)?;
            }
        }
        for (what, devices) in [
            ("rbps", block.throttle_read_bps_device()),
            ("wbps", block.throttle_write_bps_device()),
            ("riops", block.throttle_read_iops_device()),
            ("wiops", block.throttle_write_iops_device()),
        ] {
            for device in devices.iter().flatten() {
                let rate = if device.rate() == 0 { "max".to_owned() } else { device.rate().to_string() };
                self.set("io.max", format!("{}:{} {what}={rate}", device.major(), device.minor()))?;
            }
        }
        Ok(())
    }

    fn first_word(&self, file: &str) -> Option<String> {
        read_at(&self.0, file).ok()?.split_whitespace().next().map(str::to_owned)
    }

    fn weight(&self, file: &str, value: String) -> Result<()> {
        match write_at(&self.0, file, &value) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            written => written.map_err(|error| Error::written(file, &value, error)),
        }
    }

    fn some(&self, file: &str, value: Option<impl ToString>) -> Result<()> {
        value.map_or(Ok(()), |value| self.set(file, value))
    }

    fn set(&self, file: &str, value: impl ToString) -> Result<()> {
        let value = value.to_string();
        write_at(&self.0, file, &value).map_err(|error| Error::written(file, &value, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_go_into_their_files() {
        let directory = tempfile::tempdir().expect("a folder");
        let files =
            ["cpu.weight", "cpu.max", "memory.max", "memory.swap.max", "memory.low", "pids.max", "io.max"];
        for file in files {
            std::fs::write(directory.path().join(file), "").expect("a file");
        }
        let resources = serde_json::from_value(serde_json::json!({
            "memory": {"limit": 100, "swap": 100, "reservation": -1},
            "cpu": {"shares": 1024, "quota": 50_000, "period": 200_000},
            "pids": {"limit": -1},
            "blockIO": {"weight": 100, "throttleReadBpsDevice": [{"major": 8, "minor": 1, "rate": 5}]},
        }))
        .expect("resources");
        apply(directory.path(), &resources).expect("applied");
        let read = |file| std::fs::read_to_string(directory.path().join(file)).expect("a file");
        assert_eq!(files.map(read), ["100", "50000 200000", "100", "0", "max", "max", "8:1 rbps=5"]);
        let cpus = serde_json::from_value(serde_json::json!({"cpu": {"cpus": "0"}})).expect("resources");
        assert!(
            apply(directory.path(), &cpus).expect_err("no such file").to_string().contains("cpuset.cpus")
        );
    }

    #[test]
    fn swap_is_counted_alone() {
        let limits = |limit: i64, swap: i64| {
            let mut memory = LinuxMemory::default();
            memory.set_limit(Some(limit)).set_swap(Some(swap));
            memory_limits(&memory)
        };
        let swap = |limit, swap| limits(limit, swap).expect("limits").first().expect("one").1.clone();
        assert_eq!(swap(10, 15), "5");
        assert_eq!(swap(10, -1), "max");
        assert_eq!(swap(-1, 0), "max");
        assert!(limits(10, 5).is_err() && limits(0, 5).is_err());
        assert_eq!(limits(10, 0).expect("limits"), [("memory.max", "10".to_owned())]);
    }

    #[test]
    fn weights_keep_their_ends_and_their_middle() {
        assert_eq!([2, 1024, 262_144].map(cpu_weight), [1, 100, 10_000]);
        assert_eq!([10, 1000].map(io_weight), [1, 10_000]);
    }
}
