//! `gantry stats`.

use std::io::IsTerminal;

use anyhow::Result;
use gantry_api::engine::containers::{Inspect as _, Samples as _, Sampling, Watch as _};
use gantry_api::engine::{ListQuery, Sample, Stats as Sampled};
use serde_json::{Value, json};
use tonic::Status;

use crate::cli::command::Stats;
use crate::cmd::{Outcome, Session, said};
use crate::output;
use crate::output::listing::{Field, Listing, Row};

const FIELDS: &[Field] = &[
    ("ID", "CONTAINER ID"),
    ("Name", "NAME"),
    ("CPUPerc", "CPU %"),
    ("MemUsage", "MEM USAGE / LIMIT"),
    ("MemPerc", "MEM %"),
    ("NetIO", "NET I/O"),
    ("BlockIO", "BLOCK I/O"),
    ("PIDs", "PIDS"),
];
/// Moves the cursor to the top left and clears the screen below it.
const HOME: &[u8] = b"\x1b[H\x1b[J";

pub async fn run(session: &Session, arguments: &Stats) -> Result<u8> {
    let columns = FIELDS.iter().map(|(name, _)| *name).collect();
    let printer = Listing { fields: FIELDS, columns }.printer(session.format, arguments.format.as_deref())?;
    loop {
        let mut outcome = Outcome::default();
        let mut rows = Vec::new();
        for sampled in sample_all(session, arguments).await? {
            if let Some(sampled) = outcome.succeeded(sampled) {
                rows.push(row(&sampled, arguments.no_trunc));
            }
        }
        let code = outcome.code();
        if code != 0 && rows.is_empty() {
            return Ok(code);
        }
        if !arguments.no_stream && std::io::stdout().is_terminal() {
            output::write(HOME)?;
        }
        printer.print(&rows)?;
        if arguments.no_stream || code != 0 {
            return Ok(code);
        }
    }
}

/// A sample of each container, over a second.
async fn sample_all(session: &Session, arguments: &Stats) -> Result<Vec<Result<Sampled, Status>>> {
    let named = !arguments.containers.is_empty();
    let containers = if named {
        arguments.containers.clone()
    } else {
        let query = ListQuery { all: arguments.all, ..ListQuery::default() };
        let list = session.containers().containers(query).await.map_err(said)?;
        list.containers.into_iter().map(|one| one.id).collect()
    };
    if containers.is_empty() && !arguments.no_stream {
        // Containers may start meanwhile.
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    let samples = containers.into_iter().map(|container| {
        let client = session.containers();
        async move {
            let mut samples = client.stats(&container, Sampling::Once).await.map_err(said)?;
            let sample = samples.next().await.map_err(said)?;
            sample.ok_or_else(|| Status::unavailable("the engine went away"))
        }
    });
    let samples = futures::future::join_all(samples).await;
    // A container may be gone since the list was made.
    Ok(samples
        .into_iter()
        .filter(|sample| named || !matches!(sample, Err(status) if status.code() == tonic::Code::NotFound))
        .collect())
}

/// The figures of a sample.
#[derive(Debug, Default, PartialEq)]
struct Usage {
    cpu_percent: f64,
    memory: u64,
    memory_limit: u64,
    received: u64,
    sent: u64,
    read: u64,
    written: u64,
    pids: u64,
}

impl Usage {
    fn of(sampled: &Sampled) -> Self {
        let Some(now) = &sampled.current else { return Self::default() };
        let before = sampled.previous.clone().unwrap_or_default();
        let blkio = |wanted: &str| {
            let entries = now.io_service_bytes.iter().filter(|entry| entry.op.eq_ignore_ascii_case(wanted));
            entries.map(|entry| entry.value).sum()
        };
        Self {
            cpu_percent: cpu_percent(&before, now),
            memory: memory(now),
            memory_limit: now.memory_limit,
            received: now.interfaces.values().map(|of| of.rx_bytes).sum(),
            sent: now.interfaces.values().map(|of| of.tx_bytes).sum(),
            read: blkio("read"),
            written: blkio("write"),
            pids: now.pids_current,
        }
    }

    fn memory_percent(&self) -> f64 {
        if self.memory_limit == 0 { 0.0 } else { self.memory as f64 / self.memory_limit as f64 * 100.0 }
    }
}

/// Percent of one processor.
fn cpu_percent(before: &Sample, now: &Sample) -> f64 {
    let used = now.cpu_total.saturating_sub(before.cpu_total) as f64;
    let passed = now.system_cpu.saturating_sub(before.system_cpu) as f64;
    if passed > 0.0 { used / passed * f64::from(now.online_cpus.max(1)) * 100.0 } else { 0.0 }
}

/// Without memory that the kernel would free at once.
fn memory(sample: &Sample) -> u64 {
    let cache = sample.memory_stats.get("total_inactive_file").or(sample.memory_stats.get("inactive_file"));
    match cache {
        Some(cache) if *cache < sample.memory_usage => sample.memory_usage - cache,
        _ => sample.memory_usage,
    }
}

fn row(sampled: &Sampled, whole_id: bool) -> Row {
    let usage = Usage::of(sampled);
    let runs = sampled.current.is_some();
    let name = sampled.name.trim_start_matches('/').to_owned();
    let shown = |text: String| if runs { text } else { "--".to_owned() };
    let pair = |one, other| shown(format!("{} / {}", output::bytes(one), output::bytes(other)));
    let binary = |count: u64| output::binary_bytes(count);
    let cells = vec![
        if whole_id { sampled.id.clone() } else { output::short(&sampled.id).to_owned() },
        name.clone(),
        shown(format!("{:.2}%", usage.cpu_percent)),
        shown(format!("{} / {}", binary(usage.memory), binary(usage.memory_limit))),
        shown(format!("{:.2}%", usage.memory_percent())),
        pair(usage.received, usage.sent),
        pair(usage.read, usage.written),
        shown(usage.pids.to_string()),
    ];
    let whole = if runs {
        json!({
            "id": sampled.id, "name": name, "running": true,
            "cpu_percent": usage.cpu_percent,
            "memory_bytes": usage.memory, "memory_limit_bytes": usage.memory_limit,
            "received_bytes": usage.received, "sent_bytes": usage.sent,
            "read_bytes": usage.read, "written_bytes": usage.written,
            "pids": usage.pids,
        })
    } else {
        json!({ "id": sampled.id, "name": name, "running": false, "cpu_percent": Value::Null })
    };
    Row { cells, whole }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_of_what_has_passed_between_two_samples() {
        let sample = |cpu_total, system_cpu| Sample {
            cpu_total,
            system_cpu,
            online_cpus: 2,
            memory_usage: 100,
            memory_limit: 400,
            memory_stats: [("inactive_file".to_owned(), 50)].into(),
            ..Sample::default()
        };
        let sampled = Sampled {
            current: Some(sample(300, 1000)),
            previous: Some(sample(200, 800)),
            ..Sampled::default()
        };
        let usage = Usage::of(&sampled);
        assert_eq!((usage.cpu_percent, usage.memory, usage.memory_percent()), (100.0, 50, 12.5));
        assert_eq!(Usage::of(&Sampled::default()), Usage::default());
    }
}
