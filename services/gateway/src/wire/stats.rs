//! Samples of a container's usage.

use std::collections::BTreeMap;

use gantry_api::engine::{self, Blkio, Sample};
use gantry_api::time;
use serde::Serialize;

use super::is_default;
use crate::moment;

/// One object of `GET /containers/{id}/stats`.
#[derive(Debug, Serialize)]
pub struct Stats {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    pub read: String,
    pub preread: String,
    pub pids_stats: Pids,
    pub blkio_stats: BlkioStats,
    pub num_procs: u32,
    pub storage_stats: super::Empty,
    pub cpu_stats: Cpu,
    pub precpu_stats: Cpu,
    pub memory_stats: Memory,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub networks: BTreeMap<String, Interface>,
}

#[derive(Debug, Default, Serialize)]
pub struct Pids {
    #[serde(skip_serializing_if = "is_default")]
    pub current: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub limit: u64,
}

#[derive(Debug, Serialize)]
pub struct BlkioStats {
    pub io_service_bytes_recursive: Option<Vec<BlkioEntry>>,
    pub io_serviced_recursive: Option<Vec<BlkioEntry>>,
    pub io_queue_recursive: Option<Vec<BlkioEntry>>,
    pub io_service_time_recursive: Option<Vec<BlkioEntry>>,
    pub io_wait_time_recursive: Option<Vec<BlkioEntry>>,
    pub io_merged_recursive: Option<Vec<BlkioEntry>>,
    pub io_time_recursive: Option<Vec<BlkioEntry>>,
    pub sectors_recursive: Option<Vec<BlkioEntry>>,
}

#[derive(Debug, Serialize)]
pub struct BlkioEntry {
    pub major: u64,
    pub minor: u64,
    pub op: String,
    pub value: u64,
}

#[derive(Debug, Default, Serialize)]
pub struct Cpu {
    pub cpu_usage: CpuUsage,
    #[serde(skip_serializing_if = "is_default")]
    pub system_cpu_usage: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub online_cpus: u32,
    pub throttling_data: Throttling,
}

#[derive(Debug, Default, Serialize)]
pub struct CpuUsage {
    pub total_usage: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_usage: Vec<u64>,
    pub usage_in_kernelmode: u64,
    pub usage_in_usermode: u64,
}

#[derive(Debug, Default, Serialize)]
pub struct Throttling {
    pub periods: u64,
    pub throttled_periods: u64,
    pub throttled_time: u64,
}

#[derive(Debug, Default, Serialize)]
pub struct Memory {
    #[serde(skip_serializing_if = "is_default")]
    pub usage: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub max_usage: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub stats: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "is_default")]
    pub failcnt: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub limit: u64,
}

#[derive(Debug, Serialize)]
pub struct Interface {
    pub rx_bytes: u64,
    pub rx_packets: u64,
    pub rx_errors: u64,
    pub rx_dropped: u64,
    pub tx_bytes: u64,
    pub tx_packets: u64,
    pub tx_errors: u64,
    pub tx_dropped: u64,
}

impl From<engine::Stats> for Stats {
    fn from(stats: engine::Stats) -> Self {
        let current = stats.current.unwrap_or_default();
        let previous = stats.previous.unwrap_or_default();
        Self {
            name: format!("/{}", stats.name.trim_start_matches('/')),
            id: stats.id,
            read: moment::rfc3339_nano(time::timestamp(current.read_at).as_ref()),
            preread: moment::rfc3339_nano(time::timestamp(previous.read_at).as_ref()),
            pids_stats: Pids { current: current.pids_current, limit: current.pids_limit },
            blkio_stats: blkio(&current),
            num_procs: 0,
            storage_stats: super::Empty,
            cpu_stats: cpu(&current),
            precpu_stats: cpu(&previous),
            networks: current
                .interfaces
                .into_iter()
                .map(|(name, of)| {
                    let interface = Interface {
                        rx_bytes: of.rx_bytes,
                        rx_packets: of.rx_packets,
                        rx_errors: of.rx_errors,
                        rx_dropped: of.rx_dropped,
                        tx_bytes: of.tx_bytes,
                        tx_packets: of.tx_packets,
                        tx_errors: of.tx_errors,
                        tx_dropped: of.tx_dropped,
                    };
                    (name, interface)
                })
                .collect(),
            memory_stats: Memory {
                usage: current.memory_usage,
                max_usage: current.memory_max_usage,
                stats: current.memory_stats.into_iter().collect(),
                failcnt: current.memory_failcnt,
                limit: current.memory_limit,
            },
        }
    }
}

fn cpu(sample: &Sample) -> Cpu {
    Cpu {
        cpu_usage: CpuUsage {
            total_usage: sample.cpu_total,
            percpu_usage: sample.cpu_per_cpu.clone(),
            usage_in_kernelmode: sample.cpu_kernel,
            usage_in_usermode: sample.cpu_user,
        },
        system_cpu_usage: sample.system_cpu,
        online_cpus: sample.online_cpus,
        throttling_data: Throttling {
            periods: sample.throttling_periods,
            throttled_periods: sample.throttled_periods,
            throttled_time: sample.throttled_time,
        },
    }
}

/// A list that Docker writes as `[]` on cgroup v1, which alone has figures for each CPU, and as `null` on cgroup v2.
fn blkio(sample: &Sample) -> BlkioStats {
    let entries = |of: &[Blkio]| {
        let entry =
            |of: &Blkio| BlkioEntry { major: of.major, minor: of.minor, op: of.op.clone(), value: of.value };
        (!of.is_empty() || !sample.cpu_per_cpu.is_empty()).then(|| of.iter().map(entry).collect())
    };
    BlkioStats {
        io_service_bytes_recursive: entries(&sample.io_service_bytes),
        io_serviced_recursive: entries(&sample.io_serviced),
        io_queue_recursive: entries(&[]),
        io_service_time_recursive: entries(&[]),
        io_wait_time_recursive: entries(&[]),
        io_merged_recursive: entries(&[]),
        io_time_recursive: entries(&[]),
        sectors_recursive: entries(&[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_container_has_zero_times() {
        let stats = Stats::from(engine::Stats {
            id: "abc".into(),
            name: "web".into(),
            current: None,
            previous: None,
        });
        let json = serde_json::to_value(&stats).expect("json");
        assert_eq!(json["name"], "/web");
        assert_eq!(json["read"], moment::ZERO);
        assert_eq!(json["memory_stats"], serde_json::json!({}));
        assert_eq!(json["blkio_stats"]["io_service_bytes_recursive"], serde_json::Value::Null);
        assert!(json.get("networks").is_none());
    }
}
