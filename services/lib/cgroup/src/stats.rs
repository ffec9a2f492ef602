//! What a cgroup has used, in one form for both generations.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::{Error, Hierarchies, Result, Version};

/// What a cgroup has used so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Processor time.
    pub cpu: Cpu,
    /// Memory.
    pub memory: Memory,
    /// Processes.
    pub pids: Pids,
    /// Block devices.
    pub io: Io,
}

/// Processor time in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cpu {
    /// In all.
    pub total: u64,
    /// In user mode.
    pub user: u64,
    /// In the kernel.
    pub system: u64,
    /// On each processor; empty on v2, which does not count that.
    pub per_cpu: Vec<u64>,
    /// Periods in which a quota was in force.
    pub periods: u64,
    /// Those in which it was used up.
    pub throttled_periods: u64,
    /// For how long.
    pub throttled: u64,
}

/// Memory in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// In use now, page cache included.
    pub usage: u64,
    /// The most that was.
    pub max_usage: u64,
    /// The limit; `None` for none.
    pub limit: Option<u64>,
    /// Swap in use now (on v2; on v1 memory and swap together).
    pub swap_usage: u64,
    /// Its limit.
    pub swap_limit: Option<u64>,
    /// How often the limit was hit.
    pub failures: u64,
    /// How many processes the kernel killed for it.
    pub oom_kills: u64,
    /// `memory.stat` as the kernel wrote it.
    pub detail: BTreeMap<String, u64>,
}

/// Processes and threads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pids {
    /// How many there are.
    pub current: u64,
    /// How many there may be; `None` for any number.
    pub limit: Option<u64>,
}

/// Traffic with block devices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Io {
    /// Bytes.
    pub bytes: Vec<IoEntry>,
    /// Operations.
    pub operations: Vec<IoEntry>,
}

/// One device's traffic in one direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IoEntry {
    /// The device's major number.
    pub major: u64,
    /// The device's minor number.
    pub minor: u64,
    /// `Read`, `Write`, `Sync`, `Async`, `Discard`, `Total`.
    pub op: String,
    /// How much.
    pub value: u64,
}

pub(crate) fn read(hierarchies: &Hierarchies, cgroup: &str) -> Result<Stats> {
    if !hierarchies.exists(cgroup) {
        return Err(Error::os("read cgroup", cgroup, io::Error::from(io::ErrorKind::NotFound)));
    }
    let directory = |controller| hierarchies.directory(controller, cgroup);
    match hierarchies.version() {
        Version::V1 => Ok(Stats {
            cpu: match (directory("cpuacct"), directory("cpu")) {
                (Some(accounts), Some(cpu)) => cpu_v1(&accounts, &cpu)?,
                _ => Cpu::default(),
            },
            memory: directory("memory").map(|d| memory_v1(&d)).transpose()?.unwrap_or_default(),
            pids: directory("pids").map(|d| pids(&d)).transpose()?.unwrap_or_default(),
            io: directory("blkio").map(|d| io_v1(&d)).transpose()?.unwrap_or_default(),
        }),
        Version::V2 => {
            let Some(directory) = directory("") else {
                return Ok(Stats::default());
            };
            Ok(Stats {
                cpu: cpu_v2(&directory)?,
                memory: memory_v2(&directory)?,
                pids: pids(&directory)?,
                io: io_v2(&directory)?,
            })
        }
    }
}

/// A file's text; empty if this kernel does not have the file.
fn text(directory: &Path, file: &str) -> Result<String> {
    let path = directory.join(file);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text),
        Err(error)
            if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV | libc::EOPNOTSUPP)) =>
        {
            Ok(String::new())
        }
        Err(error) => Err(Error::path("read", path, error)),
    }
}

fn number(directory: &Path, file: &str) -> Result<u64> {
    Ok(text(directory, file)?.trim().parse().unwrap_or(0))
}

/// A limit: `max` on v2, and on v1 a number near the largest there is, mean none.
fn limit(directory: &Path, file: &str) -> Result<Option<u64>> {
    Ok(text(directory, file)?.trim().parse().ok().filter(|limit| *limit < (1 << 62)))
}

fn table(directory: &Path, file: &str) -> Result<BTreeMap<String, u64>> {
    Ok(text(directory, file)?
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(key, value)| Some((key.to_owned(), value.trim().parse().ok()?)))
        .collect())
}

fn take(table: &BTreeMap<String, u64>, key: &str) -> u64 {
    table.get(key).copied().unwrap_or(0)
}

