//! Conversions of requests to registries.

use gantry_proto::gantry::images::v1 as pb;
use gantry_types::Reference;
use pb::registries_response::Registry as Named;

use super::{parse_platform, parse_platform_text, platform, platform_text, said};
use crate::diff::convert::{descriptor, parse_descriptor};
use crate::images::{Credentials, Distribution, PullSpec, PushSpec, Registry};
use crate::wire::Invalid;

/// Credentials for the registry at an address; the address is empty if the reference names the registry.
pub(in crate::images) fn auth(credentials: &Credentials, address: &str) -> pb::Auth {
    let mut auth = pb::Auth { server_address: address.to_owned(), ..Default::default() };
    match credentials.clone() {
        Credentials::Anonymous => {}
        Credentials::Basic { username, password } => (auth.username, auth.password) = (username, password),
        Credentials::IdentityToken(token) => auth.identity_token = token,
        Credentials::RegistryToken(token) => auth.registry_token = token,
    }
    auth
}

pub(in crate::images) fn parse_auth(auth: Option<pb::Auth>) -> Credentials {
    let auth = auth.unwrap_or_default();
    Credentials::of(auth.username, auth.password, auth.identity_token, auth.registry_token)
}

pub(in crate::images) fn pull_spec(spec: &PullSpec) -> pb::PullRequest {
    pb::PullRequest {
        reference: spec.reference.to_string(),
        platform: platform_text(spec.platform.as_ref()),
        auth: Some(auth(&spec.credentials, "")),
        all_tags: spec.all_tags,
        snapshotter: spec.snapshotter.clone().unwrap_or_default(),
    }
}

pub(in crate::images) fn parse_pull_spec(request: pb::PullRequest) -> Result<PullSpec, Invalid> {
    Ok(PullSpec {
        reference: Reference::parse_normalized(&request.reference)?,
        platform: parse_platform_text(&request.platform)?,
        credentials: parse_auth(request.auth),
        all_tags: request.all_tags,
        snapshotter: said(request.snapshotter),
    })
}

pub(in crate::images) fn push_spec(spec: &PushSpec) -> pb::PushRequest {
    pb::PushRequest {
        reference: spec.reference.to_string(),
        auth: Some(auth(&spec.credentials, "")),
        platform: platform_text(spec.platform.as_ref()),
    }
}

pub(in crate::images) fn parse_push_spec(request: pb::PushRequest) -> Result<PushSpec, Invalid> {
    Ok(PushSpec {
        reference: Reference::parse_normalized(&request.reference)?,
        platform: parse_platform_text(&request.platform)?,
        credentials: parse_auth(request.auth),
    })
}

pub(in crate::images) fn distribution(distribution: Distribution) -> pb::DistributionResponse {
    pb::DistributionResponse {
        descriptor: Some(descriptor(distribution.descriptor)),
        platforms: distribution.platforms.iter().map(platform).collect(),
    }
}

pub(in crate::images) fn parse_distribution(
    answer: pb::DistributionResponse,
) -> Result<Distribution, Invalid> {
    let descriptor = parse_descriptor(answer.descriptor)?;
    Ok(Distribution { descriptor, platforms: answer.platforms.iter().map(parse_platform).collect() })
}

pub(in crate::images) fn registry(registry: Registry) -> Named {
    Named { host: registry.host, mirrors: registry.mirrors, insecure: registry.insecure }
}

pub(in crate::images) fn parse_registry(registry: Named) -> Registry {
    Registry { host: registry.host, mirrors: registry.mirrors, insecure: registry.insecure }
}
