//! Networks, which the network service owns; connecting a container is the engine's.

use gantry_docker::event;
use gantry_docker::filters::truth;
use gantry_docker::network::{
    LIST_FILTERS, PRUNE_FILTERS, is_predefined, is_prunable, matches, unknown_type,
};
use gantry_proto::gantry::engine::v1 as engine;
use gantry_proto::gantry::network::v1 as network;
use http::StatusCode;
use tonic::Code;

use super::no_content;
use crate::call::Call;
use crate::convert::network::{Containers, create_to_network, endpoint_to_engine, from_network};
use crate::error::Error;
use crate::peers::{ENGINE, NETWORK, of};
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
        return Err(Error::internal(format!("invalid filter: 'type'='{kind}'")));
    }
    let networks = all(call).await?;
    let rows: Vec<_> = networks
        .into_iter()
        .filter(|of| matches(of, &filters, dangling))
        .map(|of| from_network(of, Containers::Hidden))
        .collect();
    response::ok(&rows)
}

async fn all(call: &Call) -> Result<Vec<network::Network>, Error> {
    Ok(call
        .peers()
        .networks()
        .list(network::ListRequest {})
        .await
        .map_err(of(NETWORK))?
        .into_inner()
        .networks)
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

async fn get(call: &Call, id: &str) -> Result<network::Network, Error> {
    let found = call.peers().networks().get(network::GetRequest { network: id.to_owned() }).await;
    Ok(found.map_err(of(NETWORK))?.into_inner())
}

/// `POST /networks/create`
pub async fn create(mut call: Call) -> Result<Response, Error> {
    let request: CreateRequest = call.json_or_default().await?;
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
    let mut message = create_to_network(request);
    if !call.version.at_least(48) {
        // Older clients did not know it.
        message.enable_ipv4 = None;
    }
    if message.driver.is_empty() {
        "bridge".clone_into(&mut message.driver);
    }
    let created = match call.peers().networks().create(message).await {
        Ok(created) => created.into_inner(),
        // Docker's status for a pool that overlaps with another.
        Err(status) if status.code() == Code::FailedPrecondition => {
            return Err(Error::new(StatusCode::FORBIDDEN, status.message()));
        }
        Err(status) => return Err(Error::from_peer(NETWORK, &status)),
    };
    publish(&call, "create", &created).await;
    response::json(StatusCode::CREATED, &CreateResponse { id: created.id, warning: String::new() })
}

/// `DELETE /networks/{id}`
pub async fn remove(call: &Call, id: &str) -> Result<Response, Error> {
    let found = get(call, id).await?;
    remove_one(call, &found).await?;
    Ok(no_content())
}

async fn remove_one(call: &Call, found: &network::Network) -> Result<(), Error> {
    if is_predefined(&found.name) {
        return Err(Error::new(
            StatusCode::FORBIDDEN,
            format!("{} is a pre-defined network and cannot be removed", found.name),
        ));
    }
    call.peers()
        .networks()
        .remove(network::RemoveRequest { network: found.id.clone() })
        .await
        .map_err(of(NETWORK))?;
    publish(call, "destroy", found).await;
    Ok(())
}

async fn publish(call: &Call, action: &str, of: &network::Network) {
    call.peers().tell(event::network(action, of)).await;
}

/// `POST /networks/{id}/connect`
pub async fn connect(mut call: Call, id: &str) -> Result<Response, Error> {
    let request: ConnectRequest = call.json_or_default().await?;
    let message = engine::ConnectRequest {
        container: request.container,
        network: id.to_owned(),
        settings: request.endpoint_config.map(endpoint_to_engine),
    };
    call.peers().containers().connect(message).await.map_err(of(ENGINE))?;
    Ok(response::empty(StatusCode::OK))
}

/// `POST /networks/{id}/disconnect`
pub async fn disconnect(mut call: Call, id: &str) -> Result<Response, Error> {
    let request: DisconnectRequest = call.json_or_default().await?;
    let message = engine::DisconnectRequest {
        container: request.container,
        network: id.to_owned(),
        force: request.force,
    };
    call.peers().containers().disconnect(message).await.map_err(of(ENGINE))?;
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
            // Someone has connected to it, or removed it, meanwhile.
            Err(error) => tracing::debug!(network = found.name, %error, "network was not pruned"),
        }
    }
    call.peers().tell(event::pruned("network", 0)).await;
    response::ok(&PruneResponse { networks_deleted: (!deleted.is_empty()).then_some(deleted) })
}
