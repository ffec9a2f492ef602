//! The shims' attach sockets.

use gantry_proto::gantry::shim::v1::AttachRequest;
use tokio::net::UnixStream;

use super::Peers;
use crate::error::{Error, Result};

impl Peers {
    /// Attaches to the output of a further process of a container, in the frames of Docker's multiplexed stream.
    pub async fn attach_output(&self, id: &str, exec: &str) -> Result<UnixStream> {
        let request =
            AttachRequest { exec_id: exec.to_owned(), stdout: true, stderr: true, ..Default::default() };
        let called = gantry_rpc::data::call(&self.attach_socket(id), &request).await;
        called.map(|(stream, ..)| stream).map_err(|status| Error::peer("attach to a probe", status))
    }
}
