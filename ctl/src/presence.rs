//! Finds out whether the services run, and says what to do if they do not.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Result, bail};
use gantry_daemon::Roots;
use gantry_descriptor::ENGINE;

use crate::supervisor::{self, process};

/// The folder of systemd's units.
const UNITS: [&str; 3] = ["/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system"];
const TARGET: &str = "gantry.target";
/// Gantry's root, if the user names none.
const DEFAULT: (&str, &str) = ("/var/lib/gantry", "/run/gantry");

/// Fails, with what to do, if no service of a root answers. If only one is away, the command that needs it says so.
pub async fn require(roots: &Roots) -> Result<()> {
    let mut refused = None;
    // The service that most commands need.
    for service in [ENGINE.name].into_iter().chain(gantry_descriptor::names()) {
        let socket = roots.socket(service);
        match process::serving(&socket).await {
            Ok(Some(_)) => return Ok(()),
            Ok(None) => {}
            Err(error) if error.kind() == ErrorKind::PermissionDenied => refused = Some(socket),
            // The service may be slow; the command itself will see that.
            Err(_) => return Ok(()),
        }
    }
    match refused {
        Some(socket) => bail!("no right to {}: be root, or in the group of that file", socket.display()),
        None => bail!("{}", absent(roots)),
    }
}

/// What to say if no service runs.
pub fn absent(roots: &Roots) -> String {
    let run = roots.run.display();
    match supervisor::holder(roots) {
        Some(pid) => format!(
            "the services on {run} are being started (pid {pid}), or do not start: see {}",
            roots.state.join("log").display()
        ),
        None => format!("no services run on {run}: start them with `{}`", start(roots)),
    }
}

/// The command that starts the services of a root.
fn start(roots: &Roots) -> String {
    let (state, run) = DEFAULT;
    if roots.state == Path::new(state) && roots.run == Path::new(run) {
        let installed = UNITS.iter().any(|folder| Path::new(folder).join(TARGET).exists());
        let systemd = Path::new("/run/systemd/system").exists();
        let command =
            if installed && systemd { "systemctl start gantry.target" } else { "gantry up --detach" };
        return command.to_owned();
    }
    let together = roots.state.parent().filter(|root| {
        **root == *roots.run.parent().unwrap_or(&roots.run)
            && roots.state.ends_with("state")
            && roots.run.ends_with("run")
    });
    match together {
        Some(root) => format!("gantry --root {} up --detach", root.display()),
        None => {
            format!("gantry --state {} --run {} up --detach", roots.state.display(), roots.run.display())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_for_this_root() {
        let roots = |state: &str, run: &str| Roots { state: state.into(), run: run.into() };
        assert_eq!(start(&roots("/x/state", "/x/run")), "gantry --root /x up --detach");
        assert_eq!(start(&roots("/x/state", "/y/run")), "gantry --state /x/state --run /y/run up --detach");
        assert_eq!(start(&roots("/x/a", "/x/run")), "gantry --state /x/a --run /x/run up --detach");
    }
}
