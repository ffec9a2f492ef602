//! The data socket: bytes as descriptors. The contract is in `gantry/content/v1/content.proto`.
//!
//! A connection is one writer, one follower or one opened blob; its end ends what it began. A writable descriptor is
//! only ever of an ingest's file, never of a blob's; what its holder does after the commit has no effect (see `seal`).

mod follower;
mod writer;

use std::fs::File;
use std::os::fd::AsFd;
use std::time::Duration;

use gantry_api::content::{Info, IngestRef};
use gantry_api::wire::{Invalid, digest, number, optional_digest, signed};
use gantry_daemon::Context;
use gantry_proto::gantry::content::v1 as pb;
use gantry_proto::gantry::content::v1::data_request::Action;
use gantry_rpc::{data, status};
use gantry_types::Namespace;
use tokio::net::{UnixListener, UnixStream};
use tonic::Status;

use crate::ingest::IngestKey;
use crate::store::{Store, Wish};
use crate::{Error, Result};

/// Accepts connections for ever; each is served by work of its own.
pub(crate) async fn serve(listener: UnixListener, store: Store, context: Context) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => context.spawn("data connection", connection(stream, store.clone())),
            Err(error) => {
                // Out of descriptors: those in use are given back in time.
                tracing::warn!(%error, "cannot accept on the data socket");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(mut stream: UnixStream, store: Store) {
    let request = match data::receive::<pb::DataRequest>(&mut stream).await {
        Ok(Some(request)) => request,
        Ok(None) => return,
        Err(error) => {
            tracing::debug!(%error, "a data connection without a request");
            return;
        }
    };
    if let Err(error) = answer(&mut stream, &store, request).await {
        // Whoever is at the other end has gone; nothing is lost.
        tracing::debug!(%error, "a data connection broke");
    }
}

async fn answer(stream: &mut UnixStream, store: &Store, request: pb::DataRequest) -> std::io::Result<()> {
    let namespace: Namespace = match request.namespace.parse() {
        Ok(namespace) => namespace,
        Err(_) if request.namespace.is_empty() => {
            return data::reject(stream, &Status::failed_precondition("namespace is required")).await;
        }
        Err(error) => return data::reject(stream, &status(Error::Argument(error))).await,
    };
    let lease = Some(request.lease).filter(|lease| !lease.is_empty());
    match request.action {
        Some(Action::OpenIngest(open)) => match open_ingest(store, namespace, lease, open).await {
            Ok(session) => session.run(stream).await,
            Err(error) => data::reject(stream, &status(error)).await,
        },
        Some(Action::Follow(follow)) => match follow_any(store, namespace, follow).await {
            Ok(session) => session.run(stream).await,
            Err(error) => data::reject(stream, &status(error)).await,
        },
        Some(Action::OpenBlob(open)) => match open_blob(store, &namespace, &open) {
            Ok((file, info)) => {
                data::accept(stream, &pb::BlobState { size: signed(info.size) }, &[file.as_fd()]).await
            }
            Err(error) => data::reject(stream, &status(error)).await,
        },
        None => data::reject(stream, &status(Invalid::Missing { field: "action" })).await,
    }
}

fn open_blob(store: &Store, namespace: &Namespace, open: &pb::OpenBlob) -> Result<(File, Info)> {
    store.open_blob(namespace, &digest(&open.digest)?)
}

async fn open_ingest(
    store: &Store,
    namespace: Namespace,
    lease: Option<String>,
    open: pb::OpenIngest,
) -> Result<writer::Session> {
    let key = IngestKey::of(&namespace, &IngestRef::try_from(open.r#ref)?);
    let wish =
        Wish { total: number("total", open.total)?, expected: optional_digest(&open.expected)?, lease };
    let mut writer = store.open_ingest(key, wish).await?;
    let file = writer.hand_out()?;
    Ok(writer::Session { writer, file })
}

async fn follow_any(store: &Store, namespace: Namespace, follow: pb::Follow) -> Result<follower::Session> {
    let digest = optional_digest(&follow.digest)?;
    let wait = Duration::from_millis(follow.wait_millis.into());
    // Who follows a blob by its digest alone waits for it under no ref.
    let key = IngestKey { namespace, reference: follow.r#ref };
    if key.reference.is_empty() && digest.is_none() {
        return Err(Invalid::NoReference.into());
    }
    store.follow(&key, digest.as_ref(), wait).await.map(follower::Session)
}
