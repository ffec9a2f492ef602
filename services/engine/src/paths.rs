//! The engine's directory.
//!
//! ```text
//! state/engine/
//!   db/                          records
//!   containers/<id>/
//!     <id>-json.log[.N]          output
//!     hosts hostname resolv.conf mounted over those of the image
//!     shm/                       its /dev/shm, while it runs and others may join it
//!   containers/.removed-<id>/    the same, of a container that is just going
//!   volumes/<name>/_data/        a volume's content
//! ```

use std::path::{Path, PathBuf};

use gantry_spec::RuntimeFiles;

const REMOVED: &str = ".removed-";

/// Where things are.
#[derive(Clone, Debug)]
pub struct Paths {
    state: PathBuf,
}

impl Paths {
    /// Everything below a directory.
    pub fn new(state: PathBuf) -> Paths {
        Paths { state }
    }

    /// The directory itself.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// The records.
    pub fn database(&self) -> PathBuf {
        self.state.join("db")
    }

    /// All containers' directories.
    pub fn containers(&self) -> PathBuf {
        self.state.join("containers")
    }

    /// A container's directory.
    pub fn container(&self, id: &str) -> PathBuf {
        self.containers().join(id)
    }

    /// Where a container's directory is moved before its record goes: what is there may be removed.
    pub fn removed(&self, id: &str) -> PathBuf {
        self.containers().join(format!("{REMOVED}{id}"))
    }

    /// Whether an entry among the containers' directories may be removed.
    pub fn is_removed(name: &str) -> bool {
        name.starts_with(REMOVED)
    }

    /// A container's log.
    pub fn log(&self, id: &str) -> PathBuf {
        self.container(id).join(format!("{id}-json.log"))
    }

    /// A container's files over `/etc`.
    pub fn files(&self, id: &str) -> RuntimeFiles {
        let directory = self.container(id);
        RuntimeFiles {
            hosts: directory.join("hosts"),
            hostname: directory.join("hostname"),
            resolv_conf: directory.join("resolv.conf"),
        }
    }

    /// Where a container's `/dev/shm` is, if others may join it.
    pub fn shm(&self, id: &str) -> PathBuf {
        self.container(id).join("shm")
    }

    /// All volumes.
    pub fn volumes(&self) -> PathBuf {
        self.state.join("volumes")
    }
}
