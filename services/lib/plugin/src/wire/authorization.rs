//! `authz`: whether a request may be made, and whether its answer may be given.
//!
//! | method | asked | answered |
//! | --- | --- | --- |
//! | `AuthZPlugin.AuthZReq` | [`Question`] without the fields of an answer | [`Verdict`] |
//! | `AuthZPlugin.AuthZRes` | the same [`Question`] with them | [`Verdict`] |

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::or_default;

/// A request to Docker's API, and what it is about to be answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Question {
    /// The common name of the client's certificate.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// `TLS`, where there is a user.
    #[serde(rename = "UserAuthNMethod", skip_serializing_if = "String::is_empty")]
    pub user_authn_method: String,
    /// HTTP's.
    pub request_method: String,
    /// As it was sent, with its version and parameters.
    pub request_uri: String,
    /// Of JSON alone: base64.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub request_body: String,
    /// Without credentials for registries.
    pub request_headers: BTreeMap<String, String>,
    /// What the client has shown: base64 of PEM.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub request_peer_certificates: Vec<String>,
    /// HTTP's.
    #[serde(skip_serializing_if = "is_none")]
    pub response_status_code: u16,
    /// Of JSON alone that is no stream: base64.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub response_body: String,
    /// Of the answer.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub response_headers: BTreeMap<String, String>,
}

/// What a plugin says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Verdict {
    /// Whether it may be.
    pub allow: bool,
    /// Why not, for the user.
    #[serde(deserialize_with = "or_default")]
    pub msg: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_none(status: &u16) -> bool {
    *status == 0
}
