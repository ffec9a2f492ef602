//! A cgroup's counters as containerd's metrics messages, version 1 or 2. A counter that no file has is zero.

use std::fs;

use gantry_cgroup::{Cgroup, field, is_unified};
use gantry_proto::io::containerd::cgroups::{v1, v2};
use prost_types::Any;

/// Reads the counters of `cgroup`.
pub fn read(cgroup: &Cgroup) -> Any {
    if is_unified() { gantry_proto::pack(&read_v2(cgroup)) } else { gantry_proto::pack(&read_v1(cgroup)) }
}

struct Files<'a>(&'a Cgroup);

impl Files<'_> {
    fn text(&self, name: &str) -> String {
        self.0.file(name).and_then(|file| fs::read_to_string(file).ok()).unwrap_or_default()
    }

    /// Reads a file with one number; `max` is the largest number.
    fn number(&self, name: &str) -> u64 {
        match self.text(name).trim() {
            "max" => u64::MAX,
            text => text.parse().unwrap_or(0),
        }
    }
}

fn read_v1(cgroup: &Cgroup) -> v1::Metrics {
    let files = Files(cgroup);
    let memory = files.text("memory.stat");
    let memory = |name: &str| field(&memory, name).unwrap_or(0);
    let entry = |prefix: &str| v1::MemoryEntry {
        limit: files.number(&format!("{prefix}.limit_in_bytes")),
        usage: files.number(&format!("{prefix}.usage_in_bytes")),
        max: files.number(&format!("{prefix}.max_usage_in_bytes")),
        failcnt: files.number(&format!("{prefix}.failcnt")),
    };
    let throttling = files.text("cpu.stat");
    let throttling = |name: &str| field(&throttling, name).unwrap_or(0);
    let oom = files.text("memory.oom_control");
    let oom = |name: &str| field(&oom, name).unwrap_or(0);
    let times = files.text("cpuacct.stat");
    let per_cpu = files.text("cpuacct.usage_percpu");
    v1::Metrics {
        pids: Some(v1::PidsStat {
            current: files.number("pids.current"),
            limit: limit(files.number("pids.max")),
        }),
        cpu: Some(v1::CpuStat {
            usage: Some(v1::CpuUsage {
                total: files.number("cpuacct.usage"),
                // The file has ticks of a hundredth of a second.
                kernel: field(&times, "system").unwrap_or(0) * 10_000_000,
                user: field(&times, "user").unwrap_or(0) * 10_000_000,
                per_cpu: per_cpu.split_whitespace().filter_map(|cpu| cpu.parse().ok()).collect(),
            }),
            throttling: Some(v1::Throttle {
                periods: throttling("nr_periods"),
                throttled_periods: throttling("nr_throttled"),
                throttled_time: throttling("throttled_time"),
            }),
        }),
        memory: Some(v1::MemoryStat {
            cache: memory("cache"),
            rss: memory("rss"),
            rss_huge: memory("rss_huge"),
            mapped_file: memory("mapped_file"),
            dirty: memory("dirty"),
            writeback: memory("writeback"),
            pg_pg_in: memory("pgpgin"),
            pg_pg_out: memory("pgpgout"),
            pg_fault: memory("pgfault"),
            pg_maj_fault: memory("pgmajfault"),
            inactive_anon: memory("inactive_anon"),
            active_anon: memory("active_anon"),
            inactive_file: memory("inactive_file"),
            active_file: memory("active_file"),
            unevictable: memory("unevictable"),
            hierarchical_memory_limit: memory("hierarchical_memory_limit"),
            hierarchical_swap_limit: memory("hierarchical_memsw_limit"),
            total_cache: memory("total_cache"),
            total_rss: memory("total_rss"),
            total_rss_huge: memory("total_rss_huge"),
            total_mapped_file: memory("total_mapped_file"),
            total_dirty: memory("total_dirty"),
            total_writeback: memory("total_writeback"),
            total_pg_pg_in: memory("total_pgpgin"),
            total_pg_pg_out: memory("total_pgpgout"),
            total_pg_fault: memory("total_pgfault"),
            total_pg_maj_fault: memory("total_pgmajfault"),
            total_inactive_anon: memory("total_inactive_anon"),
            total_active_anon: memory("total_active_anon"),
            total_inactive_file: memory("total_inactive_file"),
            total_active_file: memory("total_active_file"),
            total_unevictable: memory("total_unevictable"),
            usage: Some(entry("memory")),
            swap: Some(entry("memory.memsw")),
            kernel: Some(entry("memory.kmem")),
            kernel_tcp: Some(entry("memory.kmem.tcp")),
        }),
        blkio: Some(v1::BlkIoStat {
            io_service_bytes_recursive: block_entries(&files, "io_service_bytes"),
            io_serviced_recursive: block_entries(&files, "io_serviced"),
            ..Default::default()
        }),
        memory_oom_control: Some(v1::MemoryOomControl {
            oom_kill_disable: oom("oom_kill_disable"),
            under_oom: oom("under_oom"),
            oom_kill: oom("oom_kill"),
        }),
        ..Default::default()
    }
}

