//! Conversion of a cgroup's figures, which shims send in one message for each version of cgroups.

use std::collections::HashMap;

use gantry_proto::io::containerd::cgroups::{v1, v2};
use gantry_proto::unpack;
use prost_types::Any;

use crate::tasks::{Blkio, Usage};

/// Reads a message of cgroup version 1 or 2; `None` for another type, and for one that does not decode.
pub fn usage(metrics: &Any) -> Option<Usage> {
    match unpack::<v2::Metrics>(metrics) {
        Some(metrics) => metrics.ok().map(of_v2),
        None => unpack::<v1::Metrics>(metrics)?.ok().map(of_v1),
    }
}

fn of_v1(metrics: v1::Metrics) -> Usage {
    let cpu = metrics.cpu.unwrap_or_default();
    let (usage, throttling) = (cpu.usage.unwrap_or_default(), cpu.throttling.unwrap_or_default());
    let memory = metrics.memory.unwrap_or_default();
    let pids = metrics.pids.unwrap_or_default();
    let blocks = metrics.blkio.unwrap_or_default();
    let blkio = |entries: Vec<v1::BlkIoEntry>| {
        let entry =
            |one: v1::BlkIoEntry| Blkio { major: one.major, minor: one.minor, op: one.op, value: one.value };
        entries.into_iter().map(entry).collect()
    };
    let memory_stats = named([
        ("cache", memory.cache),
        ("rss", memory.rss),
        ("rss_huge", memory.rss_huge),
        ("mapped_file", memory.mapped_file),
        ("dirty", memory.dirty),
        ("writeback", memory.writeback),
        ("pgpgin", memory.pg_pg_in),
        ("pgpgout", memory.pg_pg_out),
        ("pgfault", memory.pg_fault),
        ("pgmajfault", memory.pg_maj_fault),
        ("inactive_anon", memory.inactive_anon),
        ("active_anon", memory.active_anon),
        ("inactive_file", memory.inactive_file),
        ("active_file", memory.active_file),
        ("unevictable", memory.unevictable),
        ("hierarchical_memory_limit", memory.hierarchical_memory_limit),
        ("hierarchical_memsw_limit", memory.hierarchical_swap_limit),
        ("total_cache", memory.total_cache),
        ("total_rss", memory.total_rss),
        ("total_rss_huge", memory.total_rss_huge),
        ("total_mapped_file", memory.total_mapped_file),
        ("total_dirty", memory.total_dirty),
        ("total_writeback", memory.total_writeback),
        ("total_pgpgin", memory.total_pg_pg_in),
        ("total_pgpgout", memory.total_pg_pg_out),
        ("total_pgfault", memory.total_pg_fault),
        ("total_pgmajfault", memory.total_pg_maj_fault),
        ("total_inactive_anon", memory.total_inactive_anon),
        ("total_active_anon", memory.total_active_anon),
        ("total_inactive_file", memory.total_inactive_file),
        ("total_active_file", memory.total_active_file),
        ("total_unevictable", memory.total_unevictable),
    ]);
    let both = memory.usage.unwrap_or_default();
    Usage {
        cpu_total: usage.total,
        cpu_kernel: usage.kernel,
        cpu_user: usage.user,
        cpu_per_cpu: usage.per_cpu,
        throttling_periods: throttling.periods,
        throttled_periods: throttling.throttled_periods,
        throttled_time: throttling.throttled_time,
        memory_usage: both.usage,
        memory_max_usage: both.max,
        memory_limit: both.limit,
        memory_failcnt: both.failcnt,
        memory_stats,
        pids_current: pids.current,
        pids_limit: pids.limit,
        io_service_bytes: blkio(blocks.io_service_bytes_recursive),
        io_serviced: blkio(blocks.io_serviced_recursive),
    }
}

