//! Authorization plugins: the gateway asks them about each request to Docker's API and about each answer, in the setting's order.
//!
//! ```text
//! request ──AuthZReq of each──> route ──AuthZRes of each──> client
//!              └── no: 403                   └── no: 403; an error passes
//! ```
//!
//! Every plugin must allow a request; one that cannot be asked denies it. A plugin sees bodies only if they are JSON, of a request
//! up to 4 MiB (the gateway refuses a larger one), of an answer up to 64 KiB; of a larger answer, a stream, an archive or a hijacked
//! connection it sees the status and the headers.
//!
//! Plugins guard Docker's API only. A process that may open the services' own sockets needs no plugin's permission.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use gantry_http::{Body, Peer};
use gantry_plugin::wire::authorization::{Question, Verdict};
use gantry_plugin::{LONG, Plugins, interface};
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Request, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt;

use crate::error::Error;
use crate::response::{self, Response};

/// The longest body of a request that plugins get.
const REQUEST: usize = 4 << 20;
/// The longest body of an answer that they get.
const RESPONSE: u64 = 64 << 10;

/// How long a client may take to send a body that they get.
const PATIENCE: Duration = Duration::from_secs(30);

/// The plugins, and where to find them.
#[derive(Debug)]
pub struct Authorization {
    names: Vec<String>,
    plugins: Plugins,
}

/// Before what a plugin is asked.
#[derive(Clone, Copy, Debug)]
enum Before {
    Request,
    Response,
}

impl Authorization {
    /// Asks these plugins, one after the other; `None` without plugins.
    pub fn new(names: Vec<String>, plugins: Plugins) -> Option<Authorization> {
        (!names.is_empty()).then_some(Authorization { names, plugins })
    }

    /// The plugins' names, in the order of asking.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Answers a request by `route`, if all plugins allow it.
    pub async fn around<F>(
        &self,
        mut request: Request<Body>,
        route: impl FnOnce(Request<Body>) -> F,
    ) -> Response
    where
        F: Future<Output = Response>,
    {
        let question = match self.request(&mut request).await {
            Ok(question) => question,
            Err(refused) => return response::error(&refused),
        };
        let response = route(request).await;
        self.response(question, response).await
    }

    async fn request(&self, request: &mut Request<Body>) -> Result<Question, Error> {
        let uri = request.uri();
        let mut question = Question {
            request_method: request.method().to_string(),
            request_uri: uri.path_and_query().map_or_else(|| uri.to_string(), ToString::to_string),
            request_headers: told(request.headers()),
            ..Question::default()
        };
        if let Some(Peer::Certificate { subject, chain, .. }) = request.extensions().get::<Peer>() {
            question.user = common_name(subject);
            "TLS".clone_into(&mut question.user_authn_method);
            question.request_peer_certificates = chain.iter().map(|der| STANDARD.encode(pem(der))).collect();
        }
        if is_json(request.headers()) && !request.uri().path().ends_with("/auth") {
            let body =
                tokio::time::timeout(PATIENCE, read(request.body_mut())).await.map_err(|_| late())??;
            question.request_body = STANDARD.encode(&body);
            request.body_mut().put_back(body);
        }
        self.ask(Before::Request, &question).await?;
        Ok(question)
    }

    async fn response(&self, mut question: Question, response: Response) -> Response {
        let (head, mut body) = response.into_parts();
        question.response_status_code = head.status.as_u16();
        question.response_headers = told(&head.headers);
        let short = body.size_hint().exact().is_some_and(|size| size <= RESPONSE);
        if is_json(&head.headers) && short {
            match body.collect().await {
                Ok(whole) => {
                    let bytes = whole.to_bytes();
                    question.response_body = STANDARD.encode(&bytes);
                    body = response::full(bytes);
                }
                Err(error) => return response::error(&Error::internal(error.to_string())),
            }
        }
        let allowed = self.ask(Before::Response, &question).await;
        match allowed {
            // The client gets an error as it is: a refusal would hide why the request failed, and undo nothing.
            Err(refused) if !head.status.is_client_error() && !head.status.is_server_error() => {
                response::error(&refused)
            }
            _ => Response::from_parts(head, body),
        }
    }

