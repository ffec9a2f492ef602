//! The kernel's facts about this process, proc(5), under the usual names of metrics.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// Reads the facts at each scrape; leaves out those that it cannot read.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        if let Some(bytes) = resident() {
            let metric = ConstGauge::new(bytes);
            gauge(&mut encoder, "process_resident_memory", "Resident memory", Some(&Unit::Bytes), &metric)?;
        }
        if let Ok(entries) = fs::read_dir("/proc/self/fd") {
            let count = i64::try_from(entries.count()).unwrap_or(i64::MAX);
            gauge(&mut encoder, "process_open_fds", "Open file descriptors", None, &ConstGauge::new(count))?;
        }
        if let Some((cpu, start)) = times() {
            let help = "When the process started, since 1970";
            let metric = ConstGauge::new(start);
            gauge(&mut encoder, "process_start_time", help, Some(&Unit::Seconds), &metric)?;
            let help = "CPU time in user and in kernel mode";
            let metric = ConstCounter::new(cpu);
            let kind = metric.metric_type();
            metric.encode(encoder.encode_descriptor("process_cpu", help, Some(&Unit::Seconds), kind)?)?;
        }
        Ok(())
    }
}

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    metric: &impl EncodeMetric,
) -> Result<(), std::fmt::Error> {
    metric.encode(encoder.encode_descriptor(name, help, unit, metric.metric_type())?)
}

/// The resident memory in bytes, from proc_pid_statm(5).
fn resident() -> Option<i64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: i64 = statm.split(' ').nth(1)?.parse().ok()?;
    pages.checked_mul(i64::try_from(rustix::param::page_size()).ok()?)
}

/// The processor time in seconds, and the start time in seconds since 1970, from proc_pid_stat(5).
fn times() -> Option<(f64, f64)> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<_> = stat.rsplit(')').next()?.split_whitespace().collect();
    // The first of the fields is the third one of the man page.
    let ticks = |index: usize| fields.get(index - 3)?.parse::<f64>().ok();
    let second = rustix::param::clock_ticks_per_second() as f64;
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let uptime: f64 = uptime.split(' ').next()?.parse().ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
    Some(((ticks(14)? + ticks(15)?) / second, now - uptime + ticks(22)? / second))
}
