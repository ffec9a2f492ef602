//! The engine's directory.
//!
//! ```text
//! state/engine/
//!   db/                          records
//!   containers/<id>/
//!     <id>-json.log[.N]          output
//!     hosts hostname resolv.conf mounted over the image's files
//!     shm/                       its /dev/shm, while it runs and other containers may join it
//!   containers/.removed-<id>/    the same, for a container that is being removed
//!   volumes/<name>/_data/        a volume's content
//! ```

use std::path::{Path, PathBuf};

use gantry_spec::RuntimeFiles;

const REMOVED: &str = ".removed-";

/// The engine's paths.
#[derive(Clone, Debug)]
pub struct Paths {
    state: PathBuf,
}

impl Paths {
    /// The paths below a directory.
    pub fn new(state: PathBuf) -> Paths {
        Paths { state }
    }

    /// The engine's directory.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// The directory of the database.
    pub fn database(&self) -> PathBuf {
        self.state.join("db")
    }

    /// The directory of all containers' directories.
    pub fn containers(&self) -> PathBuf {
        self.state.join("containers")
    }

    /// A container's directory.
    pub fn container(&self, id: &str) -> PathBuf {
        self.containers().join(id)
    }

    /// The path that a container's directory is moved to before its record is deleted. Anything there may be removed.
    pub fn removed(&self, id: &str) -> PathBuf {
        self.containers().join(format!("{REMOVED}{id}"))
    }

    /// Whether an entry in the containers' directory may be removed.
    pub fn is_removed(name: &str) -> bool {
        Self::removed_id(name).is_some()
    }

    /// The id of the container that such an entry belonged to.
    pub fn removed_id(name: &str) -> Option<&str> {
        name.strip_prefix(REMOVED)
    }

    /// A container's log.
    pub fn log(&self, id: &str) -> PathBuf {
        self.container(id).join(format!("{id}-json.log"))
    }

    /// The files that are mounted in a container's `/etc`.
    pub fn files(&self, id: &str) -> RuntimeFiles {
        let directory = self.container(id);
        RuntimeFiles {
            hosts: directory.join("hosts"),
            hostname: directory.join("hostname"),
            resolv_conf: directory.join("resolv.conf"),
        }
    }

    /// The directory of a container's `/dev/shm`, if other containers may join it.
    pub fn shm(&self, id: &str) -> PathBuf {
        self.container(id).join("shm")
    }

    /// The directory of all volumes.
    pub fn volumes(&self) -> PathBuf {
        self.state.join("volumes")
    }
}
