//! `gantry version`.

use std::time::Duration;

use anyhow::Result;
use gantry_proto::containerd::services::version::v1::version_client::VersionClient;
use serde_json::json;

use crate::cmd::Session;
use crate::output::{self, Format};

pub async fn run(session: &Session) -> Result<()> {
    let tool = env!("CARGO_PKG_VERSION");
    let mut client = VersionClient::new(session.peers.channel("control"));
    let services = match tokio::time::timeout(Duration::from_secs(2), client.version(())).await {
        Ok(Ok(answer)) => Some(answer.into_inner().version),
        _ => None,
    };
    match session.format {
        Format::Json => output::json(&json!({ "tool": tool, "services": services })),
        Format::Table => {
            output::line(format_args!("gantry   {tool}"))?;
            output::line(format_args!("gantryd  {}", services.as_deref().unwrap_or("not running")))
        }
    }
}
