//! Conversions of requests for archives.

use gantry_proto::gantry::images::v1 as pb;
use gantry_types::{Namespace, Platform, Reference};
use pb::data_request::{Action, Import, Load, Save};

use super::{ImportSpec, Request, SaveSpec};
use crate::images::convert::{parse_platform_text, platform_text, said};
use crate::wire::Invalid;

fn within(namespace: &Namespace, action: Action) -> pb::DataRequest {
    pb::DataRequest { namespace: namespace.to_string(), action: Some(action) }
}

pub(super) fn load(namespace: &Namespace, platform: Option<&Platform>) -> pb::DataRequest {
    within(namespace, Action::Load(Load { platform: platform_text(platform) }))
}

pub(super) fn save(namespace: &Namespace, spec: SaveSpec) -> pb::DataRequest {
    let platform = platform_text(spec.platform.as_ref());
    within(namespace, Action::Save(Save { references: spec.texts, platform }))
}

pub(super) fn import(namespace: &Namespace, spec: ImportSpec) -> pb::DataRequest {
    let import = Import {
        reference: spec.reference.as_ref().map(ToString::to_string).unwrap_or_default(),
        message: spec.message,
        changes: spec.changes,
        platform: platform_text(spec.platform.as_ref()),
        source: spec.source.unwrap_or_default(),
    };
    within(namespace, Action::Import(import))
}

pub(super) fn parse(action: Option<Action>) -> Result<Request, Invalid> {
    Ok(match action.ok_or(Invalid::Missing { field: "action" })? {
        Action::Load(load) => Request::Load(parse_platform_text(&load.platform)?),
        Action::Save(save) => {
            Request::Save(SaveSpec { texts: save.references, platform: parse_platform_text(&save.platform)? })
        }
        Action::Import(import) => Request::Import(ImportSpec {
            reference: match import.reference.as_str() {
                "" => None,
                text => Some(Reference::parse_normalized(text)?),
            },
            message: import.message,
            changes: import.changes,
            platform: parse_platform_text(&import.platform)?,
            source: said(import.source),
        }),
    })
}
