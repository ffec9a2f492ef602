//! `gantry fsck`: asks every service what belongs to nobody.

use anyhow::Result;
use gantry_proto::gantry::gc::v1::FsckRequest;
use serde_json::json;
use tonic::Code;

use crate::cmd::Session;
use crate::output::{self, Format};
use crate::supervisor::SERVICES;

/// Exit code 1 when something was found and not repaired.
pub async fn run(session: &Session, repair: bool) -> Result<u8> {
    let mut found = Vec::new();
    let mut code = 0;
    for service in SERVICES.into_iter().filter(|service| *service != "gateway") {
        match session.peers.fsck(service).check(FsckRequest { repair }).await {
            Ok(answer) => found.extend(answer.into_inner().strays.into_iter().map(|stray| (service, stray))),
            // It owns nothing that could be left behind.
            Err(status) if status.code() == Code::Unimplemented => {}
            Err(status) => {
                eprintln!("gantry: {service}: {}", status.message());
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
            output::json(&found)?;
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