/// Parses `major:minor operation value` lines of the throttling policy, which the kernel always counts.
fn block_entries(files: &Files<'_>, what: &str) -> Vec<v1::BlkIoEntry> {
    let text = files.text(&format!("blkio.throttle.{what}_recursive"));
    let text = if text.is_empty() { files.text(&format!("blkio.throttle.{what}")) } else { text };
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (major, minor) = words.next()?.split_once(':')?;
            Some(v1::BlkIoEntry {
                op: words.next()?.to_string(),
                device: String::new(),
                major: major.parse().ok()?,
                minor: minor.parse().ok()?,
                value: words.next()?.parse().ok()?,
            })
        })
        .collect()
}

fn read_v2(cgroup: &Cgroup) -> v2::Metrics {
    let files = Files(cgroup);
    let cpu = files.text("cpu.stat");
    let cpu = |name: &str| field(&cpu, name).unwrap_or(0);
    let memory = files.text("memory.stat");
    let memory = |name: &str| field(&memory, name).unwrap_or(0);
    let events = files.text("memory.events");
    let events = |name: &str| field(&events, name).unwrap_or(0);
    v2::Metrics {
        pids: Some(v2::PidsStat {
            current: files.number("pids.current"),
            limit: limit(files.number("pids.max")),
        }),
        cpu: Some(v2::CpuStat {
            usage_usec: cpu("usage_usec"),
            user_usec: cpu("user_usec"),
            system_usec: cpu("system_usec"),
            nr_periods: cpu("nr_periods"),
            nr_throttled: cpu("nr_throttled"),
            throttled_usec: cpu("throttled_usec"),
            nr_bursts: cpu("nr_bursts"),
            burst_usec: cpu("burst_usec"),
            ..Default::default()
        }),
        memory: Some(v2::MemoryStat {
            anon: memory("anon"),
            file: memory("file"),
            kernel_stack: memory("kernel_stack"),
            slab: memory("slab"),
            sock: memory("sock"),
            shmem: memory("shmem"),
            file_mapped: memory("file_mapped"),
            file_dirty: memory("file_dirty"),
            file_writeback: memory("file_writeback"),
            anon_thp: memory("anon_thp"),
            inactive_anon: memory("inactive_anon"),
            active_anon: memory("active_anon"),
            inactive_file: memory("inactive_file"),
            active_file: memory("active_file"),
            unevictable: memory("unevictable"),
            slab_reclaimable: memory("slab_reclaimable"),
            slab_unreclaimable: memory("slab_unreclaimable"),
            pgfault: memory("pgfault"),
            pgmajfault: memory("pgmajfault"),
            workingset_refault: memory("workingset_refault_file"),
            workingset_activate: memory("workingset_activate_file"),
            workingset_nodereclaim: memory("workingset_nodereclaim"),
            pgrefill: memory("pgrefill"),
            pgscan: memory("pgscan"),
            pgsteal: memory("pgsteal"),
            pgactivate: memory("pgactivate"),
            pgdeactivate: memory("pgdeactivate"),
            pglazyfree: memory("pglazyfree"),
            pglazyfreed: memory("pglazyfreed"),
            thp_fault_alloc: memory("thp_fault_alloc"),
            thp_collapse_alloc: memory("thp_collapse_alloc"),
            usage: files.number("memory.current"),
            usage_limit: files.number("memory.max"),
            swap_usage: files.number("memory.swap.current"),
            swap_limit: files.number("memory.swap.max"),
            max_usage: files.number("memory.peak"),
            swap_max_usage: files.number("memory.swap.peak"),
            ..Default::default()
        }),
        memory_events: Some(v2::MemoryEvents {
            low: events("low"),
            high: events("high"),
            max: events("max"),
            oom: events("oom"),
            oom_kill: events("oom_kill"),
            oom_group_kill: events("oom_group_kill"),
        }),
        io: Some(v2::IoStat { usage: io_entries(&files.text("io.stat")), ..Default::default() }),
        ..Default::default()
    }
}

/// Parses `major:minor rbytes=… wbytes=… …` lines.
fn io_entries(text: &str) -> Vec<v2::IoEntry> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (major, minor) = words.next()?.split_once(':')?;
            let mut entry =
                v2::IoEntry { major: major.parse().ok()?, minor: minor.parse().ok()?, ..Default::default() };
            for (key, value) in words.filter_map(|word| word.split_once('=')) {
                let value = value.parse().unwrap_or(0);
                match key {
                    "rbytes" => entry.rbytes = value,
                    "wbytes" => entry.wbytes = value,
                    "rios" => entry.rios = value,
                    "wios" => entry.wios = value,
                    _ => {}
                }
            }
            Some(entry)
        })
        .collect()
}

/// In the metrics, no limit is 0.
fn limit(number: u64) -> u64 {
    if number == u64::MAX { 0 } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn io_lines_are_read_by_their_keys() {
        let entries = io_entries("8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5\nnonsense\n");
        assert_eq!(entries.len(), 1);
        assert_eq!((entries[0].rbytes, entries[0].wios), (1, 4));
    }
}
