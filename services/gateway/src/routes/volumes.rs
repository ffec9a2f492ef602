//! Volumes, which the engine owns.

use gantry_proto::gantry::engine::v1 as engine;
use http::StatusCode;

use super::no_content;
use crate::call::Call;
use crate::convert;
use crate::convert::volume::{Usage, from_engine};
use crate::error::Error;
use crate::peers::{ENGINE, of};
use crate::response::{self, Response};
use crate::wire::volume::{CreateRequest, List, PruneResponse};

/// `GET /volumes`
pub async fn list(call: &Call) -> Result<Response, Error> {
    let filters = call.filters(&["dangling", "driver", "label", "name"])?;
    filters.flag("dangling")?;
    let request = engine::ListVolumesRequest { filters: convert::engine_filters(filters), usage: false };
    let found = call.peers().volumes().list(request).await.map_err(of(ENGINE))?.into_inner();
    response::ok(&List {
        volumes: found.volumes.into_iter().map(|volume| from_engine(volume, Usage::Hidden)).collect(),
        warnings: (!found.warnings.is_empty()).then_some(found.warnings),
    })
}

/// `POST /volumes/create`
pub async fn create(mut call: Call) -> Result<Response, Error> {
    let volume: CreateRequest = call.json_or_default().await?;
    if volume.cluster_volume_spec.is_some() {
        return Err(Error::unavailable(
            "This node is not a swarm manager. Cluster volumes are not supported.",
        ));
    }
    let request = engine::CreateVolumeRequest {
        name: volume.name,
        driver: if volume.driver.is_empty() { "local".to_owned() } else { volume.driver },
        driver_opts: volume.driver_opts.into_iter().collect(),
        labels: volume.labels.into_iter().collect(),
    };
    let created = call.peers().volumes().create(request).await.map_err(of(ENGINE))?.into_inner();
    response::json(StatusCode::CREATED, &from_engine(created, Usage::Hidden))
}

/// `GET /volumes/{name}`
pub async fn inspect(call: &Call, name: &str) -> Result<Response, Error> {
    let found = call
        .peers()
        .volumes()
        .get(engine::VolumeRequest { name: name.to_owned() })
        .await
        .map_err(of(ENGINE))?;
    response::ok(&from_engine(found.into_inner(), Usage::Hidden))
}

/// `DELETE /volumes/{name}`
pub async fn remove(call: &Call, name: &str) -> Result<Response, Error> {
    let force = call.query.flag("force");
    match call.peers().volumes().remove(engine::RemoveVolumeRequest { name: name.to_owned(), force }).await {
        Ok(_) => Ok(no_content()),
        Err(status) if force && status.code() == tonic::Code::NotFound => Ok(no_content()),
        Err(status) => Err(Error::from_peer(ENGINE, &status)),
    }
}

/// `POST /volumes/prune`
pub async fn prune(call: &Call) -> Result<Response, Error> {
    let mut filters = call.filters(&["all", "label", "label!"])?;
    filters.flag("all")?;
    // Named volumes are spared since API 1.42 only.
    if !call.version.at_least(42) && !filters.has("all") {
        filters.add("all", "true");
    }
    let request = engine::PruneRequest { filters: convert::engine_filters(filters) };
    let pruned = call.peers().volumes().prune(request).await.map_err(of(ENGINE))?.into_inner();
    response::ok(&PruneResponse { volumes_deleted: pruned.deleted, space_reclaimed: pruned.space_reclaimed })
}
