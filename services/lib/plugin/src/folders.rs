//! The directories of plugins.

use std::collections::BTreeSet;
use std::os::unix::fs::FileTypeExt;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::place::Place;

/// The directories: a setting of each service that calls plugins.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Folders {
    /// The directory with the sockets of plugins on this host.
    pub sockets: PathBuf,
    /// The directories with files that name a plugin's address; the first one with a file for the name counts.
    pub specs: Vec<PathBuf>,
}

impl Default for Folders {
    fn default() -> Self {
        Folders {
            sockets: PathBuf::from("/run/docker/plugins"),
            specs: vec![PathBuf::from("/etc/docker/plugins"), PathBuf::from("/usr/lib/docker/plugins")],
        }
    }
}

impl Folders {
    /// The address of a plugin.
    ///
    /// # Errors
    ///
    /// When there is none, or its file cannot be read.
    pub fn find(&self, name: &str) -> Result<Place> {
        if !is_name(name) {
            return Err(Error::NotFound(name.to_owned()));
        }
        let socket = |path: &PathBuf| is_socket(path);
        if let Some(path) = candidates(&self.sockets, name, "sock").into_iter().find(socket) {
            return Ok(Place::Unix(path));
        }
        for folder in &self.specs {
            for kind in ["spec", "json"] {
                for path in candidates(folder, name, kind) {
                    if path.is_file() {
                        return Place::read(&path);
                    }
                }
            }
        }
        Err(Error::NotFound(name.to_owned()))
    }

    /// The names of all plugins, sorted. Leaves out what cannot be read.
    pub fn names(&self) -> Vec<String> {
        let mut names = BTreeSet::new();
        let all = std::iter::once((&self.sockets, &["sock"][..]))
            .chain(self.specs.iter().map(|folder| (folder, &["spec", "json"][..])));
        for (folder, kinds) in all {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten().take(ENTRIES) {
                let path = entry.path();
                let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
                let whole = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                let name = if path.is_dir() { whole } else { stem };
                let there = |path: PathBuf| if kinds == ["sock"] { is_socket(&path) } else { path.is_file() };
                if kinds.iter().flat_map(|kind| candidates(folder, name, kind)).any(there) {
                    names.insert(name.to_owned());
                }
            }
        }
        names.into_iter().collect()
    }
}

/// How many entries of a directory are read.
const ENTRIES: usize = 1024;

fn candidates(folder: &Path, name: &str, kind: &str) -> [PathBuf; 2] {
    let file = format!("{name}.{kind}");
    [folder.join(&file), folder.join(name).join(&file)]
}

/// Whether it is exactly one component of a path.
fn is_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!((components.next(), components.next()), (Some(Component::Normal(one)), None) if one == name)
        && !name.contains('\0')
}

fn is_socket(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.file_type().is_socket())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn folders(root: &Path) -> Folders {
        let folders = Folders { sockets: root.join("run"), specs: vec![root.join("etc"), root.join("lib")] };
        for folder in std::iter::once(&folders.sockets).chain(&folders.specs) {
            std::fs::create_dir(folder).expect("made");
        }
        folders
    }

    #[test]
    fn sockets_come_before_files_and_the_first_folder_wins() {
        let root = tempfile::tempdir().expect("a directory");
        let folders = folders(root.path());
        let unix = |path: &str| Place::Unix(root.path().join(path));
        let address = |host: &str| Place::Tcp(host.to_owned());
        std::fs::write(root.path().join("lib/a.spec"), "tcp://lib:1\n").expect("written");
        assert_eq!(folders.find("a").expect("found"), address("lib:1"));
        std::fs::write(root.path().join("etc/a.json"), r#"{"Addr": "tcp://json:1"}"#).expect("written");
        assert_eq!(folders.find("a").expect("found"), address("json:1"));
        std::fs::write(root.path().join("etc/a.spec"), " tcp://etc:1 ").expect("written");
        assert_eq!(folders.find("a").expect("found"), address("etc:1"));
        std::fs::create_dir(root.path().join("run/a")).expect("made");
        let _within = UnixListener::bind(root.path().join("run/a/a.sock")).expect("bound");
        assert_eq!(folders.find("a").expect("found"), unix("run/a/a.sock"));
        let _beside = UnixListener::bind(root.path().join("run/a.sock")).expect("bound");
        assert_eq!(folders.find("a").expect("found"), unix("run/a.sock"));
        std::fs::write(root.path().join("run/file.sock"), "").expect("written");
        std::fs::write(root.path().join("lib/odd.txt"), "").expect("written");
        std::fs::write(root.path().join("lib/b.json"), "{}").expect("written");
        assert_eq!(folders.names(), ["a", "b"]);
    }

    #[test]
    fn a_name_never_leads_out_of_the_folders() {
        let root = tempfile::tempdir().expect("a directory");
        let folders = folders(root.path());
        std::fs::write(root.path().join("out.spec"), "tcp://out:1").expect("written");
        for name in ["../out", "", ".", "..", "a/b", "/out", "a/", "a\0"] {
            assert!(matches!(folders.find(name), Err(Error::NotFound(_))), "{name:?}");
        }
    }
}
