//! Files into and out of containers, which the gateway splices with the engine's data socket.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::StreamExt;
use gantry_api::engine::{self, PutSpec};
use gantry_api::time;
use gantry_rpc::data::{self, WireStatus};
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use tokio::io::AsyncWriteExt;

use crate::call::Call;
use crate::error::Error;
use crate::moment;
use crate::peers::{ENGINE, failed};
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
        mtime: moment::rfc3339_nano(time::timestamp(stat.mtime).as_ref()),
        link_target: stat.link_target,
    };
    let json = serde_json::to_vec(&stat)
        .map_err(|error| Error::internal(format!("cannot encode the path's state: {error}")))?;
    HeaderValue::try_from(STANDARD.encode(json))
        .map_err(|error| Error::internal(format!("cannot send the path's state: {error}")))
}

/// `HEAD /containers/{id}/archive`
pub async fn archive_stat(call: &Call, id: &str) -> Result<Response, Error> {
    let stat = call.peers().containers().stat_path(id, &path(call)?).await.map_err(failed)?;
    let mut response = response::empty(StatusCode::OK);
    response.headers_mut().insert(STAT, stat_header(stat)?);
    Ok(response)
}

/// `GET /containers/{id}/archive`
pub async fn archive_get(call: &Call, id: &str) -> Result<Response, Error> {
    let (archive, stat) = call.peers().containers().take_path(id, &path(call)?).await.map_err(failed)?;
    let mut response = response::archive_from(response::TAR, archive);
    response.headers_mut().insert(STAT, stat_header(stat)?);
    Ok(response)
}

/// `PUT /containers/{id}/archive`
pub async fn archive_put(call: Call, id: &str) -> Result<Response, Error> {
    let spec = PutSpec {
        container: id.to_owned(),
        path: path(&call)?,
        no_overwrite_dir_non_dir: call.query.flag("noOverwriteDirNonDir"),
        copy_uid_gid: call.query.flag("copyUIDGID"),
    };
    let engine = call.peers().containers().put_path(spec).await.map_err(failed)?;
    let (mut answer, mut archive) = engine.into_split();
    let mut body = std::pin::pin!(call.stream());
    let send = async {
        while let Some(chunk) = body.next().await {
            let chunk: Bytes =
                chunk.map_err(|error| Error::bad(format!("request body ended early: {error}")))?;
            if archive.write_all(&chunk).await.is_err() {
                // The engine has refused, and its answer gives the reason.
                return Ok(());
            }
        }
        archive.shutdown().await.map_err(|error| Error::from_io(ENGINE, &error))
    };
    let mut receive = std::pin::pin!(data::receive::<WireStatus>(&mut answer));
    // The engine may answer before the client has sent all. A client that leaves in the middle ends both directions: the
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
    let archive = call.peers().containers().export(id).await.map_err(failed)?;
    Ok(response::archive_from(HeaderValue::from_static("application/octet-stream"), archive))
}