fn cpu_v1(accounts: &Path, cpu: &Path) -> Result<Cpu> {
    // cpuacct.stat counts in ticks, of which Linux shows user space 100 a second on every architecture.
    const TICK: u64 = 10_000_000;
    let modes = table(accounts, "cpuacct.stat")?;
    let throttling = table(cpu, "cpu.stat")?;
    Ok(Cpu {
        total: number(accounts, "cpuacct.usage")?,
        user: take(&modes, "user") * TICK,
        system: take(&modes, "system") * TICK,
        per_cpu: text(accounts, "cpuacct.usage_percpu")?
            .split_whitespace()
            .filter_map(|n| n.parse().ok())
            .collect(),
        periods: take(&throttling, "nr_periods"),
        throttled_periods: take(&throttling, "nr_throttled"),
        throttled: take(&throttling, "throttled_time"),
    })
}

fn cpu_v2(directory: &Path) -> Result<Cpu> {
    let stat = table(directory, "cpu.stat")?;
    Ok(Cpu {
        total: take(&stat, "usage_usec") * 1000,
        user: take(&stat, "user_usec") * 1000,
        system: take(&stat, "system_usec") * 1000,
        per_cpu: Vec::new(),
        periods: take(&stat, "nr_periods"),
        throttled_periods: take(&stat, "nr_throttled"),
        throttled: take(&stat, "throttled_usec") * 1000,
    })
}

fn memory_v1(directory: &Path) -> Result<Memory> {
    Ok(Memory {
        usage: number(directory, "memory.usage_in_bytes")?,
        max_usage: number(directory, "memory.max_usage_in_bytes")?,
        limit: limit(directory, "memory.limit_in_bytes")?,
        swap_usage: number(directory, "memory.memsw.usage_in_bytes")?,
        swap_limit: limit(directory, "memory.memsw.limit_in_bytes")?,
        failures: number(directory, "memory.failcnt")?,
        oom_kills: take(&table(directory, "memory.oom_control")?, "oom_kill"),
        detail: table(directory, "memory.stat")?,
    })
}

fn memory_v2(directory: &Path) -> Result<Memory> {
    let events = table(directory, "memory.events")?;
    Ok(Memory {
        usage: number(directory, "memory.current")?,
        max_usage: number(directory, "memory.peak")?,
        limit: limit(directory, "memory.max")?,
        swap_usage: number(directory, "memory.swap.current")?,
        swap_limit: limit(directory, "memory.swap.max")?,
        failures: take(&events, "oom"),
        oom_kills: take(&events, "oom_kill"),
        detail: table(directory, "memory.stat")?,
    })
}

fn pids(directory: &Path) -> Result<Pids> {
    Ok(Pids { current: number(directory, "pids.current")?, limit: limit(directory, "pids.max")? })
}

fn io_v1(directory: &Path) -> Result<Io> {
    Ok(Io {
        bytes: parse_io_v1(&text(directory, "blkio.throttle.io_service_bytes_recursive")?),
        operations: parse_io_v1(&text(directory, "blkio.throttle.io_serviced_recursive")?),
    })
}

/// Lines of `8:0 Read 4096`; the last line is the sum and has no device.
fn parse_io_v1(text: &str) -> Vec<IoEntry> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (major, minor) = words.next()?.split_once(':')?;
            let op = words.next()?.to_owned();
            Some(IoEntry {
                major: major.parse().ok()?,
                minor: minor.parse().ok()?,
                op,
                value: words.next()?.parse().ok()?,
            })
        })
        .collect()
}

/// Lines of `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`.
fn io_v2(directory: &Path) -> Result<Io> {
    let mut io = Io::default();
    for line in text(directory, "io.stat")?.lines() {
        let mut words = line.split_whitespace();
        let Some((major, minor)) = words.next().and_then(|device| device.split_once(':')) else {
            continue;
        };
        let (Ok(major), Ok(minor)) = (major.parse::<u64>(), minor.parse::<u64>()) else {
            continue;
        };
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            let Ok(value) = value.parse() else { continue };
            let entry = |op: &str| IoEntry { major, minor, op: op.to_owned(), value };
            match key {
                "rbytes" => io.bytes.push(entry("read")),
                "wbytes" => io.bytes.push(entry("write")),
                "rios" => io.operations.push(entry("read")),
                "wios" => io.operations.push(entry("write")),
                _ => {}
            }
        }
    }
    Ok(io)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_traffic_leaves_the_sum_out() {
        let entries = parse_io_v1("254:0 Read 4096\n254:0 Write 0\nTotal 4096\n");
        assert_eq!(entries.len(), 2);
        assert_eq!((entries[0].major, entries[0].op.as_str(), entries[0].value), (254, "Read", 4096));
    }
}
