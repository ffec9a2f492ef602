//! Bundles: one directory for each task, on a tmpfs, which a reboot empties.
//!
//! ```text
//! run/bundles/<namespace>/<id>/
//!     config.json       the OCI spec, from the container's record
//!     rootfs/           where the shim mounts the root, in a mount namespace of its own
//!     bootstrap.json    how to reach the shim: written when the shim has started
//!     shim-binary       the path of the shim's binary
//!     journal           the task's steps, and which of their events were published
//!     exit.json, …      files of the shim
//! run/bundles/<namespace>/.<id>.<n>/
//!     a bundle that was set aside: kept until the task's delete event is published
//! ```

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Error;
use crate::journal::Journal;
use crate::shim::bootstrap::Bootstrap;

const CONFIG: &str = "config.json";
const ROOTFS: &str = "rootfs";
const BOOTSTRAP: &str = "bootstrap.json";
const SHIM_BINARY: &str = "shim-binary";
const EXIT: &str = "exit.json";

/// A task's bundle.
#[derive(Debug, Clone)]
pub struct Bundle {
    folder: PathBuf,
    journal: Journal,
}

impl Bundle {
    /// The path of a task's bundle.
    pub fn folder_of(root: &Path, namespace: &str, id: &str) -> PathBuf {
        root.join(namespace).join(id)
    }

    /// Creates a bundle. The caller has removed any earlier bundle of the same task.
    pub fn create(
        root: &Path,
        namespace: &str,
        id: &str,
        spec: &[u8],
        binary: &Path,
    ) -> Result<Bundle, Error> {
        let folder = Bundle::folder_of(root, namespace, id);
        let mut builder = fs::DirBuilder::new();
        builder.mode(0o711);
        match builder.create(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                builder.recursive(true).create(&folder).map_err(Error::io("create", &folder))?;
            }
            result => result.map_err(Error::io("create", &folder))?,
        }
        let filled = Bundle::fill(&folder, spec, binary);
        if filled.is_err() {
            // The caller needs the first error. Recovery removes what is left.
            let _ = fs::remove_dir_all(&folder);
        }
        filled
    }

    fn fill(folder: &Path, spec: &[u8], binary: &Path) -> Result<Bundle, Error> {
        let rootfs = folder.join(ROOTFS);
        fs::DirBuilder::new().mode(0o711).create(&rootfs).map_err(Error::io("create", rootfs))?;
        write(&folder.join(CONFIG), spec)?;
        write(&folder.join(SHIM_BINARY), binary.as_os_str().as_encoded_bytes())?;
        Ok(Bundle { folder: folder.to_owned(), journal: Journal::open(folder)? })
    }

    /// Opens an existing bundle.
    pub fn open(folder: PathBuf) -> Result<Bundle, Error> {
        let journal = Journal::open(&folder)?;
        Ok(Bundle { folder, journal })
    }

    /// Its directory.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its journal.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Records how to reach the shim.
    pub fn write_bootstrap(&self, bootstrap: &Bootstrap) -> Result<(), Error> {
        let temporary = self.folder.join(".bootstrap.json");
        write(&temporary, &bootstrap.to_json())?;
        fs::rename(&temporary, self.folder.join(BOOTSTRAP)).map_err(Error::io("rename", temporary))
    }

    /// How to reach the shim; `None` when the shim did not start.
    pub fn bootstrap(&self) -> Result<Option<Bootstrap>, Error> {
        bootstrap_in(&self.folder)
    }

    /// Whether our shim recorded, with the exit of init, that the kernel killed a process for want of memory.
    pub fn was_oom_killed(&self) -> bool {
        #[derive(Default, serde::Deserialize)]
        struct Exit {
            #[serde(default)]
            oom: bool,
        }
        let exit = fs::read(self.folder.join(EXIT)).unwrap_or_default();
        serde_json::from_slice::<Exit>(&exit).unwrap_or_default().oom
    }

    /// The path of the shim's binary.
    pub fn shim_binary(&self) -> Option<PathBuf> {
        fs::read_to_string(self.folder.join(SHIM_BINARY)).ok().map(PathBuf::from)
    }

    /// Renames the bundle, to make room for a new task of the same name.
    pub fn set_aside(&self) -> Result<Bundle, Error> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = self.folder.file_name().unwrap_or_default().to_string_lossy();
        let number = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let aside = self.folder.with_file_name(format!(".{name}.{number}"));
        fs::rename(&self.folder, &aside).map_err(Error::io("rename", &self.folder))?;
        Ok(Bundle { folder: aside, journal: self.journal.clone() })
    }

    /// Removes the bundle, and nothing that is mounted in it. A shim written by others mounts the container's root in
    /// the host's mount namespace, and may have died before it unmounted the root.
    pub fn remove(&self) -> Result<(), Error> {
        let root = self.folder.join(ROOTFS);
        gantry_mount::detach_all(&root).map_err(|error| Error::io("unmount", root)(error.into_io()))?;
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error::io("remove", &self.folder)(error))
            }
            _ => Ok(()),
        }
    }
}

