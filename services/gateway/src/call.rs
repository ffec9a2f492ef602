//! One request as the routes see it: its version, parameters and body.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use gantry_http::{Body, Interrupted};
use http::header::{self, HeaderMap};
use http::{Method, Request, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt, BodyStream};
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::error::Error;
use crate::peers::Peers;
use crate::query::Query;
use crate::version::ApiVersion;
use crate::wire;
use crate::wire::registry::AuthConfig;
use gantry_docker::Filters;

/// The longest JSON body.
const JSON_LIMIT: usize = 4 << 20;
/// How long a client may take to send a JSON body.
const JSON_PATIENCE: Duration = Duration::from_secs(30);

/// A request, with what a route needs to answer it.
#[derive(Debug)]
pub struct Call {
    /// What all requests share.
    pub app: Arc<App>,
    /// The API's version, from the path.
    pub version: ApiVersion,
    /// The parameters.
    pub query: Query,
    /// The request itself.
    pub request: Request<Body>,
}

impl Call {
    /// Clients of the other services.
    pub fn peers(&self) -> &Peers {
        &self.app.peers
    }

    /// The method.
    pub fn method(&self) -> &Method {
        self.request.method()
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    /// Credentials for a registry, if any were sent.
    pub fn registry_auth(&self) -> AuthConfig {
        AuthConfig::from_header(self.headers().get("x-registry-auth").map(|value| value.as_bytes()))
    }

    /// The `filters` parameter.
    pub fn filters(&self, known: &[&str]) -> Result<Filters, Error> {
        Ok(Filters::parse(self.query.text("filters"), known)?)
    }

    /// Reads the body as one JSON value.
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        self.check_json()?;
        wire::read(&self.body().await?)
    }

    /// Like [`Self::json`], with the default for an empty body.
    pub async fn json_or_default<T: DeserializeOwned + Default>(&mut self) -> Result<T, Error> {
        self.check_json()?;
        let body = self.body().await?;
        if body.is_empty() { Ok(T::default()) } else { wire::read(&body) }
    }

    /// Whether the request announces a body.
    pub fn has_body(&self) -> bool {
        !self.request.body().is_end_stream()
    }

    /// The body as it arrives, for archives.
    pub fn stream(self) -> impl Stream<Item = Result<Bytes, Interrupted>> {
        BodyStream::new(self.request.into_body())
            .filter_map(|frame| std::future::ready(frame.map(|frame| frame.into_data().ok()).transpose()))
    }

    fn check_json(&self) -> Result<(), Error> {
        let sent = match self.headers().get(header::CONTENT_TYPE) {
            None if !self.has_body() => return Ok(()),
            None => "",
            Some(value) => value.to_str().unwrap_or("?"),
        };
        let kind = sent.split(';').next().unwrap_or("").trim();
        if kind.eq_ignore_ascii_case("application/json") {
            return Ok(());
        }
        Err(Error::bad(format!("unsupported Content-Type header ({sent}): must be 'application/json'")))
    }

    async fn body(&mut self) -> Result<Bytes, Error> {
        let too_large = || {
            Error::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("request body is larger than {JSON_LIMIT} bytes"),
            )
        };
        let body = self.request.body_mut();
        if body.size_hint().lower() > JSON_LIMIT as u64 {
            return Err(too_large());
        }
        let read = async {
            let mut bytes = BytesMut::new();
            while let Some(frame) = body.frame().await {
                let frame =
                    frame.map_err(|error| Error::bad(format!("request body ended early: {error}")))?;
                let Some(data) = frame.data_ref() else { continue };
                if bytes.len() + data.len() > JSON_LIMIT {
                    return Err(too_large());
                }
                bytes.extend_from_slice(data);
            }
            Ok(bytes.freeze())
        };
        tokio::time::timeout(JSON_PATIENCE, read)
            .await
            .map_err(|_| Error::new(StatusCode::REQUEST_TIMEOUT, "request body did not arrive in time"))?
    }
}
