//! The server of the data socket. The contract is in `gantry/content/v1/content.proto`.
//!
//! A connection is one writer, one follower or one opened blob, which ends with the connection.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use gantry_proto::gantry::content::v1 as pb;
use gantry_proto::gantry::content::v1::data_request::Action;
use gantry_rpc::{data, status};
use tokio::net::UnixStream;
use tonic::Status;

use super::{Files, Wanted, filling, following};
use crate::content::{IngestRef, Owner, convert};
use crate::wire::{self, Invalid};

/// Serves one connection to its end.
pub async fn connection<S: Files>(mut stream: UnixStream, store: S) {
    let request = match data::receive::<pb::DataRequest>(&mut stream).await {
        Ok(Some(request)) => request,
        Ok(None) => return,
        Err(error) => {
            tracing::debug!(%error, "a data connection without a request");
            return;
        }
    };
    if let Err(error) = answer(&mut stream, &store, request).await {
        // The client has disconnected; nothing is lost.
        tracing::debug!(%error, "a data connection broke");
    }
}

async fn answer<S: Files>(stream: &mut UnixStream, store: &S, request: pb::DataRequest) -> io::Result<()> {
    let namespace = match request.namespace.parse() {
        Ok(namespace) => namespace,
        Err(_) if request.namespace.is_empty() => {
            return data::reject(stream, &Status::failed_precondition("namespace is required")).await;
        }
        Err(error) => return data::reject(stream, &status(Invalid::Argument(error))).await,
    };
    let owner = Owner { namespace, lease: Some(request.lease).filter(|lease| !lease.is_empty()) };
    let refused = match request.action {
        Some(Action::OpenIngest(open)) => match fill(store, &owner, open).await {
            Ok((filler, file)) => return filling::run(stream, filler, file).await,
            Err(status) => status,
        },
        Some(Action::Follow(request)) => match follow(store, &owner, request).await {
            Ok((follower, file)) => return following::run(stream, follower, file).await,
            Err(status) => status,
        },
        Some(Action::OpenBlob(open)) => match open_blob(store, &owner, open).await {
            Ok((file, size)) => {
                let detail = pb::BlobState { size: wire::signed(size) };
                return data::accept(stream, &detail, &[file.as_fd()]).await;
            }
            Err(status) => status,
        },
        None => status(Invalid::Missing { field: "action" }),
    };
    data::reject(stream, &refused).await
}

async fn open_blob<S: Files>(
    store: &S,
    owner: &Owner,
    open: pb::OpenBlob,
) -> Result<(std::fs::File, u64), Status> {
    let digest = wire::digest(&open.digest).map_err(status)?;
    store.open_blob(&owner.namespace, &digest).await.map_err(status)
}

async fn fill<S: Files>(
    store: &S,
    owner: &Owner,
    open: pb::OpenIngest,
) -> Result<(S::Filler, std::fs::File), Status> {
    let reference = IngestRef::try_from(open.r#ref).map_err(status)?;
    let expected = convert::parse_expected(open.total, &open.expected).map_err(status)?;
    store.fill(owner, &reference, expected).await.map_err(status)
}

async fn follow<S: Files>(
    store: &S,
    owner: &Owner,
    follow: pb::Follow,
) -> Result<(S::Follower, std::fs::File), Status> {
    let wanted = wanted(follow.r#ref, &follow.digest).map_err(status)?;
    let wait = Duration::from_millis(follow.wait_millis.into());
    store.follow(&owner.namespace, &wanted, wait).await.map_err(status)
}

fn wanted(reference: String, digest: &str) -> Result<Wanted, Invalid> {
    let digest = wire::optional_digest(digest)?;
    Ok(match (IngestRef::try_from(reference), digest) {
        (Ok(reference), Some(digest)) => Wanted::Either(reference, digest),
        (Ok(reference), None) => Wanted::Ingest(reference),
        (Err(_), Some(digest)) => Wanted::Blob(digest),
        (Err(error), None) => return Err(error),
    })
}
