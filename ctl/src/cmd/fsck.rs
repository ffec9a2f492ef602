//! `gantry fsck`: asks every service which things have no owner, and what is missing or damaged.
//!
//! A service that has lost its records does not start, and so cannot answer: then its own error is the finding. The repair lets it start
//! with what is left.

use std::time::Duration;

use anyhow::Result;
use gantry_api::fsck::{Check, Client, Depth, Repair, Stray};
use gantry_daemon::Roots;
use serde_json::json;

use crate::cmd::Session;
use crate::output::{self, Format};
use crate::supervisor::process;

/// How long a service may take until it goes on: its supervisor waits before it restarts it, and reading a large database takes time.
const PATIENCE: Duration = Duration::from_secs(60);

/// Exit code 1 if something was found and not repaired.
pub async fn run(session: &Session, repair: bool, quick: bool) -> Result<u8> {
    let mending = if repair { Repair::Yes } else { Repair::No };
    let depth = if quick { Depth::Quick } else { Depth::Whole };
    let mut found = Vec::new();
    let mut code = 0;
    // Do this for all services before asking any, because they ask each other.
    for service in gantry_descriptor::names() {
        if let Some(stray) = lost_records(&session.roots, service, repair).await? {
            found.push((service, stray));
        }
    }
    for service in gantry_descriptor::keepers() {
        if found.iter().any(|(lost, stray)| *lost == service && !stray.repaired) {
            continue;
        }
        match Client::new(&session.peers, service).check(mending, depth).await {
            Ok(strays) => found.extend(strays.into_iter().map(|stray| (service, stray))),
            Err(failure) => {
                output::note(format_args!("{service}: {}", failure.status.message()));
                code = 1;
            }
        }
    }
    if found.iter().any(|(_, stray)| !stray.repaired) {
        code = 1;
    }
    match session.format {
        Format::Json => {
            let found: Vec<_> = found
                .iter()
                .map(|(service, stray)| {
                    json!({
                        "service": service, "kind": stray.kind, "name": stray.name,
                        "detail": stray.detail, "repaired": stray.repaired,
                    })
                })
                .collect();
            output::json_lines(&found)?;
        }
        Format::Table if found.is_empty() => output::line("nothing is left over")?,
        Format::Table => {
            let rows: Vec<_> = found
                .into_iter()
                .map(|(service, stray)| {
                    let state = if stray.repaired { "repaired" } else { "left" };
                    [service.to_owned(), stray.kind, stray.name, stray.detail, state.to_owned()]
                })
                .collect();
            output::table(["SERVICE", "KIND", "NAME", "DETAIL", "STATE"], &rows)?;
        }
    }
    Ok(code)
}

/// The error of a service that does not start because it has lost its records; with `repair`, lets it start.
async fn lost_records(roots: &Roots, service: &'static str, repair: bool) -> Result<Option<Stray>> {
    let Ok(mut detail) = std::fs::read_to_string(roots.refusal(service)) else { return Ok(None) };
    if process::is_healthy(roots, service).await {
        return Ok(None);
    }
    let mut repaired = false;
    if repair {
        std::fs::write(roots.acceptance(service), "")?;
        repaired = tokio::time::timeout(PATIENCE, healthy(roots, service)).await.is_ok();
        let report = roots.repaired(service);
        match (repaired, std::fs::read_to_string(&report)) {
            (true, Ok(text)) => {
                detail = format!("it goes on with {text}");
                std::fs::remove_file(report)?;
            }
            (true, Err(_)) => "it goes on".clone_into(&mut detail),
            (false, _) => {
                detail = format!("it does not start yet, but will go on with what is left: {detail}")
            }
        }
    }
    let name = roots.state_of(service).join("db").display().to_string();
    Ok(Some(Stray { kind: "records".to_owned(), name, detail, repaired }))
}

async fn healthy(roots: &Roots, service: &'static str) {
    while !process::is_healthy(roots, service).await {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
