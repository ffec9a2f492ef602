//! `gantry metrics`.

use anyhow::{Context, Result};
use gantry_api::metrics;

use crate::cmd::Session;
use crate::output;

/// Prints the metrics of all services, or of one.
pub async fn run(session: &Session, service: Option<&str>) -> Result<()> {
    let run = &session.roots.run;
    let text = match service {
        None => metrics::collect(run).await,
        Some(name) => {
            let service = gantry_descriptor::find(name).with_context(|| format!("{name} is no service"))?;
            metrics::scrape(run, service.name).await?
        }
    };
    output::write(text.as_bytes())
}
