//! `gantry start`.

use anyhow::{Result, bail};
use gantry_proto::gantry::engine::v1::{GetRequest, StartRequest};

use crate::cli::command::Start;
use crate::cmd::foreground::{self, Attached};
use crate::cmd::{Outcome, Session};

pub async fn run(session: &Session, arguments: &Start) -> Result<u8> {
    let mut client = session.peers.containers();
    if !arguments.attach && !arguments.interactive {
        let mut outcome = Outcome::default();
        for container in &arguments.containers {
            let request = StartRequest { container: container.clone() };
            outcome.report(container, client.start(request).await)?;
        }
        return Ok(outcome.code());
    }
    let [container] = &arguments.containers[..] else {
        bail!("only one container can be started and attached to at once");
    };
    let found = client.get(GetRequest { container: container.clone(), size: false }).await?.into_inner();
    let config = found.config.unwrap_or_default();
    let stdin = arguments.interactive && config.open_stdin;
    foreground::check_terminal(stdin, config.tty)?;
    let removed = found.host_config.is_some_and(|host| host.auto_remove);
    foreground::run(session, &found.id, Attached { stdin, tty: config.tty, removed, failure: 1 }).await
}
