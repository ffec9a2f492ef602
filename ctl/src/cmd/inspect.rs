//! `gantry inspect`: a container, else an image, else a volume, else a network.

use anyhow::Result;
use gantry_api::engine::volumes::{Client, Inspect as _};
use gantry_proto::gantry::engine::v1::GetRequest;
use gantry_proto::gantry::images::v1::ResolveRequest;
use gantry_proto::gantry::network::v1 as network;
use serde_json::Value;
use tonic::{Code, Response, Status};

use crate::cmd::{Outcome, Session, images, net, ps, said, volume};
use crate::output::{self, Format};

pub async fn run(session: &Session, names: &[String]) -> Result<u8> {
    let mut outcome = Outcome::default();
    for name in names {
        match look_up(session, name).await {
            Ok(Some(value)) => print(session, &value)?,
            Ok(None) => {
                outcome.failed(format_args!("no container, image, volume or network is named {name}"))
            }
            Err(status) => outcome.failed(output::explain(&status.into())),
        }
    }
    Ok(outcome.code())
}

/// Prints one object: for people, or in a line.
pub fn print(session: &Session, value: &Value) -> Result<()> {
    match session.format {
        Format::Json => output::json(value),
        Format::Table => output::pretty(value),
    }
}

/// Refused as an invalid argument when several things are meant.
async fn look_up(session: &Session, name: &str) -> Result<Option<Value>, Status> {
    let container = GetRequest { container: name.to_owned(), size: false };
    if let Some(container) = present(name, session.peers.containers().get(container).await)? {
        return Ok(Some(ps::as_json(&container)));
    }
    let image = ResolveRequest { reference: name.to_owned(), ..Default::default() };
    if let Some(image) = present(name, session.peers.images().resolve(session.request(image)).await)? {
        return Ok(Some(images::as_json(&image)));
    }
    let found = Client::new(&session.peers).volume(name).await.map_err(said);
    if let Some(found) = present(name, found.map(Response::new))? {
        return Ok(Some(volume::as_json(&found)));
    }
    let network = network::GetRequest { network: name.to_owned() };
    Ok(present(name, session.peers.networks().get(network).await)?.map(|network| net::as_json(&network)))
}

/// The answer, or `None` when the name means nothing there, for no image can have it. A beginning of ids is refused when
/// it is that of several.
fn present<T>(name: &str, answer: Result<tonic::Response<T>, Status>) -> Result<Option<T>, Status> {
    let digits = name.strip_prefix("sha256:").unwrap_or(name);
    let may_begin_ids = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    match answer {
        Ok(answer) => Ok(Some(answer.into_inner())),
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) if status.code() == Code::InvalidArgument && !may_begin_ids => Ok(None),
        Err(status) => Err(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_of_several_ids_is_told_from_a_name_that_nothing_can_have() {
        let refused = |name| present::<()>(name, Err(Status::invalid_argument("refused")));
        assert!(refused("0a").is_err());
        assert!(refused("sha256:0a").is_err());
        assert!(matches!(refused("Web Shop"), Ok(None)));
        assert!(matches!(present::<()>("0a", Err(Status::not_found("nothing"))), Ok(None)));
    }
}
