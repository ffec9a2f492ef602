//! The way to a process's attach socket, which its shim serves.

use std::path::Path;

use gantry_proto::gantry::engine::v1::AttachPoint;
use gantry_proto::gantry::shim::v1::AttachRequest;
use gantry_rpc::data;
use tokio::net::UnixStream;

use crate::error::Error;

/// Which streams a client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streams {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
}

/// Connects to the shim and announces what is wanted; raw bytes follow.
pub async fn connect(point: &AttachPoint, streams: Streams, stdin_once: bool) -> Result<UnixStream, Error> {
    let request = AttachRequest {
        exec_id: point.exec_id.clone(),
        stdin: streams.stdin,
        stdout: streams.stdout,
        stderr: streams.stderr,
        stdin_once,
    };
    let (stream, _, _) = data::call(Path::new(&point.socket), &request)
        .await
        .map_err(|status| Error::from_peer("shim", &status))?;
    Ok(stream)
}
