//! Conversions of create and update requests.

use gantry_proto::gantry::engine::v1 as pb;

use crate::engine::{CreateSpec, Created, Update};

impl From<CreateSpec> for pb::CreateRequest {
    fn from(spec: CreateSpec) -> Self {
        pb::CreateRequest {
            name: spec.name,
            platform: spec.platform,
            config: Some(spec.config.into()),
            host_config: Some(spec.host.into()),
            networks: spec.networks.into_iter().map(|(name, settings)| (name, settings.into())).collect(),
            api_version: spec.api_version,
        }
    }
}

impl From<pb::CreateRequest> for CreateSpec {
    fn from(request: pb::CreateRequest) -> Self {
        CreateSpec {
            name: request.name,
            platform: request.platform,
            config: request.config.unwrap_or_default().into(),
            host: request.host_config.unwrap_or_default().into(),
            networks: request.networks.into_iter().map(|(name, settings)| (name, settings.into())).collect(),
            api_version: request.api_version,
        }
    }
}

alike!(Created, pb::CreateResponse { id, warnings });

impl From<pb::UpdateRequest> for Update {
    fn from(request: pb::UpdateRequest) -> Self {
        Update {
            resources: request.resources.map(Into::into),
            restart_policy: request.restart_policy.map(Into::into),
        }
    }
}
