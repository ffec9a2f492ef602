//! `--security-opt`.

use crate::{Error, Result};

/// The choice of a seccomp profile.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Seccomp {
    /// Not chosen: the default profile, or none for a privileged container.
    #[default]
    Default,
    /// The default profile, also for a privileged container.
    Builtin,
    /// None.
    Unconfined,
    /// A profile as JSON.
    Inline(String),
}

/// The parsed options.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Security {
    /// The seccomp profile.
    pub seccomp: Seccomp,
    /// Programs gain no privileges by execve(2).
    pub no_new_privileges: bool,
    /// The AppArmor profile; empty when none is named.
    pub apparmor: String,
    /// The container may write to its cgroups.
    pub writable_cgroups: bool,
}

impl Security {
    /// Parses the options: `key=value` and the older `key:value`.
    pub fn parse(options: &[String], privileged: bool) -> Result<Security> {
        let mut security = Security { writable_cgroups: privileged, ..Security::default() };
        for option in options {
            if option == "no-new-privileges" {
                security.no_new_privileges = true;
                continue;
            }
            if option == "disable" {
                continue;
            }
            let (key, value) = option
                .split_once('=')
                .or_else(|| option.split_once(':'))
                .ok_or_else(|| Error::SecurityOption(option.clone()))?;
            match key {
                "seccomp" => {
                    security.seccomp = match value {
                        "unconfined" => Seccomp::Unconfined,
                        "builtin" => Seccomp::Builtin,
                        json => Seccomp::Inline(json.to_owned()),
                    };
                }
                "no-new-privileges" => security.no_new_privileges = boolean(option, value)?,
                "writable-cgroups" => security.writable_cgroups = boolean(option, value)?,
                "apparmor" => value.clone_into(&mut security.apparmor),
                "label" => {}
                _ => return Err(Error::SecurityOptionValue(option.clone())),
            }
        }
        Ok(security)
    }
}

fn boolean(option: &str, value: &str) -> Result<bool> {
    match value {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(Error::SecurityOptionValue(option.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &[&str]) -> Result<Security> {
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        Security::parse(&options, false)
    }

    #[test]
    fn options_are_read() {
        let security = parse(&["seccomp=unconfined", "no-new-privileges", "apparmor:x"]).expect("valid");
        assert_eq!(security.seccomp, Seccomp::Unconfined);
        assert!(security.no_new_privileges);
        assert_eq!(security.apparmor, "x");
        assert!(!parse(&["no-new-privileges=false"]).expect("valid").no_new_privileges);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(parse(&["magic=1"]).is_err());
        assert!(parse(&["plain"]).is_err());
        assert!(parse(&["no-new-privileges=perhaps"]).is_err());
    }
}
