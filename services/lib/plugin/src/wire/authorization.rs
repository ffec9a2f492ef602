//! `authz`: whether a request may be carried out, and whether its response may be sent.
//!
//! | method | asked | answered |
//! | --- | --- | --- |
//! | `AuthZPlugin.AuthZReq` | [`Question`] without the fields of an answer | [`Verdict`] |
//! | `AuthZPlugin.AuthZRes` | the same [`Question`] with them | [`Verdict`] |

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::or_default;

/// A request to Docker's API, and its response.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Question {
    /// The common name of the client's certificate.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// `TLS`, if there is a user.
    #[serde(rename = "UserAuthNMethod", skip_serializing_if = "String::is_empty")]
    pub user_authn_method: String,
    /// The HTTP method.
    pub request_method: String,
    /// The URI of the request, with its version and parameters.
    pub request_uri: String,
    /// The body of the request, only of JSON: base64.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub request_body: String,
    /// The headers of the request, without credentials for registries.
    pub request_headers: BTreeMap<String, String>,
    /// The client's certificates: base64 of PEM.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub request_peer_certificates: Vec<String>,
    /// The HTTP status of the response.
    #[serde(skip_serializing_if = "is_none")]
    pub response_status_code: u16,
    /// The body of the response, only of JSON that is no stream: base64.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub response_body: String,
    /// The headers of the response.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub response_headers: BTreeMap<String, String>,
}

/// A plugin's decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Verdict {
    /// Whether the request or the response is allowed.
    pub allow: bool,
    /// The reason, for the user.
    #[serde(deserialize_with = "or_default")]
    pub msg: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_none(status: &u16) -> bool {
    *status == 0
}
