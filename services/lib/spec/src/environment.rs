//! Environment variables of a process.

/// The default of `PATH`.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Docker's variables and those of links, overridden by the container's own.
pub fn docker(links: &[String], own: &[String], hostname: &str, tty: bool) -> Vec<String> {
    let mut env = vec![PATH.to_owned()];
    if !hostname.is_empty() {
        env.push(format!("HOSTNAME={hostname}"));
    }
    if tty {
        env.push("TERM=xterm".to_owned());
    }
    env.extend_from_slice(links);
    merge(env, own)
}

/// Overrides variables: a known one is replaced in its place, a new one is appended, a name without `=` is removed.
pub fn merge(mut base: Vec<String>, over: &[String]) -> Vec<String> {
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
        let env = docker(&list(&["DB_PORT=1"]), &list(&["A=1", "PATH=/bin"]), "web", true);
        assert_eq!(env, ["PATH=/bin", "HOSTNAME=web", "TERM=xterm", "DB_PORT=1", "A=1"]);
    }

    #[test]
    fn a_bare_name_takes_away() {
        assert_eq!(merge(list(&["A=1", "AB=2"]), &list(&["A"])), ["AB=2"]);
    }
}