/// How to reach the shim of the bundle in `folder`; `None` when the shim did not start.
pub fn bootstrap_in(folder: &Path) -> Result<Option<Bootstrap>, Error> {
    let path = folder.join(BOOTSTRAP);
    match fs::read(&path) {
        // A file that does not parse was not written completely, and no client was told of its task.
        Ok(bytes) => Ok(Bootstrap::parse(&bytes).ok()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

/// A bundle found on disk.
#[derive(Debug)]
pub struct Found {
    /// The containerd namespace.
    pub namespace: String,
    /// The container.
    pub id: String,
    /// The bundle's directory.
    pub folder: PathBuf,
    /// The bundle was set aside.
    pub aside: bool,
}

/// All bundles under `root`.
pub fn scan(root: &Path) -> Result<Vec<Found>, Error> {
    let mut found = Vec::new();
    for namespace in entries(root)? {
        for folder in entries(&namespace)? {
            let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let (namespace, id) = (name(&namespace), name(&folder));
            match id.strip_prefix('.') {
                None => found.push(Found { namespace, id, folder, aside: false }),
                Some(rest) => {
                    let id = rest.rsplit_once('.').map_or(rest, |(id, _)| id).to_owned();
                    found.push(Found { namespace, id, folder, aside: true });
                }
            }
        }
    }
    Ok(found)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let listing = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        listing => listing.map_err(Error::io("list", folder))?,
    };
    let mut paths = Vec::new();
    for entry in listing {
        let entry = entry.map_err(Error::io("list", folder))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            paths.push(entry.path());
        }
    }
    Ok(paths)
}

/// Writes a file that only root can read: a spec's environment holds secrets, and every user can enter the
/// directories above.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path).and_then(|mut file| file.write_all(bytes)).map_err(Error::io("write", path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_bundle_set_aside_makes_room_and_is_found() {
        let root = tempfile::tempdir().unwrap();
        let make = || Bundle::create(root.path(), "ns", "c.1", b"{}", Path::new("/shim"));
        let bundle = make().unwrap();
        assert!(make().is_err());
        assert_eq!(bundle.shim_binary().unwrap(), Path::new("/shim"));
        assert!(bundle.bootstrap().unwrap().is_none());
        let mode = fs::metadata(bundle.folder().join(CONFIG)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "others could read the environment's secrets");
        let aside = bundle.set_aside().unwrap();
        make().unwrap();
        let mut found = scan(root.path()).unwrap();
        found.sort_by_key(|found| found.aside);
        assert_eq!(
            found.iter().map(|f| (f.id.as_str(), f.aside)).collect::<Vec<_>>(),
            [("c.1", false), ("c.1", true)]
        );
        aside.remove().unwrap();
        aside.remove().unwrap();
        assert_eq!(scan(root.path()).unwrap().len(), 1);
    }
}
