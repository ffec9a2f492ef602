//! `gantry start`.

use anyhow::{Result, bail};
use gantry_api::engine::containers::{Inspect as _, Run as _, Sizes};

use crate::cli::command::Start;
use crate::cmd::foreground::{self, Attached};
use crate::cmd::{Outcome, Session, said};

pub async fn run(session: &Session, arguments: &Start) -> Result<u8> {
    let client = session.containers();
    if !arguments.attach && !arguments.interactive {
        let mut outcome = Outcome::default();
        for container in &arguments.containers {
            outcome.report(container, client.start_container(container).await.map_err(said))?;
        }
        return Ok(outcome.code());
    }
    let [container] = &arguments.containers[..] else {
        bail!("only one container can be started and attached to at once");
    };
    let found = client.container(container, Sizes::Untold).await.map_err(said)?;
    let config = found.config;
    let stdin = arguments.interactive && config.open_stdin;
    foreground::check_terminal(stdin, config.tty)?;
    let removed = found.host.auto_remove;
    foreground::run(session, &found.id, Attached { stdin, tty: config.tty, removed, failure: 1 }).await
}
