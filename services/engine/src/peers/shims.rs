//! The shims' attach sockets.

use std::path::{Path, PathBuf};

use gantry_api::engine::{AttachPoint, Streams};
use gantry_types::Namespace;
use tokio::net::UnixStream;

use super::said;
use crate::error::{Error, Result};

/// A client of the shims' sockets. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shims {
    run: PathBuf,
}

impl Shims {
    /// The shims of a root directory, whose sockets are below `run`.
    pub fn new(run: &Path) -> Shims {
        Shims { run: run.to_owned() }
    }

    /// The path of the socket on which a container's shim accepts attachments.
    pub fn attach_socket(&self, id: &str) -> PathBuf {
        self.run.join("bundles").join(Namespace::moby().as_str()).join(id).join("attach.sock")
    }

    /// Attaches to the output of an exec, in the frames of Docker's multiplexed stream.
    pub async fn attach_output(&self, id: &str, exec: &str) -> Result<UnixStream> {
        let socket = self.attach_socket(id).display().to_string();
        let point = AttachPoint { socket, exec_id: exec.to_owned(), ..AttachPoint::default() };
        let streams = Streams { stdin: false, stdout: true, stderr: true, stdin_once: false };
        point.connect(streams).await.map_err(|failure| Error::peer("attach to a probe", said(failure)))
    }
}
