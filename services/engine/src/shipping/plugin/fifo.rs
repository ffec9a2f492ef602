//! The FIFOs between the engine and plugins.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gantry_rooted::{EntryKind, Root};
use tokio::net::unix::pipe::{OpenOptions, Sender};

use crate::error::{Error, Result};
use crate::names;
use crate::root::kernel;

/// Time between checks whether the plugin has opened its end.
const LOOK: Duration = Duration::from_millis(5);

/// The directory of all FIFOs. Only the engine's user can access it.
#[derive(Clone, Debug)]
pub struct Fifos(Arc<PathBuf>);

/// A FIFO that is deleted when this is dropped.
#[derive(Debug)]
pub(super) struct Fifo(PathBuf);

impl Fifos {
    /// Makes the directory and deletes the FIFOs that another engine has left. A plugin that still reads one has it
    /// open.
    ///
    /// # Errors
    ///
    /// The directory cannot be made.
    pub fn open(folder: PathBuf) -> Result<Fifos> {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|source| Error::io("create directory", &folder, source))?;
        let left = std::fs::read_dir(&folder).map_err(|source| Error::io("read", &folder, source))?;
        for entry in left.flatten() {
            if let Err(error) = std::fs::remove_file(entry.path()) {
                tracing::warn!(path = %entry.path().display(), %error, "an old FIFO is not removed");
            }
        }
        Ok(Fifos(Arc::new(folder)))
    }

    /// A directory that does not exist, for tests that make no FIFO.
    #[cfg(test)]
    pub fn nowhere() -> Fifos {
        Fifos(Arc::new(PathBuf::from("/nowhere")))
    }

    /// Makes a FIFO with a unique name.
    pub(super) fn make(&self) -> Result<Fifo> {
        let path = self.0.join(names::new_id());
        let folder = Root::open_path(&self.0).map_err(kernel)?;
        let name = Path::new(path.file_name().unwrap_or_default());
        folder.mknod(name, EntryKind::Fifo, 0o600, 0).map_err(kernel)?;
        Ok(Fifo(path))
    }
}

impl Fifo {
    /// The path that the plugin is told.
    pub(super) fn file(&self) -> String {
        self.0.display().to_string()
    }

    /// Opens the FIFO for writing as soon as a reader has it open, without a time limit.
    pub(super) async fn opened(&self) -> io::Result<Sender> {
        loop {
            match OpenOptions::new().open_sender(&self.0) {
                Err(error) if error.raw_os_error() == Some(NOBODY) => tokio::time::sleep(LOOK).await,
                opened => return opened,
            }
        }
    }
}

/// ENXIO: no reader has it open.
const NOBODY: i32 = 6;

impl Drop for Fifo {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.0.display(), %error, "a FIFO is not removed");
        }
    }
}