fn of_v2(metrics: v2::Metrics) -> Usage {
    let cpu = metrics.cpu.unwrap_or_default();
    let memory = metrics.memory.unwrap_or_default();
    let pids = metrics.pids.unwrap_or_default();
    let blkio = |one: v2::IoEntry| {
        [("read", one.rbytes), ("write", one.wbytes)].map(|(op, value)| Blkio {
            major: one.major,
            minor: one.minor,
            op: op.to_owned(),
            value,
        })
    };
    let memory_stats = named([
        ("anon", memory.anon),
        ("file", memory.file),
        ("kernel_stack", memory.kernel_stack),
        ("slab", memory.slab),
        ("sock", memory.sock),
        ("shmem", memory.shmem),
        ("file_mapped", memory.file_mapped),
        ("file_dirty", memory.file_dirty),
        ("file_writeback", memory.file_writeback),
        ("anon_thp", memory.anon_thp),
        ("inactive_anon", memory.inactive_anon),
        ("active_anon", memory.active_anon),
        ("inactive_file", memory.inactive_file),
        ("active_file", memory.active_file),
        ("unevictable", memory.unevictable),
        ("slab_reclaimable", memory.slab_reclaimable),
        ("slab_unreclaimable", memory.slab_unreclaimable),
        ("pgfault", memory.pgfault),
        ("pgmajfault", memory.pgmajfault),
        ("workingset_refault", memory.workingset_refault),
        ("workingset_activate", memory.workingset_activate),
        ("workingset_nodereclaim", memory.workingset_nodereclaim),
        ("pgrefill", memory.pgrefill),
        ("pgscan", memory.pgscan),
        ("pgsteal", memory.pgsteal),
        ("pgactivate", memory.pgactivate),
        ("pgdeactivate", memory.pgdeactivate),
        ("pglazyfree", memory.pglazyfree),
        ("pglazyfreed", memory.pglazyfreed),
        ("thp_fault_alloc", memory.thp_fault_alloc),
        ("thp_collapse_alloc", memory.thp_collapse_alloc),
    ]);
    Usage {
        cpu_total: cpu.usage_usec * 1000,
        cpu_kernel: cpu.system_usec * 1000,
        cpu_user: cpu.user_usec * 1000,
        throttling_periods: cpu.nr_periods,
        throttled_periods: cpu.nr_throttled,
        throttled_time: cpu.throttled_usec * 1000,
        memory_usage: memory.usage,
        memory_limit: memory.usage_limit,
        memory_failcnt: metrics.memory_events.unwrap_or_default().oom,
        memory_stats,
        pids_current: pids.current,
        pids_limit: pids.limit,
        io_service_bytes: metrics.io.unwrap_or_default().usage.into_iter().flat_map(blkio).collect(),
        ..Default::default()
    }
}

fn named<const N: usize>(figures: [(&str, u64); N]) -> HashMap<String, u64> {
    figures.map(|(name, value)| (name.to_owned(), value)).into()
}

#[cfg(test)]
mod tests {
    use gantry_proto::pack;

    use super::*;

    #[test]
    fn both_generations_are_read() {
        let metrics = v2::Metrics {
            cpu: Some(v2::CpuStat { usage_usec: 3, ..Default::default() }),
            memory: Some(v2::MemoryStat { inactive_file: 7, usage_limit: u64::MAX, ..Default::default() }),
            io: Some(v2::IoStat {
                usage: vec![v2::IoEntry { major: 8, rbytes: 1, wbytes: 2, rios: 9, ..Default::default() }],
                ..Default::default()
            }),
            ..Default::default()
        };
        let found = usage(&pack(&metrics)).expect("known");
        assert_eq!(
            (found.cpu_total, found.memory_limit, found.memory_stats["inactive_file"]),
            (3000, u64::MAX, 7)
        );
        let traffic: Vec<_> = found.io_service_bytes.iter().map(|one| (one.op.as_str(), one.value)).collect();
        assert_eq!(traffic, [("read", 1), ("write", 2)]);
        let memory = v1::MemoryStat {
            usage: Some(v1::MemoryEntry { usage: 5, max: 6, ..Default::default() }),
            total_inactive_file: 4,
            ..Default::default()
        };
        let found = usage(&pack(&v1::Metrics { memory: Some(memory), ..Default::default() })).expect("known");
        assert_eq!(
            (found.memory_usage, found.memory_max_usage, found.memory_stats["total_inactive_file"]),
            (5, 6, 4)
        );
        assert_eq!(usage(&Any::default()), None);
    }
}
