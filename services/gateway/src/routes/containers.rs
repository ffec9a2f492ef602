//! Containers: listing, creation, inspection, and their small changes of state.

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

use gantry_proto::gantry::engine::v1 as engine;
use gantry_types::Platform;
use http::StatusCode;

use crate::call::Call;
use crate::convert::{self, config, container, host_config, network};
use crate::error::Error;
use crate::peers::{ENGINE, of};
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
    let request = engine::ListRequest {
        all: call.query.flag("all"),
        limit: std::cmp::max(limit, 0),
        size: call.query.flag("size"),
        filters: convert::engine_filters(filters),
        newer_than: 0,
    };
    let rows = call.app.lists.get(call.peers(), request, call.version).await?;
    response::ok(&rows.as_ref())
}

/// All containers as the list shows them, with sizes: for the disk usage.
pub async fn with_sizes(call: &Call) -> Result<Vec<Summary>, Error> {
    let request = engine::ListRequest { all: true, size: true, ..engine::ListRequest::default() };
    let list = call.peers().containers().list(request).await.map_err(of(ENGINE))?.into_inner().containers;
    Ok(list.into_iter().map(|of| container::summary(of, call.version)).collect())
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
    let message = engine::CreateRequest {
        name,
        platform,
        config: Some(config::to_engine(request.config)),
        host_config: Some(host_config::to_engine(host)),
        networks: networks
            .into_iter()
            .map(|(name, settings)| (name, network::endpoint_to_engine(settings.unwrap_or_default())))
            .collect(),
        api_version: call.version.to_string(),
    };
    let created = call.peers().containers().create(message).await.map_err(of(ENGINE))?.into_inner();
    response::json(StatusCode::CREATED, &CreateResponse { id: created.id, warnings: created.warnings })
}

/// `GET /containers/{id}/json`
pub async fn inspect(call: &Call, id: &str) -> Result<Response, Error> {
    let request = engine::GetRequest { container: id.to_owned(), size: call.query.flag("size") };
    let found = call.peers().containers().get(request).await.map_err(of(ENGINE))?.into_inner();
    response::ok(&container::inspect(found, call.version))
}

/// `GET /containers/{id}/top`
pub async fn top(call: &Call, id: &str) -> Result<Response, Error> {
    let ps_args = call.query.find("ps_args").unwrap_or("-ef").to_owned();
    let request = engine::TopRequest { container: id.to_owned(), ps_args };
    let top = call.peers().containers().top(request).await.map_err(of(ENGINE))?.into_inner();
    response::ok(&TopResponse {
        titles: top.titles,
        processes: top.processes.into_iter().map(|row| row.values).collect(),
    })
}

/// `GET /containers/{id}/changes`
pub async fn changes(call: &Call, id: &str) -> Result<Response, Error> {
    let request = engine::ContainerRequest { container: id.to_owned() };
    let changes = call.peers().containers().changes(request).await.map_err(of(ENGINE))?.into_inner().changes;
    let rows: Vec<_> = changes
        .into_iter()
        .map(|change| {
            let kind = match change.kind() {
                engine::changes_response::Kind::Modified => 0,
                engine::changes_response::Kind::Added => 1,
                engine::changes_response::Kind::Deleted => 2,
            };
            Change { kind, path: change.path }
        })
        .collect();
    response::ok(&(!rows.is_empty()).then_some(rows))
}

/// `POST /containers/{id}/resize`
pub async fn resize(call: &Call, id: &str) -> Result<Response, Error> {
    let (height, width) = dimensions(call)?;
    let request = engine::ResizeRequest { container: id.to_owned(), height, width };
    call.peers().containers().resize(request).await.map_err(of(ENGINE))?;
    Ok(response::empty(StatusCode::OK))
}

/// The height and width of a terminal; both are needed.
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
    let request = engine::PruneRequest { filters: convert::engine_filters(filters) };
    let pruned = call.peers().containers().prune(request).await.map_err(of(ENGINE))?.into_inner();
    response::ok(&PruneResponse {
        containers_deleted: (!pruned.deleted.is_empty()).then_some(pruned.deleted),
        space_reclaimed: pruned.space_reclaimed,
    })
}
