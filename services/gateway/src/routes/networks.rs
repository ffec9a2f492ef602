//! Networks, which `network` owns; `engine` connects containers to them.

use gantry_api::engine::containers::{Connect as _, Force};
use gantry_api::network::{Inspect as _, Manage as _, Network};
use gantry_docker::event;
use gantry_docker::filters::truth;
use gantry_docker::network::{
    LIST_FILTERS, PRUNE_FILTERS, is_predefined, is_prunable, matches, unknown_type,
};
use http::StatusCode;
use tonic::Code;

use super::no_content;
use crate::call::Call;
use crate::convert::network::{Containers, endpoint_to_engine, from_network, spec_of};
use crate::error::Error;
use crate::peers::failed;
use crate::response::{self, Response};
use crate::wire::network::{ConnectRequest, CreateRequest, CreateResponse, DisconnectRequest, PruneResponse};

/// `GET /networks`
pub async fn list(call: &Call) -> Result<Response, Error> {
    let filters = call.filters(&LIST_FILTERS)?;
    if filters.values("dangling").len() > 1 {
        return Err(Error::bad("got more than one value for filter key \"dangling\""));
    }
    let dangling = filters.flag("dangling").map_err(|_| {
        let words = "must be \"true\" (or \"1\"), or \"false\" (or \"0\")";
        Error::bad(format!("invalid value for filter 'dangling', {words}"))
    })?;
    if let Some(kind) = unknown_type(&filters) {
        return Err(Error::refused(format!("invalid filter: 'type'='{kind}'")));
    }
    let networks = all(call).await?;
    let rows: Vec<_> = networks
        .into_iter()
        .filter(|of| matches(of, &filters, dangling))
        .map(|of| from_network(of, Containers::Hidden))
        .collect();
    response::ok(&rows)
}

async fn all(call: &Call) -> Result<Vec<Network>, Error> {
    call.peers().networks().networks().await.map_err(failed)
}

/// `GET /networks/{id}`
pub async fn inspect(call: &Call, id: &str) -> Result<Response, Error> {
    let verbose = call.query.text("verbose");
    if !(verbose.is_empty() || truth(verbose).is_some()) {
        return Err(Error::bad(format!(
            "invalid value for verbose: {verbose}: strconv.ParseBool: parsing {verbose:?}: invalid syntax"
        )));
    }
    let found = get(call, id).await?;
    let scope = call.query.text("scope");
    if !(scope.is_empty() || scope == found.scope) {
        return Err(Error::not_found(format!("network {id} not found")));
    }
    response::ok(&from_network(found, Containers::Shown))
}

async fn get(call: &Call, id: &str) -> Result<Network, Error> {
    call.peers().networks().network(id).await.map_err(failed)
}

/// `POST /networks/create`
pub async fn create(mut call: Call) -> Result<Response, Error> {
    let mut request: CreateRequest = call.json_or_default().await?;
    if request.name.trim().is_empty() {
        return Err(Error::bad("invalid name: name is empty"));
    }
    if is_predefined(&request.name) {
        return Err(Error::new(
            StatusCode::FORBIDDEN,
            format!("operation is not permitted on predefined {} network ", request.name),
        ));
    }
    for (asked, words) in [
        (request.scope == "swarm", "cannot create a swarm scoped network when swarm is not active"),
        (request.ingress, "Ingress network can only be global scope network"),
    ] {
        if asked {
            return Err(Error::new(StatusCode::FORBIDDEN, words));
        }
    }
    let unsupported = [
        (request.config_only, "configuration-only networks"),
        (
            request.config_from.as_ref().is_some_and(|from| !from.network.is_empty()),
            "networks made from a configuration",
        ),
    ];
    if let Some((_, what)) = unsupported.iter().find(|(asked, _)| *asked) {
        return Err(Error::not_implemented(format!("{what} are not supported")));
    }
    if !call.version.at_least(48) {
        // Older versions of the API do not have it.
        request.enable_ipv4 = None;
    }
    let mut spec = spec_of(request);
    if spec.driver.is_empty() {
        "bridge".clone_into(&mut spec.driver);
    }
    let created =
        call.peers().networks().create(spec).await.map_err(|failure| match failure.status.code() {
            // Docker's status for a subnet that overlaps with another.
            Code::FailedPrecondition => Error::new(StatusCode::FORBIDDEN, failure.status.message()),
            _ => failed(failure),
        })?;
    publish(&call, "create", &created).await;
    response::json(StatusCode::CREATED, &CreateResponse { id: created.id, warning: String::new() })
}

/// `DELETE /networks/{id}`
pub async fn remove(call: &Call, id: &str) -> Result<Response, Error> {
    let found = get(call, id).await?;
    remove_one(call, &found).await?;
    Ok(no_content())
}

async fn remove_one(call: &Call, found: &Network) -> Result<(), Error> {
    if is_predefined(&found.name) {
        return Err(Error::new(
            StatusCode::FORBIDDEN,
            format!("{} is a pre-defined network and cannot be removed", found.name),
        ));
    }
    call.peers().networks().remove(&found.id).await.map_err(failed)?;
    publish(call, "destroy", found).await;
    Ok(())
}

async fn publish(call: &Call, action: &str, of: &Network) {
    call.peers().tell(event::network(action, of)).await;
}

/// `POST /networks/{id}/connect`
pub async fn connect(mut call: Call, id: &str) -> Result<Response, Error> {
    let request: ConnectRequest = call.json_or_default().await?;
    let settings = request.endpoint_config.map(endpoint_to_engine).unwrap_or_default();
    call.peers().containers().connect_container(&request.container, id, settings).await.map_err(failed)?;
    Ok(response::empty(StatusCode::OK))
}

/// `POST /networks/{id}/disconnect`
pub async fn disconnect(mut call: Call, id: &str) -> Result<Response, Error> {
    let request: DisconnectRequest = call.json_or_default().await?;
    let force = if request.force { Force::Yes } else { Force::No };
    call.peers().containers().disconnect_container(&request.container, id, force).await.map_err(failed)?;
    Ok(response::empty(StatusCode::OK))
}

/// `POST /networks/prune`
pub async fn prune(call: &Call) -> Result<Response, Error> {
    let filters = call.filters(&PRUNE_FILTERS)?;
    let until = filters.until()?;
    let mut deleted = Vec::new();
    for found in all(call).await? {
        if !is_prunable(&found, &filters, until.as_ref()) {
            continue;
        }
        match remove_one(call, &found).await {
            Ok(()) => deleted.push(found.name),
            // Somebody has connected a container to it, or removed it, meanwhile.
            Err(error) => tracing::debug!(network = found.name, %error, "network was not pruned"),
        }
    }
    call.peers().tell(event::pruned("network", 0)).await;
    response::ok(&PruneResponse { networks_deleted: (!deleted.is_empty()).then_some(deleted) })
}
