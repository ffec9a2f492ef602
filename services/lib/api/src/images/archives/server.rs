//! Reads the requests of the data socket, for the server.

use std::io;

use gantry_proto::gantry::images::v1 as pb;
use gantry_rpc::{data, status};
use gantry_types::{Namespace, Platform};
use tokio::net::UnixStream;

use super::{ImportSpec, SaveSpec, requests};
use crate::wire::Invalid;

/// The request of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// The client sends an archive, of which this platform (or this host's) is unpacked.
    Load(Option<Platform>),
    /// The client receives an archive.
    Save(SaveSpec),
    /// The client sends a root file system.
    Import(ImportSpec),
}

/// Reads the request of a connection. `None` if the connection is closed, or if the request is not valid, which the
/// client is told.
///
/// # Errors
///
/// Errors of reading and writing.
pub async fn receive(stream: &mut UnixStream) -> io::Result<Option<(Namespace, Request)>> {
    let Some(request) = data::receive::<pb::DataRequest>(stream).await? else { return Ok(None) };
    let namespace = request.namespace.parse::<Namespace>().map_err(Invalid::from);
    match namespace.and_then(|namespace| Ok((namespace, requests::parse(request.action)?))) {
        Ok(asked) => Ok(Some(asked)),
        Err(error) => data::reject(stream, &status(error)).await.map(|()| None),
    }
}
