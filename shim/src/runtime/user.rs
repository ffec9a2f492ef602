//! Users and groups by name, looked up in a container's own `/etc/passwd` and `/etc/group`. These files are hostile
//! input, and are opened only inside the container's root.

use std::path::Path;

use gantry_host::process::Pinned;
use gantry_rooted::Root;

use super::Failure;
use super::failure::{Cause, StartFailure};
use super::libcontainer::chain;

/// The ids that a process runs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    pub additional_gids: Vec<u32>,
}

/// A container's account files.
pub struct Accounts {
    passwd: String,
    group: String,
}

impl Accounts {
    /// Reads the files below `root`; a missing file counts as empty.
    pub fn read(root: &Path) -> Result<Self, Failure> {
        let root = Root::open_path(root).map_err(|error| chain(&error))?;
        Ok(Self::inside(&root))
    }

    /// Reads the files that the process `pid` sees. Refuses a process that was not started at `start`.
    pub fn of_process(pid: i32, start: u64) -> Result<Self, Failure> {
        let ended = || format!("the container's init {pid} has ended");
        let process = Pinned::open(pid.cast_unsigned()).map_err(|_| ended())?;
        // The descriptor is opened first: it still refers to the same process while the start time is compared.
        if crate::exit::start_time(pid) != Some(start) {
            return Err(ended());
        }
        Ok(Self::inside(&Root::from_fd(process.root().map_err(|_| ended())?)))
    }

    /// A file that cannot be read, or is longer than any account file, counts as empty.
    fn inside(root: &Root) -> Self {
        let text = |path| {
            let bytes = root.read(Path::new(path)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Self { passwd: text("etc/passwd"), group: text("etc/group") }
    }

    /// Resolves a group name or number.
    pub fn group(&self, wanted: &str) -> Result<u32, StartFailure> {
        let mut groups = entries(&self.group).filter(|fields| fields.len() >= 3);
        match groups.find(|fields| fields[0] == wanted || fields[2] == wanted) {
            Some(fields) => number(fields[2]),
            None if is_number(wanted) => number(wanted),
            None => Err(unknown(format!("unable to find group {wanted}: no matching entries in group file"))),
        }
    }

    /// Adds groups, separated by commas, to a list of group ids.
    pub fn add_groups(&self, gids: &mut Vec<u32>, groups: &str) -> Result<(), StartFailure> {
        for group in groups.split(',').filter(|group| !group.is_empty()) {
            let gid = self.group(group)?;
            if !gids.contains(&gid) {
                gids.push(gid);
            }
        }
        Ok(())
    }

    /// Resolves `user[:group]`, names or numbers, by Docker's rules. Empty is root.
    pub fn resolve(&self, wanted: &str) -> Result<User, StartFailure> {
        let (user, group) = match wanted.split_once(':') {
            Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
            None => (wanted, None),
        };
        let user = if user.is_empty() { "0" } else { user };
        let entry = entries(&self.passwd)
            .find(|fields| fields.len() >= 4 && (fields[0] == user || fields[2] == user));
        let (name, uid, own_gid) = match entry {
            Some(fields) => (fields[0], number(fields[2])?, number(fields[3])?),
            None if is_number(user) => ("", number(user)?, 0),
            None => {
                return Err(unknown(format!(
                    "unable to find user {user}: no matching entries in passwd file"
                )));
            }
        };
        let groups = entries(&self.group).filter(|fields| fields.len() >= 3);
        match group {
            Some(group) => {
                let gid = self.group(group)?;
                Ok(User { uid, gid, additional_gids: vec![gid] })
            }
            None => {
                let members = groups
                    .filter(|fields| {
                        !name.is_empty()
                            && fields.get(3).is_some_and(|members| members.split(',').any(|m| m == name))
                    })
                    .filter_map(|fields| number(fields[2]).ok())
                    .filter(|gid| *gid != own_gid);
                // The primary group too: otherwise the process could drop it, and escape permissions that deny the
                // group.
                let additional_gids = std::iter::once(own_gid).chain(members).collect();
                Ok(User { uid, gid: own_gid, additional_gids })
            }
        }
    }

    /// The home directory of `uid`; `/` without one.
    pub fn home(&self, uid: u32) -> String {
        let uid = uid.to_string();
        entries(&self.passwd)
            .find(|fields| fields.len() >= 6 && fields[2] == uid)
            .map(|fields| fields[5].to_string())
            .filter(|home| !home.is_empty())
            .unwrap_or_else(|| "/".into())
    }
}

fn entries(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split(':').collect())
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn number(text: &str) -> Result<u32, StartFailure> {
    text.parse::<u32>()
        .ok()
        .filter(|number| *number <= i32::MAX.cast_unsigned())
        .ok_or_else(|| unknown("uids and gids must be in range 0-2147483647"))
}

fn unknown(words: impl Into<String>) -> StartFailure {
    StartFailure::new(Cause::NoSuchUser, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        Accounts {
            passwd: "root:x:0:0:root:/root:/bin/sh\n# no\nweb:x:33:44:web:/srv/www:/bin/false\nbroken\n"
                .into(),
            group: "root:x:0:root\nweb:x:44:\nlog:x:55:sys,web\nbig:x:99999999999:web\n".into(),
        }
    }

    #[test]
    fn names_and_numbers_resolve_with_the_users_groups() {
        let user = |uid, gid, additional: &[u32]| Ok(User { uid, gid, additional_gids: additional.to_vec() });
        let accounts = accounts();
        assert_eq!(accounts.resolve("web"), user(33, 44, &[44, 55]));
        assert_eq!(accounts.resolve("33"), user(33, 44, &[44, 55]));
        assert_eq!(accounts.resolve("web:root"), user(33, 0, &[0]));
        assert_eq!(accounts.resolve("1000"), user(1000, 0, &[0]));
        assert_eq!(accounts.resolve("1000:77"), user(1000, 77, &[77]));
        assert_eq!(accounts.resolve(""), user(0, 0, &[0]));
        assert_eq!(accounts.home(33), "/srv/www");
        assert_eq!(accounts.home(5), "/");
    }

    #[test]
    fn unknown_names_fail_in_dockers_words() {
        let failure = |wanted| accounts().resolve(wanted).expect_err("unknown").message;
        assert_eq!(failure("x"), "unable to find user x: no matching entries in passwd file");
        assert_eq!(failure("web:y"), "unable to find group y: no matching entries in group file");
        assert_eq!(failure("4294967295"), "uids and gids must be in range 0-2147483647");
    }
}
