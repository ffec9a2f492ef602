//! Reads what clients send, without a server: for the fuzz targets.
//!
//! Each function does what a route does before it calls a service: it reads its input, or refuses it in Docker's words.

use gantry_docker::Filters;

use crate::convert::{config, host_config, network, resources};
use crate::detach::Keys;
use crate::error::Error;
use crate::query::{Plus, Query, decode};
use crate::version::ApiVersion;
use crate::websocket::Decoder;
use crate::wire::container::{Config, CreateRequest};
use crate::wire::exec::{ExecRequest, StartRequest};
use crate::wire::host_config::UpdateRequest;
use crate::wire::network::{ConnectRequest, DisconnectRequest};
use crate::wire::registry::AuthConfig;
use crate::wire::{self, volume};

/// The routes that take JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// `POST /auth`
    Auth,
    /// `POST /commit`
    Commit,
    /// `POST /containers/create`
    ContainerCreate,
    /// `POST /containers/{id}/update`
    ContainerUpdate,
    /// `POST /containers/{id}/exec`
    ExecCreate,
    /// `POST /exec/{id}/start`
    ExecStart,
    /// `POST /networks/{id}/connect`
    NetworkConnect,
    /// `POST /networks/create`
    NetworkCreate,
    /// `POST /networks/{id}/disconnect`
    NetworkDisconnect,
    /// `POST /volumes/create`
    VolumeCreate,
}

impl Body {
    /// All routes.
    pub const ALL: [Self; 10] = [
        Self::Auth,
        Self::Commit,
        Self::ContainerCreate,
        Self::ContainerUpdate,
        Self::ExecCreate,
        Self::ExecStart,
        Self::NetworkConnect,
        Self::NetworkCreate,
        Self::NetworkDisconnect,
        Self::VolumeCreate,
    ];

    /// Reads a body, and makes from it the message that the service behind the route would get.
    ///
    /// # Errors
    ///
    /// The refusal that the client would get.
    pub fn read(self, body: &[u8]) -> Result<(), Error> {
        match self {
            Self::Auth => drop(wire::read::<AuthConfig>(body)?.completed()),
            Self::Commit => drop(config::to_engine(wire::read::<Config>(body)?)),
            Self::ContainerCreate => {
                let request: CreateRequest = wire::read(body)?;
                drop(config::to_engine(request.config));
                drop(host_config::to_engine(request.host_config.unwrap_or_default()));
                let networks = request.networking_config.unwrap_or_default().endpoints_config;
                networks.into_values().flatten().for_each(|one| drop(network::endpoint_to_engine(one)));
            }
            Self::ContainerUpdate => {
                let update: UpdateRequest = wire::read(body)?;
                drop(resources::to_engine(update.resources));
                drop(gantry_api::engine::RestartPolicy::from(update.restart_policy));
            }
            Self::ExecCreate => drop(Keys::parse(&wire::read::<ExecRequest>(body)?.detach_keys)?),
            Self::ExecStart => {
                wire::read::<StartRequest>(body)?;
            }
            Self::NetworkConnect => {
                let request: ConnectRequest = wire::read(body)?;
                drop(request.endpoint_config.map(network::endpoint_to_engine));
            }
            Self::NetworkCreate => drop(network::spec_of(wire::read(body)?)),
            Self::NetworkDisconnect => drop(wire::read::<DisconnectRequest>(body)?),
            Self::VolumeCreate => drop(wire::read::<volume::CreateRequest>(body)?),
        }
        Ok(())
    }
}

/// Reads a request's target: version, path, and the parameters with a syntax of their own.
///
/// # Errors
///
/// The refusal that the client would get.
pub fn target(target: &str) -> Result<(), Error> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (_, path) = ApiVersion::strip(path)?;
    path.split('/').for_each(|part| drop(decode(part, Plus::Plus)));
    let query = Query::parse(Some(query));
    Keys::parse(query.text("detachKeys"))?;
    query.number::<i64>("limit")?;
    let filters = Filters::parse(query.text("filters"), &["label", "until", "dangling"])?;
    filters.until()?;
    filters.flag("dangling")?;
    Ok(())
}

/// Reads the credentials of `X-Registry-Auth`; unreadable ones count as none.
pub fn registry_auth(value: &[u8]) {
    drop(AuthConfig::from_header(Some(value)));
}

/// Decodes a WebSocket client's frames, to the end or to the first one that breaks the protocol.
pub fn websocket(bytes: &[u8]) {
    let mut decoder = Decoder::default();
    decoder.feed(bytes);
    while let Ok(Some(_)) = decoder.next() {}
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_object_is_a_body_for_all() {
        for body in Body::ALL {
            body.read(b"{}").unwrap_or_else(|error| panic!("{body:?}: {error}"));
            for wrong in [&b""[..], b"{", b"[]", b"{} {}", b"{\"a\":tru}", b"\xff"] {
                assert_eq!(body.read(wrong).expect_err("refused").status().as_u16(), 400, "{body:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            registry_auth(&bytes);
            websocket(&bytes);
            for body in Body::ALL {
                let _ = body.read(&bytes);
            }
        }

        #[test]
        fn targets_are_read_or_refused(text in "(/v[0-9.]{0,6})?/[a-z%/]{0,12}(\\?(filters|limit|detachKeys)=[-%0-9a-z\\[\\]{}\":,]{0,40})?") {
            let _ = target(&text);
        }
    }
}
