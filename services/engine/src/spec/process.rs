//! The process: arguments, environment, working directory, capabilities, rlimits.

use std::collections::BTreeSet;

use gantry_proto::gantry::engine::v1 as pb;
use oci_spec::runtime::{
    Box as Console, BoxBuilder, PosixRlimit, PosixRlimitBuilder, Process, ProcessBuilder, User,
};

use super::resources::rlimit_name;
use super::{Error, HostFacts, Security, Surroundings, capabilities};
use crate::record::Record;

/// Where programs are looked for unless the image or the user says otherwise.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Where `--init` finds its program inside the container.
pub const INIT: &str = "/sbin/docker-init";

/// The container's first process.
pub fn init_process(
    record: &Record,
    around: &Surroundings<'_>,
    capabilities: &BTreeSet<String>,
    security: &Security,
) -> Result<Process, Error> {
    let (config, host) = (&record.config, &record.host);
    let mut args = record.command.clone();
    if uses_init(host) {
        args.splice(0..0, [INIT.to_owned(), "--".to_owned()]);
    }
    let mut process = base(
        args,
        environment(&around.variables, &config.env, &config.hostname, config.tty),
        &config.working_dir,
        config.tty,
        (host.console_width, host.console_height),
    )?;
    process.set_capabilities(Some(capabilities::oci(capabilities)));
    process.set_no_new_privileges(Some(security.no_new_privileges));
    process.set_rlimits(Some(rlimits(host)?));
    if host.oom_score_adj != 0 {
        process.set_oom_score_adj(i32::try_from(host.oom_score_adj).ok());
    }
    process.set_apparmor_profile(super::apparmor_profile(host, around.host)?);
    Ok(process)
}

/// A further process of a running container. `privileged` gives it all capabilities, whatever the container has.
///
/// It does not leave the container's AppArmor profile.
pub fn exec_process(
    record: &Record,
    facts: &HostFacts,
    variables: &[String],
    exec: &pb::ExecCreateRequest,
) -> Result<Process, Error> {
    let (config, host) = (&record.config, &record.host);
    let security = Security::parse(&host.security_opt, host.privileged)?;
    let capabilities =
        capabilities::resolve(&host.cap_add, &host.cap_drop, host.privileged || exec.privileged)?;
    let env = environment(variables, &config.env, &config.hostname, exec.tty);
    let working_dir = if exec.working_dir.is_empty() { &config.working_dir } else { &exec.working_dir };
    let mut process = base(
        exec.cmd.clone(),
        merge_environment(env, &exec.env),
        working_dir,
        exec.tty,
        (exec.console_width, exec.console_height),
    )?;
    process.set_capabilities(Some(capabilities::oci(&capabilities)));
    process.set_no_new_privileges(Some(security.no_new_privileges));
    process.set_rlimits(Some(rlimits(host)?));
    process.set_apparmor_profile(super::apparmor_profile(host, facts)?);
    let user = if exec.user.is_empty() { &config.user } else { &exec.user };
    // The shim resolves names inside the root; this field carries what is to be resolved.
    let mut who = User::default();
    who.set_username(Some(if user.is_empty() { "0".to_owned() } else { user.clone() }));
    process.set_user(who);
    Ok(process)
}

/// Whether the container's program is started by an init.
pub fn uses_init(host: &pb::HostConfig) -> bool {
    host.init == Some(true) && (host.pid_mode.is_empty() || host.pid_mode == "private")
}

fn base(
    args: Vec<String>,
    env: Vec<String>,
    working_dir: &str,
    tty: bool,
    (width, height): (u32, u32),
) -> Result<Process, Error> {
    let cwd = if working_dir.is_empty() { "/" } else { working_dir };
    let mut process = ProcessBuilder::default()
        .terminal(tty)
        .user(User::default())
        .args(args)
        .env(env)
        .cwd(cwd)
        .build()
        .map_err(super::incomplete)?;
    if tty && width > 0 && height > 0 {
        process.set_console_size(console(width, height));
    } else {
        process.set_console_size(None);
    }
    Ok(process)
}

fn console(width: u32, height: u32) -> Option<Console> {
    BoxBuilder::default().width(u64::from(width)).height(u64::from(height)).build().ok()
}

fn rlimits(host: &pb::HostConfig) -> Result<Vec<PosixRlimit>, Error> {
    let ulimits = host.resources.as_ref().map_or(&[][..], |resources| &resources.ulimits);
    ulimits
        .iter()
        .map(|ulimit| {
            PosixRlimitBuilder::default()
                .typ(rlimit_name(&ulimit.name)?)
                .soft(limit(ulimit.soft))
                .hard(limit(ulimit.hard))
                .build()
                .map_err(super::incomplete)
        })
        .collect()
}

/// -1 is "no limit".
fn limit(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

/// Docker's variables and those of links, with the container's own over them.
pub fn environment(links: &[String], own: &[String], hostname: &str, tty: bool) -> Vec<String> {
    let mut env = vec![PATH.to_owned()];
    if !hostname.is_empty() {
        env.push(format!("HOSTNAME={hostname}"));
    }
    if tty {
        env.push("TERM=xterm".to_owned());
    }
    env.extend_from_slice(links);
    merge_environment(env, own)
}

/// Lays variables over others: known ones are replaced where they stand, new ones come behind, a name without `=` is
/// taken away.
pub fn merge_environment(mut base: Vec<String>, over: &[String]) -> Vec<String> {
    for variable in over {
        let name = variable.split('=').next().unwrap_or(variable);
        let known =
            base.iter().position(|old| old.strip_prefix(name).is_some_and(|rest| rest.starts_with('=')));
        match (variable.contains('='), known) {
            (true, Some(at)) => base[at].clone_from(variable),
            (true, None) => base.push(variable.clone()),
            (false, Some(at)) => {
                base.remove(at);
            }
            (false, None) => {}
        }
    }
    base
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn own_variables_win_where_they_stand() {
        let env = environment(&list(&["DB_PORT=1"]), &list(&["A=1", "PATH=/bin"]), "web", true);
        assert_eq!(env, ["PATH=/bin", "HOSTNAME=web", "TERM=xterm", "DB_PORT=1", "A=1"]);
    }

    #[test]
    fn a_bare_name_takes_away() {
        assert_eq!(merge_environment(list(&["A=1", "AB=2"]), &list(&["A"])), ["AB=2"]);
    }

    #[test]
    fn init_needs_a_pid_namespace_of_its_own() {
        let host = pb::HostConfig { init: Some(true), ..Default::default() };
        assert!(uses_init(&host));
        assert!(!uses_init(&pb::HostConfig { pid_mode: "host".to_owned(), ..host }));
    }
}
