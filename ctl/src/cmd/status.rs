//! `gantry status`.

use anyhow::Result;
use serde::Serialize;

use crate::cmd::Session;
use crate::output::{self, Format};
use crate::supervisor::{SERVICES, process};

#[derive(Serialize)]
struct Status {
    service: &'static str,
    pid: Option<i32>,
    healthy: bool,
    /// Proportional set size.
    memory_bytes: u64,
    uptime_seconds: u64,
}

/// Shows each service. Exit code 1 when one does not answer.
pub async fn run(session: &Session) -> Result<u8> {
    let mut all = Vec::new();
    for service in SERVICES {
        let pid = process::serving(&session.roots.socket(service)).await;
        let usage = pid.and_then(process::usage).unwrap_or_default();
        all.push(Status {
            service,
            pid: pid.map(|pid| pid.as_raw_nonzero().get()),
            healthy: pid.is_some() && process::is_healthy(&session.roots, service).await,
            memory_bytes: usage.pss,
            uptime_seconds: usage.uptime,
        });
    }
    match session.format {
        Format::Json => output::json(&all)?,
        Format::Table => {
            let rows: Vec<_> = all
                .iter()
                .map(|status| {
                    [
                        status.service.to_owned(),
                        status.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
                        if status.healthy { "serving" } else { "away" }.to_owned(),
                        output::bytes(status.memory_bytes),
                        output::duration(status.uptime_seconds),
                    ]
                })
                .collect();
            output::table(["SERVICE", "PID", "HEALTH", "MEMORY", "UPTIME"], &rows);
        }
    }
    Ok(u8::from(all.iter().any(|status| !status.healthy)))
}
