//! The system as a whole: ping, version, info, login, events, disk usage.

use futures::TryStreamExt;
use gantry_api::engine::volumes::{Inspect as _, Usage};
use gantry_docker::Filters;
use gantry_docker::image::layers_usage;
use gantry_http::send_buffer;
use gantry_proto::gantry::engine::v1 as engine;
use gantry_proto::gantry::images::v1 as images;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, HeaderName, HeaderValue, PRAGMA};
use serde::Serialize;

use super::containers;
use super::images::{Shown, summaries};
use crate::call::Call;
use crate::convert::{self, image, volume};
use crate::error::Error;
use crate::host;
use crate::moment;
use crate::peers::{ENGINE, IMAGES, failed, of};
use crate::response::{self, Response};
use crate::wire::event::Message;
use crate::wire::registry::{AuthConfig, LoginResponse};
use crate::wire::system::DiskUsage;

/// What events can be chosen by.
const EVENT_FILTERS: [&str; 14] = [
    "config",
    "container",
    "daemon",
    "event",
    "image",
    "label",
    "network",
    "node",
    "plugin",
    "scope",
    "secret",
    "service",
    "type",
    "volume",
];

/// `GET /_ping` and `HEAD /_ping`
pub fn ping(head: bool) -> Response {
    let mut response = response::bytes(response::TEXT, if head { "" } else { "OK" });
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("builder-version"), HeaderValue::from_static("1"));
    headers.insert(HeaderName::from_static("swarm"), HeaderValue::from_static("inactive"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, must-revalidate"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    if head {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    response
}

/// `GET /version`
pub fn version(_call: &Call) -> Result<Response, Error> {
    response::ok(&host::version())
}

/// `GET /info`
pub async fn info(call: &Call) -> Result<Response, Error> {
    let peers = call.peers();
    let (mut system, mut store, mut settings) = (peers.system(), peers.images(), peers.images());
    let (engine, images, registries) = tokio::join!(
        system.info(engine::InfoRequest {}),
        store.list(peers.within(images::ListRequest::default())),
        settings.registries(images::RegistriesRequest {}),
    );
    let engine = engine.map_err(of(ENGINE))?.into_inner();
    // The rest is worth showing without a figure.
    let images = images.map_or(0, |list| list.into_inner().images.len());
    let registries = registries.map_or_else(|_| Vec::new(), |all| all.into_inner().registries);
    let (run, authorization) = (&call.app.run, call.app.authorization.as_ref());
    response::ok(&host::info(engine, images, &registries, run, authorization, call.version))
}

/// `POST /auth`
pub async fn auth(mut call: Call) -> Result<Response, Error> {
    let credentials: AuthConfig = call.json().await?;
    let request = images::LoginRequest { auth: Some(image::auth(credentials.completed())) };
    let request = call.peers().within(request);
    let login = call.peers().images().login(request).await.map_err(of(IMAGES))?.into_inner();
    response::ok(&LoginResponse {
        identity_token: login.identity_token,
        status: "Login Succeeded".to_owned(),
    })
}

/// `GET /events`
pub async fn events(call: &Call) -> Result<Response, Error> {
    let since = moment::parse_instant(call.query.text("since")).map_err(Error::internal)?;
    let until = moment::parse_instant(call.query.text("until")).map_err(Error::internal)?;
    let order = |at: &prost_types::Timestamp| (at.seconds, at.nanos);
    if let (Some(since), Some(until)) = (&since, &until)
        && order(since) > order(until)
    {
        let (since, until) = (call.query.text("since"), call.query.text("until"));
        return Err(Error::bad(format!("`since` time ({since}) cannot be after `until` time ({until})")));
    }
    let mut filters = Filters::parse_any(call.query.text("filters"))?;
    filters.retain(&EVENT_FILTERS);
    // The beginning of time as an end: all of the past, and nothing that follows.
    let until = until.map(|until| if order(&until) == (0, 0) { moment::now() } else { until });
    let request = engine::EventsRequest { since, until, filters: convert::engine_filters(filters) };
    let events = call.peers().system().events(request).await.map_err(of(ENGINE))?.into_inner();
    let lines = response::lines(events.map_ok(Message::from));
    Ok(response::streamed(response::JSON, send_buffer::bounded(call.app.tasks(), "events", lines)))
}

/// `GET /system/df`
pub async fn disk_usage(call: &Call) -> Result<Response, Error> {
    let types = if call.version.at_least(42) { call.query.all("type") } else { Vec::new() };
    if let Some(other) =
        types.iter().find(|kind| !matches!(kind.as_str(), "container" | "image" | "volume" | "build-cache"))
    {
        return Err(Error::bad(format!("unknown object type: {other}")));
    }
    let wanted = |kind: &str| types.is_empty() || types.iter().any(|wanted| wanted == kind);

    let mut usage =
        DiskUsage { layers_size: 0, images: None, containers: None, volumes: None, build_cache: None };
    if wanted("image") {
        let found = call
            .peers()
            .images()
            .list(call.peers().within(images::ListRequest::default()))
            .await
            .map_err(of(IMAGES))?
            .into_inner()
            .images;
        usage.layers_size = layers_usage(&found);
        let shown = Shown { manifests: false, containers: true, shared_size: true };
        usage.images = Some(summaries(call, &found, shown).await);
    }
    if wanted("container") {
        usage.containers = Some(containers::with_sizes(call).await?);
    }
    if wanted("volume") {
        let found = call.peers().volumes().volumes(&[], Usage::Measured).await.map_err(failed)?;
        usage.volumes =
            Some(found.into_iter().map(|of| volume::from_engine(of, volume::Usage::Shown)).collect());
    }
    if wanted("build-cache") {
        usage.build_cache = Some(Vec::new());
    }
    response::ok(&usage)
}

/// `POST /build/prune`: there is no build cache, so nothing to free.
pub fn prune_builds() -> Result<Response, Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Pruned {
        caches_deleted: Option<Vec<String>>,
        space_reclaimed: u64,
    }
    response::json(StatusCode::OK, &Pruned { caches_deleted: None, space_reclaimed: 0 })
}
