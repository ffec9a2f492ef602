//! `gantry metrics`.

use anyhow::{Context, Result};
use gantry_api::{SERVICES, metrics};

use crate::cmd::Session;
use crate::output;

/// Prints the metrics of all services, or of one.
pub async fn run(session: &Session, service: Option<&str>) -> Result<()> {
    let run = &session.roots.run;
    let text = match service {
        None => metrics::collect(run, &SERVICES).await,
        Some(name) => {
            let service = SERVICES.into_iter().find(|service| *service == name);
            let service = service.with_context(|| format!("{name} is no service"))?;
            metrics::scrape(run, service).await?
        }
    };
    output::write(text.as_bytes())
}
