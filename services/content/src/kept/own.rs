//! Whether an address is this Gantry's own.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The sockets at which this service answers, by itself or through the front socket.
const OWN: [&str; 2] = ["content.sock", "containerd.sock"];
/// As many links as the kernel follows.
const LINKS: usize = 40;

/// Whether an address leads to this service. The sockets need not be there yet.
pub(super) fn leads_back(run: &Path, address: &Path) -> bool {
    let target = follow(address);
    let same_folder = target.parent().is_some_and(|folder| is_same(folder, run));
    let has_name = target.file_name().is_some_and(|name| OWN.iter().any(|own| name == *own));
    // Or another name of a socket that is there: a hard link, a bind mount.
    same_folder && has_name || OWN.iter().any(|own| is_same(&target, &run.join(own)))
}

/// Follows links of the last part of a path, also to what is not there.
fn follow(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let Ok(target) = fs::read_link(&path) else { break };
        // An absolute target replaces the path.
        path = path.parent().unwrap_or(Path::new("/")).join(target);
    }
    path
}

fn is_same(one: &Path, other: &Path) -> bool {
    let id = |path| fs::metadata(path).map(|meta| (meta.dev(), meta.ino()));
    matches!((id(one), id(other)), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn one_s_own_sockets_are_known_by_any_path() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        fs::create_dir(&run).unwrap();
        symlink(&run, folder.path().join("link")).unwrap();
        symlink("link/content.sock", folder.path().join("there")).unwrap();
        symlink("there", folder.path().join("far")).unwrap();
        let at = |path: &str| leads_back(&run, &folder.path().join(path));
        for own in ["run/content.sock", "run/containerd.sock", "run/../run/content.sock", "link/content.sock"]
        {
            assert!(at(own), "{own}");
        }
        assert!(at("there") && at("far"));
        for other in ["run/other.sock", "content.sock", "run", "nowhere/content.sock"] {
            assert!(!at(other), "{other}");
        }
        fs::write(run.join("content.sock"), "").unwrap();
        fs::hard_link(run.join("content.sock"), folder.path().join("hard")).unwrap();
        assert!(at("hard"));
    }
}
