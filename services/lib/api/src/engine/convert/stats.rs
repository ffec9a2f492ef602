//! Conversions of resource usage.

use gantry_proto::gantry::engine::v1 as pb;

use super::{nanoseconds, timestamp};
use crate::engine::{Blkio, Interface, Sample, Stats};

impl From<pb::StatsResponse> for Stats {
    fn from(stats: pb::StatsResponse) -> Self {
        Stats {
            id: stats.id,
            name: stats.name,
            current: stats.current.map(Into::into),
            previous: stats.previous.map(Into::into),
        }
    }
}

impl From<Stats> for pb::StatsResponse {
    fn from(stats: Stats) -> Self {
        pb::StatsResponse {
            id: stats.id,
            name: stats.name,
            current: stats.current.map(Into::into),
            previous: stats.previous.map(Into::into),
        }
    }
}

alike!(
    Sample,
    pb::stats_response::Sample {
        read_at: by(timestamp, nanoseconds),
        cpu_total,
        cpu_kernel,
        cpu_user,
        cpu_per_cpu,
        system_cpu,
        online_cpus,
        throttling_periods,
        throttled_periods,
        throttled_time,
        memory_usage,
        memory_max_usage,
        memory_limit,
        memory_failcnt,
        memory_stats,
        pids_current,
        pids_limit,
        io_service_bytes: each,
        io_serviced: each,
        interfaces: entries,
    }
);

alike!(Blkio, pb::stats_response::Blkio { major, minor, op, value });

alike!(
    Interface,
    pb::stats_response::Interface {
        rx_bytes,
        rx_packets,
        rx_errors,
        rx_dropped,
        tx_bytes,
        tx_packets,
        tx_errors,
        tx_dropped,
    }
);
