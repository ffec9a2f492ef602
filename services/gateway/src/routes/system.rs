//! The system as a whole: ping, version, info, login, events, disk usage.

use futures::stream;
use gantry_api::engine::EventQuery;
use gantry_api::engine::system::{Events as _, Inspect as _, Subscribe as _};
use gantry_api::engine::volumes::{Inspect as _, Usage};
use gantry_api::images::{Inspect as _, Registries as _};
use gantry_api::network::Inspect as _;
use gantry_docker::image::layers_usage;
use gantry_docker::{Filters, event};
use gantry_http::send_buffer;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, HeaderName, HeaderValue, PRAGMA};
use prost_types::Timestamp;
use serde::Serialize;

use super::containers;
use super::images::{Shown, summaries};
use crate::call::Call;
use crate::convert::{self, image, volume};
use crate::error::Error;
use crate::host;
use crate::moment;
use crate::peers::failed;
use crate::response::{self, Response};
use crate::wire::event::Message;
use crate::wire::registry::{AuthConfig, LoginResponse};
use crate::wire::system::DiskUsage;

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
    let (engine, networks, images, registries) = tokio::join!(
        peers.system().info(),
        peers.networks().drivers(),
        peers.images().images(peers.namespace(), &[]),
        peers.images().registries(),
    );
    let engine = engine.map_err(failed)?;
    // The rest is of use without what follows.
    let networks = networks.unwrap_or_default();
    let images = images.map_or(0, |list| list.len());
    let registries = registries.unwrap_or_default();
    let (run, authorization) = (&call.app.run, call.app.authorization.as_ref());
    response::ok(&host::info(engine, networks, images, &registries, run, authorization, call.version))
}

/// `POST /auth`
pub async fn auth(mut call: Call) -> Result<Response, Error> {
    let credentials: AuthConfig = call.json().await?;
    let credentials = credentials.completed();
    let address = credentials.serveraddress.clone();
    call.peers().images().login(&address, &image::credentials(credentials)).await.map_err(failed)?;
    response::ok(&LoginResponse { identity_token: String::new(), status: "Login Succeeded".to_owned() })
}

fn nanoseconds(at: Timestamp) -> i64 {
    moment::unix_nanos(Some(&at))
}

/// `GET /events`
pub async fn events(call: &Call) -> Result<Response, Error> {
    let since = moment::parse_instant(call.query.text("since")).map_err(Error::refused)?;
    let until = moment::parse_instant(call.query.text("until")).map_err(Error::refused)?;
    let order = |at: &Timestamp| (at.seconds, at.nanos);
    if let (Some(since), Some(until)) = (&since, &until)
        && order(since) > order(until)
    {
        let (since, until) = (call.query.text("since"), call.query.text("until"));
        return Err(Error::bad(format!("`since` time ({since}) cannot be after `until` time ({until})")));
    }
    let mut filters = Filters::parse_any(call.query.text("filters"))?;
    filters.retain(&event::FILTERS);
    // An end of zero means the events so far, and none that follow.
    let until = until.map(|until| if order(&until) == (0, 0) { moment::now() } else { until });
    let (since, until) = (since.map(nanoseconds), until.map(nanoseconds));
    let query = EventQuery { since, until, filters: convert::filters(filters) };
    let events = call.peers().system().events(query).await.map_err(failed)?;
    let events = stream::try_unfold(events, |mut events| async move {
        Ok::<_, Error>(events.next().await.map_err(failed)?.map(|event| (Message::from(event), events)))
    });
    let lines = response::lines(events);
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
        let peers = call.peers();
        let found = peers.images().images(peers.namespace(), &[]).await.map_err(failed)?;
        usage.layers_size = image::signed(layers_usage(&found));
        let shown = Shown { manifests: false, containers: true, shared_size: true };
        usage.images = Some(summaries(call, &found, shown).await);
    }
    if wanted("container") {
        usage.containers = Some(containers::with_sizes(call).await?);
    }
    if wanted("volume") {
        let found = call.peers().volumes().volumes(&[], Usage::Measured).await.map_err(failed)?;
        // As in Docker, only volumes whose content is on this disk: none of a plugin, and none with options.
        let here = found.into_iter().filter(|of| of.driver == "local" && of.options.is_empty());
        usage.volumes = Some(here.map(|of| volume::from_engine(of, volume::Usage::Shown)).collect());
    }
    if wanted("build-cache") {
        usage.build_cache = Some(Vec::new());
    }
    response::ok(&usage)
}

/// `POST /build/prune`: Gantry has no build cache, so it frees nothing.
pub fn prune_builds() -> Result<Response, Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Pruned {
        caches_deleted: Option<Vec<String>>,
        space_reclaimed: u64,
    }
    response::json(StatusCode::OK, &Pruned { caches_deleted: None, space_reclaimed: 0 })
}
