//! Containers: start, stop, restart, kill, pause, rename, update, remove.

use gantry_api::engine::containers::{Before, Manage as _, Run as _};
use gantry_api::engine::{RemoveSpec, StopSpec, Update};
use http::StatusCode;

use crate::call::Call;
use crate::convert::resources;
use crate::error::Error;
use crate::peers::failed;
use crate::response::{self, Response};
use crate::routes::no_content;
use crate::wire::container::UpdateResponse;
use crate::wire::host_config::UpdateRequest;

/// The body of a start, which may be `{}` or `null`.
const TOLERATED_BODY: u64 = 7;

/// `POST /containers/{id}/start`
pub async fn start(call: &Call, id: &str) -> Result<Response, Error> {
    use http_body::Body;
    let size = call.request.body().size_hint();
    if size.upper().is_none_or(|size| size > TOLERATED_BODY) {
        return Err(Error::bad(
            "starting container with non-empty request body is not supported since API v1.24",
        ));
    }
    if !call.query.text("checkpoint").is_empty() {
        return Err(Error::not_implemented("checkpoints are not supported"));
    }
    Ok(answer(call.peers().containers().start_container(id).await.map_err(failed)?))
}

/// What was so already is not modified.
fn answer(before: Before) -> Response {
    match before {
        Before::Already => response::empty(StatusCode::NOT_MODIFIED),
        Before::Otherwise => no_content(),
    }
}

fn stop_spec(call: &Call, id: &str) -> Result<StopSpec, Error> {
    Ok(StopSpec {
        container: id.to_owned(),
        signal: call.query.text("signal").to_owned(),
        timeout: call.query.number("t")?,
        until_boot: false,
    })
}

/// `POST /containers/{id}/stop`
pub async fn stop(call: &Call, id: &str) -> Result<Response, Error> {
    Ok(answer(call.peers().containers().stop_container(stop_spec(call, id)?).await.map_err(failed)?))
}

/// `POST /containers/{id}/restart`
pub async fn restart(call: &Call, id: &str) -> Result<Response, Error> {
    call.peers().containers().restart_container(stop_spec(call, id)?).await.map_err(failed)?;
    Ok(no_content())
}

/// `POST /containers/{id}/kill`
pub async fn kill(call: &Call, id: &str) -> Result<Response, Error> {
    call.peers().containers().kill_container(id, call.query.text("signal")).await.map_err(failed)?;
    Ok(no_content())
}

/// `POST /containers/{id}/pause`
pub async fn pause(call: &Call, id: &str) -> Result<Response, Error> {
    call.peers().containers().pause_container(id).await.map_err(failed)?;
    Ok(no_content())
}

/// `POST /containers/{id}/unpause`
pub async fn unpause(call: &Call, id: &str) -> Result<Response, Error> {
    call.peers().containers().unpause_container(id).await.map_err(failed)?;
    Ok(no_content())
}

/// `POST /containers/{id}/rename`
pub async fn rename(call: &Call, id: &str) -> Result<Response, Error> {
    let name = call.query.text("name");
    if name.is_empty() {
        return Err(Error::bad("Neither old nor new names may be empty"));
    }
    call.peers().containers().rename_container(id, name).await.map_err(failed)?;
    Ok(no_content())
}

/// `POST /containers/{id}/update`
pub async fn update(mut call: Call, id: &str) -> Result<Response, Error> {
    let update: UpdateRequest = call.json_or_default().await?;
    let update = Update {
        resources: Some(resources::to_engine(update.resources)),
        restart_policy: Some(update.restart_policy.into()),
    };
    let warnings = call.peers().containers().update_container(id, update).await.map_err(failed)?;
    response::ok(&UpdateResponse { warnings: (!warnings.is_empty()).then_some(warnings) })
}

/// `DELETE /containers/{id}`
pub async fn remove(call: &Call, id: &str) -> Result<Response, Error> {
    let spec = RemoveSpec {
        container: id.to_owned(),
        force: call.query.flag("force"),
        volumes: call.query.flag("v"),
        link: call.query.flag("link"),
    };
    call.peers().containers().remove_container(spec).await.map_err(failed)?;
    Ok(no_content())
}
