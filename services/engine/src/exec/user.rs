//! Checks whether a container knows the user of an exec. The shim resolves the user when the exec starts; the check
//! is made here because the client can still be told.
//!
//! The container controls its account files, which may hold anything: see [`View::read`].

use std::path::Path;

use gantry_rooted::View;

use crate::error::{Error, Result};

/// The largest id that Docker accepts.
const MOST: u32 = i32::MAX.cast_unsigned();

/// Whether `user[:group]` needs the container's files to be checked. Fails for one that is invalid in any container.
pub fn needs_files(wanted: &str) -> Result<bool> {
    let mut names = false;
    for part in parts(wanted).into_iter().flatten() {
        names |= number(part)?.is_none();
    }
    Ok(names)
}

/// Refuses a `user[:group]` whose names are not in the root's files.
pub fn check(wanted: &str, root: &View) -> Result<()> {
    let [user, group] = parts(wanted);
    if let Some(user) = user.filter(|user| !known(root, "/etc/passwd", 4, user)) {
        return Err(Error::Invalid(format!(
            "unable to find user {user}: no matching entries in passwd file"
        )));
    }
    if let Some(group) = group.filter(|group| !known(root, "/etc/group", 3, group)) {
        return Err(Error::Invalid(format!(
            "unable to find group {group}: no matching entries in group file"
        )));
    }
    Ok(())
}

fn parts(wanted: &str) -> [Option<&str>; 2] {
    let (user, group) = match wanted.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (wanted, None),
    };
    [Some(user), group].map(|part| part.filter(|part| !part.is_empty()))
}

/// Reads a numeric id; `None` for a name.
fn number(part: &str) -> Result<Option<u32>> {
    let digits = part.strip_prefix(['-', '+']).unwrap_or(part);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    match part.parse::<u32>() {
        Ok(id) if id <= MOST => Ok(Some(id)),
        _ => Err(Error::Invalid(format!("uids and gids must be in range 0-{MOST}"))),
    }
}

/// Whether `name` is a number, or a line of a file with at least `fields` fields has that name.
fn known(root: &View, path: &str, fields: usize, name: &str) -> bool {
    matches!(number(name), Ok(Some(_)))
        // A file that cannot be read counts as empty.
        || String::from_utf8_lossy(&root.read(Path::new(path)).unwrap_or_default()).lines().any(|line| {
            let mut parts = line.trim().split(':');
            parts.next() == Some(name) && parts.count() + 1 >= fields
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_are_known_by_number_or_by_the_container_s_files() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("etc")).expect("a folder");
        std::fs::write(folder.path().join("etc/passwd"), "web:x:7:8::/srv:/bin/sh\ntorn:x\n")
            .expect("a file");
        std::fs::write(folder.path().join("etc/group"), "log:x:9:web\n").expect("a file");
        let root = gantry_rooted::Root::open_path(folder.path()).and_then(View::new).expect("a root");
        let of = |wanted: &str| match needs_files(wanted) {
            Ok(true) => check(wanted, &root).map_err(|error| error.to_string()),
            Ok(false) => Ok(()),
            Err(error) => Err(error.to_string()),
        };
        for wanted in ["", "0", "web", "web:log", "5:6", ":9", "web:", "2147483647", "web:77"] {
            assert_eq!(of(wanted), Ok(()), "{wanted}");
        }
        let user = |name| Err(format!("unable to find user {name}: no matching entries in passwd file"));
        let group = |name| Err(format!("unable to find group {name}: no matching entries in group file"));
        let range = Err("uids and gids must be in range 0-2147483647".to_owned());
        assert_eq!((of("no"), of("torn"), of("log")), (user("no"), user("torn"), user("log")));
        assert_eq!((of("web:no"), of("0:0:0")), (group("no"), group("0:0")));
        assert_eq!((of("-1"), of("4294967296"), of("web:2147483648")), (range.clone(), range.clone(), range));
    }
}
