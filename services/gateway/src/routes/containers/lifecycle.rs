//! Starting and ending containers, and changing what they are.

use gantry_proto::gantry::engine::v1 as engine;
use http::StatusCode;

use crate::call::Call;
use crate::convert::host_config;
use crate::error::Error;
use crate::peers::{ENGINE, of};
use crate::response::{self, Response};
use crate::routes::no_content;
use crate::wire::container::UpdateResponse;
use crate::wire::host_config::UpdateRequest;

/// Some clients send `{}` or `null` with a start.
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
    let request = engine::StartRequest { container: id.to_owned() };
    let started = call.peers().containers().start(request).await.map_err(of(ENGINE))?.into_inner();
    Ok(if started.already_started { response::empty(StatusCode::NOT_MODIFIED) } else { no_content() })
}

fn stop_request(call: &Call, id: &str) -> Result<engine::StopRequest, Error> {
    Ok(engine::StopRequest {
        container: id.to_owned(),
        signal: call.query.text("signal").to_owned(),
        timeout: call.query.number("t")?,
        until_boot: false,
    })
}

/// `POST /containers/{id}/stop`
pub async fn stop(call: &Call, id: &str) -> Result<Response, Error> {
    let stopped =
        call.peers().containers().stop(stop_request(call, id)?).await.map_err(of(ENGINE))?.into_inner();
    Ok(if stopped.already_stopped { response::empty(StatusCode::NOT_MODIFIED) } else { no_content() })
}

/// `POST /containers/{id}/restart`
pub async fn restart(call: &Call, id: &str) -> Result<Response, Error> {
    call.peers().containers().restart(stop_request(call, id)?).await.map_err(of(ENGINE))?;
    Ok(no_content())
}

/// `POST /containers/{id}/kill`
pub async fn kill(call: &Call, id: &str) -> Result<Response, Error> {
    let request =
        engine::KillRequest { container: id.to_owned(), signal: call.query.text("signal").to_owned() };
    call.peers().containers().kill(request).await.map_err(of(ENGINE))?;
    Ok(no_content())
}

/// `POST /containers/{id}/pause`
pub async fn pause(call: &Call, id: &str) -> Result<Response, Error> {
    call.peers()
        .containers()
        .pause(engine::ContainerRequest { container: id.to_owned() })
        .await
        .map_err(of(ENGINE))?;
    Ok(no_content())
}

/// `POST /containers/{id}/unpause`
pub async fn unpause(call: &Call, id: &str) -> Result<Response, Error> {
    call.peers()
        .containers()
        .unpause(engine::ContainerRequest { container: id.to_owned() })
        .await
        .map_err(of(ENGINE))?;
    Ok(no_content())
}

/// `POST /containers/{id}/rename`
pub async fn rename(call: &Call, id: &str) -> Result<Response, Error> {
    let name = call.query.text("name");
    if name.is_empty() {
        return Err(Error::bad("Neither old nor new names may be empty"));
    }
    let request = engine::RenameRequest { container: id.to_owned(), name: name.to_owned() };
    call.peers().containers().rename(request).await.map_err(of(ENGINE))?;
    Ok(no_content())
}

/// `POST /containers/{id}/update`
pub async fn update(mut call: Call, id: &str) -> Result<Response, Error> {
    let update: UpdateRequest = call.json_or_default().await?;
    let request = engine::UpdateRequest {
        container: id.to_owned(),
        resources: Some(host_config::resources_to_engine(update.resources)),
        restart_policy: Some(host_config::restart_to_engine(update.restart_policy)),
    };
    let updated = call.peers().containers().update(request).await.map_err(of(ENGINE))?.into_inner();
    response::ok(&UpdateResponse { warnings: (!updated.warnings.is_empty()).then_some(updated.warnings) })
}

/// `DELETE /containers/{id}`
pub async fn remove(call: &Call, id: &str) -> Result<Response, Error> {
    let request = engine::RemoveRequest {
        container: id.to_owned(),
        force: call.query.flag("force"),
        volumes: call.query.flag("v"),
        link: call.query.flag("link"),
    };
    call.peers().containers().remove(request).await.map_err(of(ENGINE))?;
    Ok(no_content())
}
