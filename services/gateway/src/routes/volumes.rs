//! Volumes, which `engine` owns.

use gantry_api::engine::VolumeSpec;
use gantry_api::engine::volumes::{self, Force, Inspect as _, Manage as _};
use gantry_rpc::{Code, Coded as _};
use http::StatusCode;

use super::no_content;
use crate::call::Call;
use crate::convert;
use crate::convert::volume::{Usage, from_engine};
use crate::error::Error;
use crate::peers::failed;
use crate::response::{self, Response};
use crate::wire::volume::{CreateRequest, List, PruneResponse};

/// `GET /volumes`
pub async fn list(call: &Call) -> Result<Response, Error> {
    let filters = call.filters(&["dangling", "driver", "label", "name"])?;
    filters.flag("dangling")?;
    let filters = convert::filters(filters);
    let found = call.peers().volumes().volumes(&filters, volumes::Usage::Untold).await.map_err(failed)?;
    response::ok(&List {
        volumes: found.into_iter().map(|volume| from_engine(volume, Usage::Hidden)).collect(),
        warnings: None,
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
    let spec = VolumeSpec {
        name: volume.name,
        driver: volume.driver,
        driver_opts: volume.driver_opts.into_iter().collect(),
        labels: volume.labels.into_iter().collect(),
    };
    let created = call.peers().volumes().create_volume(spec).await.map_err(failed)?;
    response::json(StatusCode::CREATED, &from_engine(created, Usage::Hidden))
}

/// `GET /volumes/{name}`
pub async fn inspect(call: &Call, name: &str) -> Result<Response, Error> {
    let found = call.peers().volumes().volume(name).await.map_err(failed)?;
    response::ok(&from_engine(found, Usage::Hidden))
}

/// `DELETE /volumes/{name}`
pub async fn remove(call: &Call, name: &str) -> Result<Response, Error> {
    let force = if call.query.flag("force") { Force::Yes } else { Force::No };
    match call.peers().volumes().remove_volume(name, force).await {
        Ok(()) => Ok(no_content()),
        Err(failure) if force == Force::Yes && failure.code() == Code::NotFound => Ok(no_content()),
        Err(failure) => Err(failed(failure)),
    }
}

/// `POST /volumes/prune`
pub async fn prune(call: &Call) -> Result<Response, Error> {
    let mut filters = call.filters(&["all", "label", "label!"])?;
    filters.flag("all")?;
    // Only since API 1.42 does a prune spare named volumes.
    if !call.version.at_least(42) && !filters.has("all") {
        filters.add("all", "true");
    }
    let filters = convert::filters(filters);
    let pruned = call.peers().volumes().prune_volumes(&filters).await.map_err(failed)?;
    response::ok(&PruneResponse { volumes_deleted: pruned.deleted, space_reclaimed: pruned.space_reclaimed })
}
