//! `gantry create`, and the first half of `gantry run`.

use std::io::Write;

use anyhow::{Context, Result};
use gantry_proto::gantry::engine::v1::{CreateRequest, NoSuchImage};
use gantry_proto::gantry::images::v1::PullRequest;
use tonic::Status;

use crate::cli::container::{ContainerOptions, Pull};
use crate::cmd::progress::Shown;
use crate::cmd::{Session, login, pull};
use crate::{options, output, stdio};

pub async fn run(session: &Session, options: &ContainerOptions) -> Result<()> {
    output::line(create(session, options, true).await?)
}

/// Makes the container, with its image pulled as asked for; its id. `attached`: for who looks at it when it is started.
pub async fn create(session: &Session, options: &ContainerOptions, attached: bool) -> Result<String> {
    let mut request = options::request(options, attached)?;
    if let (true, Some((height, width)), Some(host)) =
        (options.process.tty, stdio::size(), &mut request.host_config)
    {
        // From the first byte on.
        (host.console_height, host.console_width) = (height, width);
    }
    // Before there is a container whose id could not be written.
    let id_file = options.identity.cidfile.as_ref().map(|path| {
        let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
        let file = file.with_context(|| format!("make {} for the container's id", path.display()))?;
        anyhow::Ok((path, file))
    });
    let id_file = id_file.transpose()?;
    let made = make(session, options, request).await;
    if let Some((path, mut file)) = id_file {
        match &made {
            Ok(id) => file.write_all(id.as_bytes()).with_context(|| format!("write {}", path.display()))?,
            // It is for the next attempt.
            Err(_) => drop(std::fs::remove_file(path)),
        }
    }
    made
}

async fn make(session: &Session, options: &ContainerOptions, request: CreateRequest) -> Result<String> {
    let policy = options.identity.pull;
    if policy == Pull::Always {
        pull_image(session, options).await?;
    }
    let mut client = session.peers.containers();
    let created = match client.create(request.clone()).await {
        Err(status) if policy == Pull::Missing && lacks_image(&status) => {
            if !options.identity.quiet {
                output::note(format_args!("{} is not here, pulling it", options.image));
            }
            pull_image(session, options).await?;
            client.create(request).await?
        }
        result => result?,
    }
    .into_inner();
    for warning in &created.warnings {
        output::note(warning);
    }
    Ok(created.id)
}

fn lacks_image(status: &Status) -> bool {
    gantry_proto::detail::<NoSuchImage>(status.details()).is_some()
}

async fn pull_image(session: &Session, options: &ContainerOptions) -> Result<()> {
    let request = PullRequest {
        reference: options.image.clone(),
        platform: options.identity.platform.clone().unwrap_or_default(),
        auth: login::credentials_for(&options.image).await?,
        ..PullRequest::default()
    };
    let shown = if options.identity.quiet { Shown::Nothing } else { Shown::Progress };
    pull::pull(session, request, shown).await.map(drop)
}
