//! Deleting trees in the background, on one thread: removing a snapshot must not take as long as its files do.

use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};

use crate::{Error, Result};

/// The way to the thread. Cheap to clone; the thread ends with the last clone.
#[derive(Debug, Clone)]
pub struct Trash(Sender<Work>);

#[derive(Debug)]
enum Work {
    Delete(PathBuf),
    Tell(tokio::sync::oneshot::Sender<()>),
}

impl Trash {
    /// Starts the thread.
    pub fn start() -> Result<Self> {
        let (sender, work) = channel();
        std::thread::Builder::new()
            .name("trash".into())
            .spawn(move || {
                for work in work {
                    match work {
                        Work::Delete(path) => delete(&path),
                        Work::Tell(waiting) => drop(waiting.send(())),
                    }
                }
            })
            .map_err(|source| Error::Io { op: "start thread", path: "trash".into(), source })?;
        Ok(Self(sender))
    }

    /// Deletes a tree some time soon. What is not deleted before the process ends is when it starts again.
    pub fn delete(&self, path: PathBuf) {
        // Fails only when the process ends.
        let _ = self.0.send(Work::Delete(path));
    }

    /// Returns when all that was given before is deleted.
    pub async fn flush(&self) {
        let (tell, told) = tokio::sync::oneshot::channel();
        if self.0.send(Work::Tell(tell)).is_ok() {
            let _ = told.await;
        }
    }
}

fn delete(path: &std::path::Path) {
    if let Err(first) = gantry_rooted::tree::remove_tree(path) {
        // A writer that was cancelled may have made one more file meanwhile.
        std::thread::sleep(std::time::Duration::from_millis(50));
        if let Err(error) = gantry_rooted::tree::remove_tree(path) {
            let first = first.to_string();
            tracing::warn!(path = %path.display(), first, error = %gantry_rpc::chain(&error), "not deleted, again at the next start");
        }
    }
}
