//! `gantry inspect`: a container, else an image, else a volume, else a network.

use anyhow::Result;
use gantry_api::Failure;
use gantry_api::engine::containers::{Inspect as _, Sizes};
use gantry_api::engine::volumes::{Client, Inspect as _};
use gantry_api::images::{Inspect as _, Look};
use gantry_api::network::Inspect as _;
use serde_json::Value;
use tonic::{Code, Status};

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

/// Prints one object: indented for people, or in one line.
pub fn print(session: &Session, value: &Value) -> Result<()> {
    match session.format {
        Format::Json => output::json(value),
        Format::Table => output::pretty(value),
    }
}

/// Fails with INVALID_ARGUMENT if a name means several objects.
async fn look_up(session: &Session, name: &str) -> Result<Option<Value>, Status> {
    let container = session.containers().container(name, Sizes::Untold).await;
    if let Some(container) = present(name, container)? {
        return Ok(Some(ps::as_json(&container)));
    }
    let image = session.images().image(&session.namespace(), name, None, Look::Everything).await;
    if let Some(image) = present(name, image)? {
        return Ok(Some(images::as_json(&image)));
    }
    if let Some(found) = present(name, Client::new(&session.peers).volume(name).await)? {
        return Ok(Some(volume::as_json(&found)));
    }
    let found = session.networks().network(name).await;
    Ok(present(name, found)?.map(|network| net::as_json(&network)))
}

/// The answer; `None` if nothing has the name, or no image can have it. The beginning of several ids is refused.
fn present<T>(name: &str, answer: Result<T, Failure>) -> Result<Option<T>, Status> {
    let digits = name.strip_prefix("sha256:").unwrap_or(name);
    let may_begin_ids = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    match answer.map_err(said) {
        Ok(found) => Ok(Some(found)),
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
        let failed = |status| {
            let status = Box::new(status);
            Err(Failure { service: "images", call: "look up an image", status })
        };
        let refused = |name| present::<()>(name, failed(Status::invalid_argument("refused")));
        assert!(refused("0a").is_err());
        assert!(refused("sha256:0a").is_err());
        assert!(matches!(refused("Web Shop"), Ok(None)));
        assert!(matches!(present::<()>("0a", failed(Status::not_found("nothing"))), Ok(None)));
    }
}
