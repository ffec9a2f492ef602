//! `gantry create`, and the first half of `gantry run`.

use std::io::Write;

use anyhow::{Context, Result};
use gantry_api::engine::CreateSpec;
use gantry_api::engine::containers::{Manage as _, lacks_image};
use gantry_api::images::PullSpec;
use gantry_types::Reference;

use crate::cli::container::{ContainerOptions, Pull};
use crate::cmd::progress::Shown;
use crate::cmd::{Session, images, login, pull, said};
use crate::{options, output, stdio};

pub async fn run(session: &Session, options: &ContainerOptions) -> Result<()> {
    output::line(create(session, options, true).await?)
}

/// Creates the container, after a pull if the options ask for one; returns its id. `attached` says whether the tool
/// shows the container's output when it starts.
pub async fn create(session: &Session, options: &ContainerOptions, attached: bool) -> Result<String> {
    let mut spec = options::request(options, attached)?;
    if let (true, Some((height, width))) = (options.process.tty, stdio::size()) {
        // The terminal has this size from the program's first byte on.
        (spec.host.console_height, spec.host.console_width) = (height, width);
    }
    // Open the file first, so that there is no container whose id cannot be written.
    let id_file = options.identity.cidfile.as_ref().map(|path| {
        let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
        let file = file.with_context(|| format!("make {} for the container's id", path.display()))?;
        anyhow::Ok((path, file))
    });
    let id_file = id_file.transpose()?;
    let made = make(session, options, spec).await;
    if let Some((path, mut file)) = id_file {
        match &made {
            Ok(id) => file.write_all(id.as_bytes()).with_context(|| format!("write {}", path.display()))?,
            // The file must not stop the next attempt.
            Err(_) => drop(std::fs::remove_file(path)),
        }
    }
    made
}

async fn make(session: &Session, options: &ContainerOptions, spec: CreateSpec) -> Result<String> {
    let policy = options.identity.pull;
    if policy == Pull::Always {
        pull_image(session, options).await?;
    }
    let client = session.containers();
    let created = match client.create_container(spec.clone()).await {
        Err(failure) if policy == Pull::Missing && lacks_image(&failure) => {
            if !options.identity.quiet {
                output::note(format_args!("{} is not here, pulling it", options.image));
            }
            pull_image(session, options).await?;
            client.create_container(spec).await
        }
        result => result,
    }
    .map_err(said)?;
    for warning in &created.warnings {
        output::note(warning);
    }
    Ok(created.id)
}

async fn pull_image(session: &Session, options: &ContainerOptions) -> Result<()> {
    let reference = Reference::parse_normalized(&options.image)?;
    let spec = PullSpec {
        platform: images::platform(options.identity.platform.as_deref())?,
        credentials: login::credentials_for(&options.image).await?,
        ..PullSpec::of(reference)
    };
    let shown = if options.identity.quiet { Shown::Nothing } else { Shown::Progress };
    pull::pull(session, spec, shown).await.map(drop)
}