    async fn ask(&self, before: Before, question: &Question) -> Result<(), Error> {
        let method = match before {
            Before::Request => "AuthZPlugin.AuthZReq",
            Before::Response => "AuthZPlugin.AuthZRes",
        };
        for name in &self.names {
            let asked = async {
                let plugin = self.plugins.get(name, interface::AUTHORIZATION).await?;
                plugin.call::<Verdict>(method, question, LONG).await
            };
            let verdict = asked.await.map_err(|error| {
                tracing::warn!(plugin = name, error = %gantry_rpc::chain(&error), "not authorized");
                Error::refused(format!("plugin {name} failed with error: {error}"))
            })?;
            if !verdict.allow {
                let why = format!("authorization denied by plugin {name}: {}", verdict.msg);
                return Err(Error::new(StatusCode::FORBIDDEN, why));
            }
        }
        Ok(())
    }
}

fn late() -> Error {
    Error::new(StatusCode::REQUEST_TIMEOUT, "request body did not arrive in time")
}

/// Reads a body to its end, if it is no longer than the bound.
async fn read(body: &mut Body) -> Result<Bytes, Error> {
    let too_large = || {
        Error::refused(format!(
            "request body too large for authorization plugin: size exceeds {REQUEST} bytes"
        ))
    };
    if body.size_hint().lower() > REQUEST as u64 {
        return Err(too_large());
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Error::bad(format!("request body ended early: {error}")))?;
        if let Some(data) = frame.data_ref() {
            if whole.len() + data.len() > REQUEST {
                return Err(too_large());
            }
            whole.extend_from_slice(data);
        }
    }
    Ok(whole.freeze())
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

/// The headers that plugins get, by Go's names; of several with the same name, the last. They get neither credentials, as with dockerd,
/// nor the headers of the connection.
fn told(headers: &HeaderMap) -> std::collections::BTreeMap<String, String> {
    const UNTOLD: [&str; 6] =
        ["authorization", "host", "transfer-encoding", "trailer", "x-registry-auth", "x-registry-config"];
    let named = headers.iter().filter(|(name, _)| !UNTOLD.contains(&name.as_str()));
    named
        .map(|(name, value)| {
            (canonical(name.as_str()), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect()
}

/// `content-type` as `Content-Type`.
fn canonical(name: &str) -> String {
    let mut begins = true;
    let letter = |letter: char| {
        let written = if begins { letter.to_ascii_uppercase() } else { letter };
        begins = letter == '-';
        written
    };
    name.chars().map(letter).collect()
}

/// The common name in a distinguished name (RFC 4514); empty without one.
fn common_name(subject: &str) -> String {
    let (mut parts, mut escaped) = (vec![String::new()], false);
    for letter in subject.chars() {
        let last = parts.last_mut().expect("there is one at least");
        match letter {
            _ if escaped => {
                last.push(letter);
                escaped = false;
            }
            '\\' => escaped = true,
            ',' | '+' => parts.push(String::new()),
            _ => last.push(letter),
        }
    }
    let name = parts.iter().find_map(|part| part.trim_start().strip_prefix("CN="));
    name.unwrap_or_default().to_owned()
}

/// A certificate as PEM (RFC 7468).
fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_told_as_go_has_them() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-two", "a"),
            ("x-two", "b"),
            ("content-type", "application/json; charset=utf-8"),
            ("x-registry-auth", "secret"),
            ("authorization", "Bearer secret"),
            ("host", "docker"),
        ] {
            headers.append(http::HeaderName::from_static(name), http::HeaderValue::from_static(value));
        }
        assert!(is_json(&headers));
        let told: Vec<_> = told(&headers).into_iter().collect();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(told, [pair("Content-Type", "application/json; charset=utf-8"), pair("X-Two", "b")]);
    }

    #[test]
    fn the_user_is_the_common_name() {
        assert_eq!(common_name("O=Example,CN=alice\\, admin"), "alice, admin");
        assert_eq!(common_name("CN=bob"), "bob");
        assert_eq!(common_name("O=Example"), "");
    }

    #[test]
    fn certificates_are_told_in_lines() {
        let lines: Vec<usize> = pem(&[7; 100]).lines().map(str::len).collect();
        assert_eq!(lines, [27, 64, 64, 8, 25]);
    }
}
