//! Why a request to a registry failed, and whether another attempt makes sense.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::Deserialize;

/// A request that failed for good: the action, the host and the reason.
#[derive(Debug, thiserror::Error)]
#[error("{action} at {host}")]
pub struct Failure {
    /// The action with its object: `fetch manifest 1.2 of library/x`.
    pub action: String,
    /// The host.
    pub host: String,
    /// The reason.
    #[source]
    pub reason: Reason,
}

/// Why one attempt failed.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// No connection: refused, unreachable, no such host, TLS not agreed.
    #[error("cannot connect: {}", root(.0))]
    Connect(reqwest::Error),
    /// The host speaks TLS, but the client does not trust its certificate, or it does not trust the client's.
    #[error("TLS is not agreed: {}", root(.0))]
    Untrusted(reqwest::Error),
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] reqwest::Error),
    /// No byte arrived for this long.
    #[error("no answer within {} s", .0.as_secs_f64())]
    Silent(Duration),
    /// The registry is overloaded or has a fault.
    #[error("the registry answered {status}{}", detail(.message))]
    Overloaded { status: StatusCode, message: String, after: Option<Duration> },
    /// The object does not exist, or the user may not see it.
    #[error("not found{}", detail(.0))]
    NotFound(String),
    /// The registry wants a user name and password, and there are none. Docker's clients look for this message.
    #[error("no basic auth credentials")]
    NoCredentials,
    /// The registry wants other credentials, or any.
    #[error("authentication required{}", detail(.0))]
    Unauthorized(String),
    /// The registry knows the credentials, and they do not suffice.
    #[error("access denied{}", detail(.0))]
    Denied(String),
    /// Any other refusal.
    #[error("the registry answered {status}{}", detail(.message))]
    Refused { status: StatusCode, message: String },
    /// The registry violates the protocol.
    #[error("the registry does not keep to the protocol: {0}")]
    Protocol(String),
    /// The address does not parse.
    #[error("{0:?} is no address")]
    Address(String),
    /// A secret would have been sent in the clear.
    #[error("credentials are not sent to {0} without TLS")]
    ClearText(String),
    /// The local file for an upload cannot be read.
    #[error("cannot read what is to be uploaded")]
    Local(#[source] std::io::Error),
}

/// Whether a connection failed within TLS, and not because the server speaks plain HTTP, which looks like an invalid
/// handshake.
fn speaks_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return !matches!(tls, rustls::Error::InvalidMessage(_));
    }
    // The source of an I/O error is not the error that it wraps, but that one's source.
    let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    wrapped.is_some_and(|wrapped| speaks_tls(wrapped)) || error.source().is_some_and(speaks_tls)
}

/// The innermost error: the outer ones only say that there was a request.
fn root(error: &(dyn std::error::Error + 'static)) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    let text = root.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

fn detail(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

impl Reason {
    /// The cost of another attempt; `None` when it would be useless.
    pub(crate) fn cost(&self) -> Option<u32> {
        match self {
            Self::Broken(_) | Self::Overloaded { .. } => Some(1),
            Self::Connect(_) => Some(2),
            Self::Silent(_) => Some(3),
            Self::NotFound(_)
            | Self::Untrusted(_)
            | Self::NoCredentials
            | Self::Unauthorized(_)
            | Self::Denied(_)
            | Self::Refused { .. }
            | Self::Protocol(_)
            | Self::Address(_)
            | Self::ClearText(_)
            | Self::Local(_) => None,
        }
    }

    /// How long the registry has asked the client to wait.
    pub(crate) fn wait(&self) -> Option<Duration> {
        match self {
            Self::Overloaded { after, .. } => *after,
            _ => None,
        }
    }

    /// The reason in an error of the HTTP client.
    pub(crate) fn transport(error: reqwest::Error) -> Self {
        let error = error.without_url();
        match error.is_connect() {
            true if speaks_tls(&error) => Self::Untrusted(error),
            true => Self::Connect(error),
            false => Self::Broken(error),
        }
    }

    /// The reason in an error response; `body` is its beginning.
    pub(crate) fn status(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let message = message(body);
        match status {
            StatusCode::NOT_FOUND => Self::NotFound(message),
            StatusCode::UNAUTHORIZED => Self::Unauthorized(message),
            StatusCode::FORBIDDEN => Self::Denied(message),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                Self::Overloaded { status, message, after: retry_after(headers) }
            }
            status if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED => {
                Self::Overloaded { status, message, after: retry_after(headers) }
            }
            status => Self::Refused { status, message },
        }
    }
}

/// `Retry-After` in seconds; the form with a date is rare and ignored.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<ErrorItem>,
}

#[derive(Deserialize)]
struct ErrorItem {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// The registry's own message, from its error document or from a short text.
fn message(body: &[u8]) -> String {
    if let Ok(Errors { errors }) = serde_json::from_slice(body) {
        let texts = errors.into_iter().map(|error| match (error.code.is_empty(), error.message.is_empty()) {
            (false, false) => format!("{}: {}", error.code.to_lowercase(), error.message),
            (false, true) => error.code.to_lowercase(),
            _ => error.message,
        });
        return clean(&texts.collect::<Vec<_>>().join("; "));
    }
    match std::str::from_utf8(body) {
        Ok(text) if !text.trim_start().starts_with('<') => clean(text.lines().next().unwrap_or_default()),
        _ => String::new(),
    }
}

/// Cuts foreign text and removes control characters.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(400).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registrys_words_are_kept() {
        let body =
            br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"x"}}]}"#;
        let reason = Reason::status(StatusCode::NOT_FOUND, &HeaderMap::new(), body);
        assert_eq!(reason.to_string(), "not found: manifest_unknown: manifest unknown");
        assert_eq!(reason.cost(), None);
    }

    #[test]
    fn pages_and_control_characters_are_not() {
        assert_eq!(message(b"<html>oops"), "");
        assert_eq!(message(b"slow\x1b[2Jdown\nmore"), "slow [2Jdown");
    }

    #[test]
    fn too_many_requests_name_their_pause() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, "7".parse().expect("a header value"));
        let reason = Reason::status(StatusCode::TOO_MANY_REQUESTS, &headers, b"");
        assert_eq!(reason.wait(), Some(Duration::from_secs(7)));
        assert_eq!(reason.cost(), Some(1));
    }
}
