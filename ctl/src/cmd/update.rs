//! `gantry update`.

use anyhow::{Result, bail};
use gantry_proto::gantry::engine::v1::{Resources, RestartPolicy, UpdateRequest};

use crate::cli::command::Update;
use crate::cmd::{Outcome, Session};
use crate::{options, output};

pub async fn run(session: &Session, arguments: &Update) -> Result<u8> {
    let resources = options::resources(&arguments.limits);
    if arguments.restart.is_none() && resources == Resources::default() {
        bail!("nothing is to be changed: name limits or --restart");
    }
    let restart_policy = match &arguments.restart {
        Some(policy) => options::restart(policy)?,
        None => RestartPolicy::default(),
    };
    let mut client = session.peers.containers();
    let mut outcome = Outcome::default();
    for container in &arguments.containers {
        let request = UpdateRequest {
            container: container.clone(),
            resources: Some(resources.clone()),
            restart_policy: Some(restart_policy.clone()),
        };
        if let Some(updated) = outcome.succeeded(client.update(request).await) {
            updated.into_inner().warnings.iter().for_each(output::note);
            output::line(container)?;
        }
    }
    Ok(outcome.code())
}
