//! `gantry update`.

use anyhow::{Result, bail};
use gantry_api::engine::containers::Manage as _;
use gantry_api::engine::{Resources, RestartPolicy, Update as Changed};

use crate::cli::command::Update;
use crate::cmd::{Outcome, Session, said};
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
    let client = session.containers();
    let mut outcome = Outcome::default();
    for container in &arguments.containers {
        let update =
            Changed { resources: Some(resources.clone()), restart_policy: Some(restart_policy.clone()) };
        let updated = client.update_container(container, update).await;
        if let Some(warnings) = outcome.succeeded(updated.map_err(said)) {
            warnings.iter().for_each(output::note);
            output::line(container)?;
        }
    }
    Ok(outcome.code())
}
