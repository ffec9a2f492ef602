//! A process: arguments, environment, working directory, capabilities, rlimits.

use std::collections::BTreeSet;

use oci_spec::runtime::{BoxBuilder, Process as OciProcess, ProcessBuilder, User};

use crate::{Confinement, Container, Facts, Result, capabilities};

/// The path of the init in the container.
pub(crate) const INIT: &str = "/sbin/docker-init";

/// The parameters of a process.
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// The program and its arguments.
    pub args: Vec<String>,
    /// Its variables, `NAME=value` (see [`crate::environment`]).
    pub env: Vec<String>,
    /// Empty: `/`.
    pub working_dir: String,
    /// User and group by name or number, as the user wrote them; the shim looks them up in the root. Empty: root.
    pub user: String,
    /// The terminal's size; `None` without a terminal.
    pub terminal: Option<Window>,
}

/// The size of a terminal in characters; zero: unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Columns.
    pub width: u32,
    /// Lines.
    pub height: u32,
}

/// The parameters of an exec.
#[derive(Clone, Debug, Default)]
pub struct Exec {
    /// The process.
    pub process: Process,
    /// It has all capabilities, whatever the container's are.
    pub privileged: bool,
}

impl Process {
    /// The user, root if none is given.
    pub(crate) fn user(&self) -> &str {
        if self.user.is_empty() { "0" } else { &self.user }
    }

    fn oci(
        &self,
        args: Vec<String>,
        confinement: &Confinement,
        capabilities: &BTreeSet<String>,
        facts: &Facts,
    ) -> Result<OciProcess> {
        let cwd = if self.working_dir.is_empty() { "/" } else { &self.working_dir };
        let mut process = ProcessBuilder::default()
            .terminal(self.terminal.is_some())
            .user(User::default())
            .args(args)
            .env(self.env.clone())
            .cwd(cwd)
            .capabilities(capabilities::oci(capabilities))
            .no_new_privileges(confinement.security.no_new_privileges)
            .rlimits(confinement.rlimits()?)
            .build()?;
        process.set_apparmor_profile(confinement.apparmor_profile(facts));
        process.set_console_size(None);
        if let Some(Window { width, height }) = self.terminal
            && width > 0
            && height > 0
        {
            let size = BoxBuilder::default().width(u64::from(width)).height(u64::from(height)).build();
            process.set_console_size(size.ok());
        }
        Ok(process)
    }
}

/// The init process of a container.
pub(crate) fn init_process(
    container: &Container,
    capabilities: &BTreeSet<String>,
    facts: &Facts,
) -> Result<OciProcess> {
    let own = &container.process;
    let mut args = own.args.clone();
    if container.init.is_some() {
        args.splice(0..0, [INIT.to_owned(), "--".to_owned()]);
    }
    let mut process = own.oci(args, &container.confinement, capabilities, facts)?;
    if container.oom_score_adj != 0 {
        process.set_oom_score_adj(i32::try_from(container.oom_score_adj).ok());
    }
    Ok(process)
}

/// The spec of an exec's process in a container with this confinement. It stays in the container's AppArmor profile.
pub fn exec_process(exec: &Exec, confinement: &Confinement, facts: &Facts) -> Result<OciProcess> {
    let privileged = confinement.privileged || exec.privileged;
    let capabilities = capabilities::resolve(&confinement.add, &confinement.drop, privileged)?;
    let own = &exec.process;
    let mut process = own.oci(own.args.clone(), confinement, &capabilities, facts)?;
    // The shim looks names up in the root; this field carries them.
    let mut user = User::default();
    user.set_username(Some(own.user().to_owned()));
    process.set_user(user);
    Ok(process)
}
