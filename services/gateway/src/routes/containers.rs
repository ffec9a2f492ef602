//! Containers: list, create, inspect, top, changes, resize, prune.

mod archive;
mod attach;
mod lifecycle;
mod logs;
mod watch;

pub use archive::{archive_get, archive_put, archive_stat, export};
pub use attach::{attach, attach_websocket};
pub use lifecycle::{kill, pause, remove, rename, restart, start, stop, unpause, update};
pub use logs::logs;
pub use watch::{stats, wait};

use gantry_api::engine::containers::{Inspect as _, Manage as _, Run as _, Sizes};
use gantry_api::engine::{ChangeKind, CreateSpec, ListQuery, Window};
use gantry_types::Platform;
use http::StatusCode;

use crate::call::Call;
use crate::convert::{self, config, container, host_config, network};
use crate::error::Error;
use crate::peers::failed;
use crate::response::{self, Response};
use crate::wire::container::{Change, CreateRequest, CreateResponse, PruneResponse, Summary, TopResponse};
use gantry_docker::Filters;

const LIST_FILTERS: [&str; 15] = [
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];

/// `GET /containers/json`
pub async fn list(call: &Call) -> Result<Response, Error> {
    let mut filters = call.filters(&LIST_FILTERS)?;
    for key in ["since", "before"] {
        if let Some(value) = call.query.find(key).filter(|value| !value.is_empty()) {
            filters.add(key, value);
        }
    }
    let limit = call.query.number("limit")?.unwrap_or(0);
    let query = ListQuery {
        all: call.query.flag("all"),
        limit: std::cmp::max(limit, 0),
        size: call.query.flag("size"),
        filters: convert::filters(filters),
        newer_than: 0,
    };
    let rows = call.app.lists.get(call.peers(), query, call.version).await?;
    response::ok(&rows.as_ref())
}

/// The rows of all containers, with sizes: for `GET /system/df`.
pub async fn with_sizes(call: &Call) -> Result<Vec<Summary>, Error> {
    let query = ListQuery { all: true, size: true, ..ListQuery::default() };
    let list = call.peers().containers().containers(query).await.map_err(failed)?;
    Ok(list.containers.into_iter().map(|of| container::summary(of, call.version)).collect())
}

/// `POST /containers/create`
pub async fn create(mut call: Call) -> Result<Response, Error> {
    let name = call.query.text("name").to_owned();
    let platform = call.query.text("platform").to_owned();
    if !platform.is_empty() {
        platform.parse::<Platform>().map_err(|error| Error::bad(format!("{platform:?}: {error}")))?;
    }
    let request: CreateRequest = call.json().await?;
    if request.config.image.is_empty()
        && request.config.cmd.is_none()
        && request.config.entrypoint.is_none()
        && request.host_config.is_none()
    {
        return Err(Error::bad("config cannot be empty in order to create a container"));
    }
    let mut host = request.host_config.unwrap_or_default();
    for (limit, what) in
        [(host.resources.io_maximum_bandwidth, "bandwidth"), (host.resources.io_maximum_iops, "IOPs")]
    {
        if limit > 0 {
            return Err(Error::bad(format!(
                "invalid option: QoS maximum {what} configuration is not supported on linux"
            )));
        }
    }
    if host.network_mode.is_empty() {
        "default".clone_into(&mut host.network_mode);
    }
    let networks = request.networking_config.unwrap_or_default().endpoints_config;
    let spec = CreateSpec {
        name,
        platform,
        config: config::to_engine(request.config),
        host: host_config::to_engine(host),
        networks: networks
            .into_iter()
            .map(|(name, settings)| (name, network::endpoint_to_engine(settings.unwrap_or_default())))
            .collect(),
        api_version: call.version.to_string(),
    };
    let created = call.peers().containers().create_container(spec).await.map_err(failed)?;
    response::json(StatusCode::CREATED, &CreateResponse { id: created.id, warnings: created.warnings })
}

/// `GET /containers/{id}/json`
pub async fn inspect(call: &Call, id: &str) -> Result<Response, Error> {
    let sizes = if call.query.flag("size") { Sizes::Measured } else { Sizes::Untold };
    let found = call.peers().containers().container(id, sizes).await.map_err(failed)?;
    response::ok(&container::inspect(found, call.version))
}

/// `GET /containers/{id}/top`
pub async fn top(call: &Call, id: &str) -> Result<Response, Error> {
    let ps_args = call.query.find("ps_args").unwrap_or("-ef");
    let top = call.peers().containers().top(id, ps_args).await.map_err(failed)?;
    response::ok(&TopResponse { titles: top.titles, processes: top.processes })
}

/// `GET /containers/{id}/changes`
pub async fn changes(call: &Call, id: &str) -> Result<Response, Error> {
    let changes = call.peers().containers().changes(id).await.map_err(failed)?;
    let rows: Vec<_> = changes
        .into_iter()
        .map(|change| {
            let kind = match change.kind {
                ChangeKind::Modified => 0,
                ChangeKind::Added => 1,
                ChangeKind::Deleted => 2,
            };
            Change { kind, path: change.path }
        })
        .collect();
    response::ok(&(!rows.is_empty()).then_some(rows))
}

/// `POST /containers/{id}/resize`
pub async fn resize(call: &Call, id: &str) -> Result<Response, Error> {
    let (height, width) = dimensions(call)?;
    call.peers().containers().resize_container(id, Window { height, width }).await.map_err(failed)?;
    Ok(response::empty(StatusCode::OK))
}

/// The height and width of a terminal; a client must send both.
pub fn dimensions(call: &Call) -> Result<(u32, u32), Error> {
    let number = |key: &str, what: &str| {
        let text = call.query.text(key);
        text.parse::<u32>().map_err(|_| Error::bad(format!("invalid resize {what} {text:?}: invalid syntax")))
    };
    Ok((number("h", "height")?, number("w", "width")?))
}

/// `POST /containers/prune`
pub async fn prune(call: &Call) -> Result<Response, Error> {
    let filters: Filters = call.filters(&["label", "label!", "until"])?;
    filters.until()?;
    let pruned =
        call.peers().containers().prune_containers(&convert::filters(filters)).await.map_err(failed)?;
    response::ok(&PruneResponse {
        containers_deleted: (!pruned.deleted.is_empty()).then_some(pruned.deleted),
        space_reclaimed: pruned.space_reclaimed,
    })
}
