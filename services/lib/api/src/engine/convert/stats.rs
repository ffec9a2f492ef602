//! What a container uses.

use gantry_proto::gantry::engine::v1 as pb;

use super::{nanoseconds, timestamp};
use crate::engine::{Blkio, Interface, Sample};

impl From<Sample> for pb::stats_response::Sample {
    fn from(sample: Sample) -> Self {
        pb::stats_response::Sample {
            read_at: timestamp(sample.read_at),
            cpu_total: sample.cpu_total,
            cpu_kernel: sample.cpu_kernel,
            cpu_user: sample.cpu_user,
            cpu_per_cpu: sample.cpu_per_cpu,
            system_cpu: sample.system_cpu,
            online_cpus: sample.online_cpus,
            throttling_periods: sample.throttling_periods,
            throttled_periods: sample.throttled_periods,
            throttled_time: sample.throttled_time,
            memory_usage: sample.memory_usage,
            memory_max_usage: sample.memory_max_usage,
            memory_limit: sample.memory_limit,
            memory_failcnt: sample.memory_failcnt,
            memory_stats: sample.memory_stats,
            pids_current: sample.pids_current,
            pids_limit: sample.pids_limit,
            io_service_bytes: sample.io_service_bytes.into_iter().map(Into::into).collect(),
            io_serviced: sample.io_serviced.into_iter().map(Into::into).collect(),
            interfaces: sample.interfaces.into_iter().map(|(name, one)| (name, one.into())).collect(),
        }
    }
}

impl From<pb::stats_response::Sample> for Sample {
    fn from(sample: pb::stats_response::Sample) -> Self {
        Sample {
            read_at: nanoseconds(sample.read_at),
            cpu_total: sample.cpu_total,
            cpu_kernel: sample.cpu_kernel,
            cpu_user: sample.cpu_user,
            cpu_per_cpu: sample.cpu_per_cpu,
            system_cpu: sample.system_cpu,
            online_cpus: sample.online_cpus,
            throttling_periods: sample.throttling_periods,
            throttled_periods: sample.throttled_periods,
            throttled_time: sample.throttled_time,
            memory_usage: sample.memory_usage,
            memory_max_usage: sample.memory_max_usage,
            memory_limit: sample.memory_limit,
            memory_failcnt: sample.memory_failcnt,
            memory_stats: sample.memory_stats,
            pids_current: sample.pids_current,
            pids_limit: sample.pids_limit,
            io_service_bytes: sample.io_service_bytes.into_iter().map(Into::into).collect(),
            io_serviced: sample.io_serviced.into_iter().map(Into::into).collect(),
            interfaces: sample.interfaces.into_iter().map(|(name, one)| (name, one.into())).collect(),
        }
    }
}

impl From<Blkio> for pb::stats_response::Blkio {
    fn from(blkio: Blkio) -> Self {
        pb::stats_response::Blkio { major: blkio.major, minor: blkio.minor, op: blkio.op, value: blkio.value }
    }
}

impl From<pb::stats_response::Blkio> for Blkio {
    fn from(blkio: pb::stats_response::Blkio) -> Self {
        Blkio { major: blkio.major, minor: blkio.minor, op: blkio.op, value: blkio.value }
    }
}

impl From<Interface> for pb::stats_response::Interface {
    fn from(interface: Interface) -> Self {
        pb::stats_response::Interface {
            rx_bytes: interface.rx_bytes,
            rx_packets: interface.rx_packets,
            rx_errors: interface.rx_errors,
            rx_dropped: interface.rx_dropped,
            tx_bytes: interface.tx_bytes,
            tx_packets: interface.tx_packets,
            tx_errors: interface.tx_errors,
            tx_dropped: interface.tx_dropped,
        }
    }
}

impl From<pb::stats_response::Interface> for Interface {
    fn from(interface: pb::stats_response::Interface) -> Self {
        Interface {
            rx_bytes: interface.rx_bytes,
            rx_packets: interface.rx_packets,
            rx_errors: interface.rx_errors,
            rx_dropped: interface.rx_dropped,
            tx_bytes: interface.tx_bytes,
            tx_packets: interface.tx_packets,
            tx_errors: interface.tx_errors,
            tx_dropped: interface.tx_dropped,
        }
    }
}
