//! `gantry inspect`: a container, else an image, else a network.

use anyhow::Result;
use gantry_proto::gantry::engine::v1::GetRequest;
use gantry_proto::gantry::images::v1::ResolveRequest;
use gantry_proto::gantry::network::v1 as network;
use serde_json::Value;
use tonic::{Code, Status};

use crate::cmd::{FAILED, Session, containers, images, net};
use crate::output;

pub async fn run(session: &Session, names: &[String]) -> Result<u8> {
    let mut found = Vec::new();
    let mut code = 0;
    for name in names {
        match look_up(session, name).await? {
            Some(value) => found.push(value),
            None => {
                eprintln!("gantry: no container, image or network is named {name}");
                code = FAILED;
            }
        }
    }
    output::json(&found)?;
    Ok(code)
}

async fn look_up(session: &Session, name: &str) -> Result<Option<Value>> {
    let container = GetRequest { container: name.to_owned(), size: false };
    if let Some(container) = present(session.peers.containers().get(container).await)? {
        return Ok(Some(containers::as_json(&container)));
    }
    let image = ResolveRequest { reference: name.to_owned(), platform: String::new() };
    if let Some(image) = present(session.peers.images().resolve(session.request(image)).await)? {
        return Ok(Some(images::as_json(&image)));
    }
    let network = network::GetRequest { network: name.to_owned() };
    Ok(present(session.peers.networks().get(network).await)?.map(|network| net::as_json(&network)))
}

/// The answer, or `None` when the name means nothing there.
fn present<T>(answer: Result<tonic::Response<T>, Status>) -> Result<Option<T>, Status> {
    match answer {
        Ok(answer) => Ok(Some(answer.into_inner())),
        Err(status) if matches!(status.code(), Code::NotFound | Code::InvalidArgument) => Ok(None),
        Err(status) => Err(status),
    }
}
