//! `gantry status`.

use std::io::ErrorKind;

use anyhow::Result;
use serde::Serialize;

use crate::cmd::Session;
use crate::output::{self, Format};
use crate::presence;
use crate::supervisor::process;

#[derive(Serialize)]
struct Status {
    service: &'static str,
    pid: Option<i32>,
    healthy: bool,
    /// Why its socket gave no answer, if a process may listen there.
    error: Option<String>,
    /// Proportional set size.
    memory_bytes: Option<u64>,
    uptime_seconds: Option<u64>,
}

impl Status {
    fn health(&self) -> &str {
        let otherwise = self.error.as_deref().unwrap_or("away");
        if self.healthy { "serving" } else { otherwise }
    }
}

/// Shows each service. Exit code 1 when one does not answer.
pub async fn run(session: &Session) -> Result<u8> {
    let mut all = Vec::new();
    for service in gantry_descriptor::names() {
        let (pid, error) = match process::serving(&session.roots.socket(service)).await {
            Ok(pid) => (pid, None),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                (None, Some("not permitted".to_owned()))
            }
            Err(error) => (None, Some(error.to_string())),
        };
        let usage = pid.and_then(process::usage);
        all.push(Status {
            service,
            pid: pid.map(|pid| pid.as_raw_nonzero().get()),
            healthy: pid.is_some() && process::is_healthy(&session.roots, service).await,
            error,
            memory_bytes: usage.map(|usage| usage.pss),
            uptime_seconds: usage.map(|usage| usage.uptime),
        });
    }
    match session.format {
        Format::Json => output::json_lines(&all)?,
        Format::Table => {
            let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            let rows: Vec<_> = all
                .iter()
                .map(|status| {
                    [
                        status.service.to_owned(),
                        or_dash(status.pid.map(|pid| pid.to_string())),
                        status.health().to_owned(),
                        or_dash(status.memory_bytes.map(output::bytes)),
                        or_dash(status.uptime_seconds.map(output::duration)),
                    ]
                })
                .collect();
            output::table(["SERVICE", "PID", "HEALTH", "MEMORY", "UPTIME"], &rows)?;
        }
    }
    if all.iter().all(|status| status.pid.is_none() && status.error.is_none()) {
        output::note(presence::absent(&session.roots));
    }
    Ok(u8::from(all.iter().any(|status| !status.healthy)))
}
