//! Docker's JSON models, with exactly Docker's keys.
//!
//! Field order, `null`, `[]`, `{}` and left-out fields are as in Docker's own replies: a `Vec` is always an array, an
//! `Option` without `skip_serializing_if` may be `null`. [`read`] reads requests: a `null` member is
//! the same as none, and the case of a member's name does not matter ([`case_insensitive`]).

pub mod case_insensitive;
pub mod container;
pub mod event;
pub mod exec;
#[cfg(test)]
mod golden;
pub mod host_config;
pub mod image;
pub mod network;
pub mod progress;
pub mod registry;
pub mod stats;
pub mod syntax;
pub mod system;
pub mod volume;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::error::Error;

/// An object without members, as Go's `struct{}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Empty;

impl Serialize for Empty {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        serializer.serialize_map(Some(0))?.end()
    }
}

impl<'de> Deserialize<'de> for Empty {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

/// The body of every error.
#[derive(Debug, Serialize)]
pub struct ErrorBody<'a> {
    /// The message for the client.
    pub message: &'a str,
}

/// The answer to a creation.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct IdResponse {
    pub id: String,
}

/// Objects in which a `null` member differs from none.
const KEEP_NULLS_IN: [&str; 4] = ["EndpointsConfig", "PortBindings", "ExposedPorts", "Volumes"];

/// Reads one JSON value from a request's body.
///
/// It ignores unknown members, and refuses a second value, a wrong type and bytes that are no JSON.
pub fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    let invalid = |error: &dyn std::fmt::Display| Error::bad(format!("invalid JSON: {error}"));
    let (value, rest) = syntax::first_value(body).map_err(|error| invalid(&error))?;
    // Go replaces what is no UTF-8.
    let mut value: Value =
        serde_json::from_str(&String::from_utf8_lossy(value)).map_err(|error| invalid(&error))?;
    drop_nulls(&mut value);
    if value.is_null() {
        value = Value::Object(serde_json::Map::new());
    }
    let read = case_insensitive::read(&value).map_err(|error| invalid(&error))?;
    // Go's decoder takes a closing bracket for the end of an array around the value.
    match rest.trim_ascii_start().first() {
        None | Some(b']' | b'}') => Ok(read),
        Some(_) => Err(Error::bad("unexpected content after JSON")),
    }
}

fn keeps_nulls(key: &str) -> bool {
    KEEP_NULLS_IN.iter().any(|name| name.eq_ignore_ascii_case(key))
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            for (key, member) in members.iter_mut() {
                match member {
                    Value::Object(inner) if keeps_nulls(key) => inner.values_mut().for_each(drop_nulls),
                    other => drop_nulls(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// Lists of strings that clients may also send as one string.
pub mod words {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Words {
        One(String),
        Many(Vec<String>),
    }

    /// Reads a string or a list of strings.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
        Ok(Some(match Words::deserialize(deserializer)? {
            Words::One(word) => vec![word],
            Words::Many(words) => words,
        }))
    }

    /// Writes a list or `null`.
    pub fn serialize<S: Serializer>(words: &Option<Vec<String>>, serializer: S) -> Result<S::Ok, S::Error> {
        words.serialize(serializer)
    }
}

/// Whether a value is its type's default, for fields that Go then omits.
pub fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::container::CreateRequest;
    use super::*;

    #[test]
    fn wrong_bodies_are_refused_with_400() {
        let rows = [
            ("", "invalid JSON: got EOF"),
            ("  ", "invalid JSON: got EOF"),
            ("{bad", "invalid JSON: "),
            (r#"{"Image":"x"}{"a":1}"#, "unexpected content after JSON"),
            (r#"{"Image":"x"} x"#, "unexpected content after JSON"),
            (
                r#"{"Image":"x",}"#,
                "invalid JSON: invalid character '}' looking for beginning of object key string",
            ),
            (r#"{"Image":"x""#, "invalid JSON: unexpected EOF"),
            (r#"{"Image":1}"#, "invalid JSON: invalid type"),
            (r#"{"HostConfig":{"Memory":"much"}}"#, "invalid JSON: invalid type"),
            ("[]", "invalid JSON: "),
        ];
        for (body, fragment) in rows {
            let error = read::<CreateRequest>(body.as_bytes()).expect_err(body);
            assert_eq!(error.status().as_u16(), 400);
            assert!(error.to_string().contains(fragment), "{body}: {error}");
        }
    }

    #[test]
    fn nulls_are_absent_and_unknown_members_ignored() {
        let body = r#"{"Image":null,"Cmd":"date","Env":["A=b"],"What":[1],"HostConfig":{"Binds":null,"MaskedPaths":[]},
            "NetworkingConfig":{"EndpointsConfig":{"net":null}},"Volumes":{"/v":{}},"ExposedPorts":{"80/tcp":null}}"#;
        let request: CreateRequest = read(body.as_bytes()).expect("valid");
        assert_eq!(request.config.cmd.as_deref(), Some(&["date".to_owned()][..]));
        assert_eq!(request.config.image, "");
        let host = request.host_config.expect("host config");
        assert_eq!((host.binds, host.masked_paths, host.readonly_paths), (None, Some(vec![]), None));
        assert!(request.networking_config.expect("networks").endpoints_config.contains_key("net"));
        assert!(request.config.exposed_ports.contains_key("80/tcp"));
    }

    #[test]
    fn the_case_of_names_does_not_matter() {
        let body = r#"{"image":"x","cmd":["a"],"hostconfig":{"memory":7,"portbindings":{"80/tcp":null},"AUTOREMOVE":true},
            "networkingConfig":{"endpointsConfig":{"Net":{"aliases":["b"]}}}}"#;
        let request: CreateRequest = read(body.as_bytes()).expect("valid");
        assert_eq!((request.config.image.as_str(), request.config.cmd), ("x", Some(vec!["a".to_owned()])));
        let host = request.host_config.expect("host config");
        assert_eq!((host.resources.memory, host.auto_remove), (7, true));
        assert!(host.port_bindings.contains_key("80/tcp"));
        let networks = request.networking_config.expect("networks").endpoints_config;
        assert!(networks["Net"].as_ref().is_some_and(|endpoint| endpoint.aliases.is_some()));
        let exec: super::exec::ExecRequest = read(br#"{"detachKeys":"ctrl-a","cmd":["x"]}"#).expect("valid");
        assert_eq!(exec.detach_keys, "ctrl-a");
        let update: super::host_config::UpdateRequest = read(br#"{"memory":9}"#).expect("valid");
        assert_eq!(update.resources.memory, 9);
    }

    #[test]
    fn a_null_body_is_an_empty_request() {
        let request: CreateRequest = read(b"null").expect("valid");
        assert!(request.config.image.is_empty() && request.host_config.is_none());
    }
}
