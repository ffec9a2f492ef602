//! Checks binds with mount propagation: a bind can only be shared if the host's mount is shared.

use std::path::Path;

use gantry_mount::table::{self, Entry};

use crate::error::{Error, Result};
use crate::root::kernel;

/// Refuses a `shared` or `slave` bind if its source is in a mount that does not propagate.
pub fn check(source: &Path, propagation: &str) -> Result<()> {
    let wanted: &[&str] = match propagation {
        "shared" | "rshared" => &["shared:"],
        "slave" | "rslave" => &["shared:", "master:"],
        _ => return Ok(()),
    };
    let real = source.canonicalize().map_err(|error| Error::io("find", source, error))?;
    let table = table::read().map_err(kernel)?;
    match holder(&table, &real) {
        Some(holder) if spreads(holder, wanted) => Ok(()),
        holder => Err(Error::Path(format!(
            "path {} is mounted on {} but it is not a shared{} mount",
            source.display(),
            holder.map_or(Path::new("/"), |holder| &holder.mount_point).display(),
            if wanted.len() > 1 { " or slave" } else { "" },
        ))),
    }
}

/// The mount that contains a path: the last one at the innermost mount point, because it covers the earlier ones.
fn holder<'t>(table: &'t [Entry], path: &Path) -> Option<&'t Entry> {
    let over = table.iter().filter(|entry| path.starts_with(&entry.mount_point));
    over.max_by_key(|entry| entry.mount_point.components().count())
}

fn spreads(holder: &Entry, wanted: &[&str]) -> bool {
    holder.tags.iter().any(|tag| wanted.iter().any(|word| tag.starts_with(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_decides() {
        let table: Vec<Entry> = [
            "1 0 8:1 / / rw shared:1 - ext4 /dev/a rw",
            "2 1 8:2 / /srv rw - ext4 /dev/b rw",
            "3 2 8:3 / /srv/deep rw master:1 - ext4 /dev/c rw",
        ]
        .iter()
        .map(|line| table::parse(line.as_bytes()).expect("a line"))
        .collect();
        let spreads = |path: &str, wanted: &[&str]| {
            holder(&table, Path::new(path)).is_some_and(|holder| spreads(holder, wanted))
        };
        assert!(spreads("/etc", &["shared:"]) && spreads("/srvother", &["shared:"]));
        assert!(!spreads("/srv/x", &["shared:", "master:"]));
        assert!(!spreads("/srv/deep/x", &["shared:"]) && spreads("/srv/deep/x", &["shared:", "master:"]));
    }

    #[test]
    fn private_binds_ask_nothing_of_the_host() {
        check(Path::new("/no/such"), "rprivate").expect("nothing is asked");
    }
}
