//! Files in and out of containers, spliced from and to the engine's data socket.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::StreamExt;
use gantry_proto::gantry::engine::v1 as engine;
use gantry_proto::gantry::engine::v1::data_request::{Action, ArchiveGet, ArchivePut, ArchiveStat, Export};
use gantry_rpc::data::{self, WireStatus};
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use tokio::io::AsyncWriteExt;

use crate::call::Call;
use crate::error::Error;
use crate::moment;
use crate::peers::ENGINE;
use crate::response::{self, Response};
use crate::wire::container::PathStat;

const STAT: HeaderName = HeaderName::from_static("x-docker-container-path-stat");

fn path(call: &Call) -> Result<String, Error> {
    match call.query.text("path") {
        "" => Err(Error::bad("bad parameter: path cannot be empty")),
        path => Ok(path.to_owned()),
    }
}

fn stat_header(stat: engine::PathStat) -> Result<HeaderValue, Error> {
    let stat = PathStat {
        name: stat.name,
        size: stat.size,
        mode: stat.mode,
        mtime: moment::rfc3339_nano(stat.mtime.as_ref()),
        link_target: stat.link_target,
    };
    let json = serde_json::to_vec(&stat)
        .map_err(|error| Error::internal(format!("cannot encode the path's state: {error}")))?;
    HeaderValue::try_from(STANDARD.encode(json))
        .map_err(|error| Error::internal(format!("cannot send the path's state: {error}")))
}

/// `HEAD /containers/{id}/archive`
pub async fn archive_stat(call: &Call, id: &str) -> Result<Response, Error> {
    let request = ArchiveStat { container: id.to_owned(), path: path(call)? };
    let (_, stat) = call.peers().engine_data::<engine::PathStat>(Action::ArchiveStat(request)).await?;
    let mut response = response::empty(StatusCode::OK);
    response.headers_mut().insert(STAT, stat_header(stat)?);
    Ok(response)
}

/// `GET /containers/{id}/archive`
pub async fn archive_get(call: &Call, id: &str) -> Result<Response, Error> {
    let request = ArchiveGet { container: id.to_owned(), path: path(call)? };
    let (archive, stat) = call.peers().engine_data::<engine::PathStat>(Action::ArchiveGet(request)).await?;
    let mut response = response::archive(response::TAR, archive);
    response.headers_mut().insert(STAT, stat_header(stat)?);
    Ok(response)
}

/// `PUT /containers/{id}/archive`
pub async fn archive_put(call: Call, id: &str) -> Result<Response, Error> {
    let request = ArchivePut {
        container: id.to_owned(),
        path: path(&call)?,
        no_overwrite_dir_non_dir: call.query.flag("noOverwriteDirNonDir"),
        copy_uid_gid: call.query.flag("copyUIDGID"),
    };
    let (engine, ()) = call.peers().engine_data::<()>(Action::ArchivePut(request)).await?;
    let (mut answer, mut archive) = engine.into_split();
    let mut body = std::pin::pin!(call.stream());
    let send = async {
        while let Some(chunk) = body.next().await {
            let chunk: Bytes =
                chunk.map_err(|error| Error::bad(format!("request body ended early: {error}")))?;
            if archive.write_all(&chunk).await.is_err() {
                // The engine has refused: its answer says why.
                return Ok(());
            }
        }
        archive.shutdown().await.map_err(|error| Error::from_io(ENGINE, &error))
    };
    let mut receive = std::pin::pin!(data::receive::<WireStatus>(&mut answer));
    // The engine may have seen enough before the client has sent all. A client that leaves in the middle ends both: the
    // engine would wait for the rest of the archive for ever.
    let received = tokio::select! {
        received = &mut receive => received,
        sent = send => {
            sent?;
            receive.await
        }
    };
    match received.map_err(|error| Error::from_io(ENGINE, &error))? {
        Some(status) if status.code == 0 => Ok(response::empty(StatusCode::OK)),
        Some(status) => Err(Error::from_code(ENGINE, status.code, &status.message)),
        None => Err(Error::unavailable("service engine went away while it unpacked the archive")),
    }
}

/// `GET /containers/{id}/export`
pub async fn export(call: &Call, id: &str) -> Result<Response, Error> {
    let (archive, ()) =
        call.peers().engine_data::<()>(Action::Export(Export { container: id.to_owned() })).await?;
    Ok(response::archive(HeaderValue::from_static("application/octet-stream"), archive))
}
