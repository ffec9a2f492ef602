//! `gantry run`.

use anyhow::Result;
use gantry_api::engine::containers::Run as _;

use crate::cli::USAGE;
use crate::cli::command::Run;
use crate::cmd::foreground::{self, Attached};
use crate::cmd::{Session, create, said};
use crate::output;

pub async fn run(session: &Session, arguments: &Run) -> Result<u8> {
    let (process, identity) = (&arguments.options.process, &arguments.options.identity);
    let attached = !arguments.detach;
    if attached {
        foreground::check_terminal(process.interactive, process.tty)?;
    }
    let id = create::create(session, &arguments.options, attached).await?;
    if !attached {
        let started = session.containers().start_container(&id).await;
        if let Err(status) = started.map_err(said) {
            return Err(foreground::failed_start(session, &id, &status, USAGE).await);
        }
        output::line(&id)?;
        return Ok(0);
    }
    let attached =
        Attached { stdin: process.interactive, tty: process.tty, removed: identity.rm, failure: USAGE };
    foreground::run(session, &id, attached).await
}
