//! Sends one request until it is answered: hosts in their order, schemes, authorization, retries.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, WWW_AUTHENTICATE};
use reqwest::{Method, Response, StatusCode, Url};

use crate::auth::read_limited;
use crate::challenge::Challenge;
use crate::endpoint::{Endpoint, Scheme};
use crate::failure::{Failure, Reason};
use crate::push::Payload;
use crate::{Repository, retry};

/// A request that can be sent any number of times.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) target: Target,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload,
    /// For messages: `fetch manifest x of y`.
    pub(crate) action: String,
}

/// The target of a request.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// A path below the prefix of any host.
    Path(String),
    /// A URL that the registry gave, at which an upload continues.
    Address(Url),
}

impl Ask {
    pub(crate) fn new(method: Method, path: String, action: String) -> Self {
        Self {
            method,
            target: Target::Path(path),
            headers: HeaderMap::new(),
            payload: Payload::Empty,
            action,
        }
    }
}

/// The most bytes of an error document that are read.
const ERROR_LIMIT: usize = 64 << 10;

impl Repository {
    /// Sends `ask` to each host in turn until one succeeds: once to a mirror, with retries to the registry.
    ///
    /// Reports pauses to `on_wait`. Returns the response and the index of the host that gave it.
    pub(crate) async fn send(
        &self,
        ask: &Ask,
        on_wait: &mut (dyn FnMut(Duration) + Send),
    ) -> Result<(Response, usize), Failure> {
        let (registry, mirrors) = self.endpoints.split_last().expect("a repository has its registry's host");
        for (index, mirror) in mirrors.iter().enumerate() {
            match self.attempt(mirror, ask).await {
                Ok(response) => return Ok((response, index)),
                Err(reason) => tracing::debug!(host = mirror.authority, %reason, "a mirror did not serve"),
            }
        }
        Ok((self.send_to(registry, ask, on_wait).await?, mirrors.len()))
    }

    /// Sends `ask` to one host, with retries.
    async fn send_to(
        &self,
        endpoint: &Endpoint,
        ask: &Ask,
        on_wait: &mut (dyn FnMut(Duration) + Send),
    ) -> Result<Response, Failure> {
        let mut attempt = 0;
        loop {
            let reason = match self.attempt(endpoint, ask).await {
                Ok(response) => return Ok(response),
                Err(reason) => reason,
            };
            attempt += 1;
            match self.worth_waiting(&reason, attempt) {
                Some(pause) => {
                    tracing::debug!(host = endpoint.authority, action = ask.action, %reason, ?pause, "trying again");
                    on_wait(pause);
                    tokio::time::sleep(pause).await;
                }
                None => {
                    return Err(Failure {
                        action: ask.action.clone(),
                        host: endpoint.authority.clone(),
                        reason,
                    });
                }
            }
        }
    }

    /// The pause before the next attempt; `None` when there is none.
    pub(crate) fn worth_waiting(&self, reason: &Reason, attempt: u32) -> Option<Duration> {
        let pause = reason.wait().unwrap_or_else(|| retry::pause(attempt));
        (pause <= self.settings.patience && reason.cost().is_some_and(|cost| self.budget.take(cost)))
            .then_some(pause)
    }

    /// One attempt: over each possible scheme, with at most one round of authorization.
    pub(crate) async fn attempt(&self, endpoint: &Endpoint, ask: &Ask) -> Result<Response, Reason> {
        let schemes = match ask.target {
            Target::Path(_) => endpoint.schemes(),
            Target::Address(_) => vec![Scheme::Https],
        };
        let mut first_error = None;
        for scheme in schemes {
            match self.authorised(endpoint, scheme, ask).await {
                // No server, or none that speaks TLS: it may speak the next scheme.
                Err(reason @ Reason::Connect(_)) => first_error = first_error.or(Some(reason)),
                Err(reason) => return Err(reason),
                Ok(response) => {
                    if matches!(ask.target, Target::Path(_)) {
                        endpoint.settle(scheme);
                    }
                    return Ok(response);
                }
            }
        }
        Err(first_error.expect("at least one scheme was tried"))
    }

    async fn authorised(&self, endpoint: &Endpoint, scheme: Scheme, ask: &Ask) -> Result<Response, Reason> {
        let scopes = self.scopes();
        let mut challenged = false;
        loop {
            let url = match &ask.target {
                Target::Path(path) => endpoint.url(scheme, path)?,
                Target::Address(url) => url.clone(),
            };
            let own = endpoint.is_at(&url);
            let header = match own {
                true => endpoint.authorisation.header(&scopes).await,
                false => None,
            };
            if header.is_some() && !endpoint.may_see_secrets(&url) {
                return Err(Reason::ClearText(endpoint.authority.clone()));
            }
            let mut request = endpoint.client.request(ask.method.clone(), url).headers(ask.headers.clone());
            if own {
                request = request.headers(endpoint.headers.clone());
            }
            if let Some(header) = &header {
                request = request.header(AUTHORIZATION, header.clone());
            }
            let (request, stalls) =
                ask.payload.attach(request, self.settings.idle_timeout).map_err(Reason::Local)?;
            let response = tokio::select! {
                response = request.send() => response.map_err(Reason::transport)?,
                // While a body is sent, its progress keeps the request alive.
                waited = stalls.stalled() => return Err(Reason::Silent(waited)),
            };
            let status = response.status();
            if status.is_success() {
                return Ok(response);
            }
            let lines = response.headers().get_all(WWW_AUTHENTICATE);
            let challenge = Challenge::pick(lines.iter().filter_map(|line| line.to_str().ok()));
            let reason = self.refusal(response).await;
            if status != StatusCode::UNAUTHORIZED || challenged || !own {
                return Err(reason);
            }
            let Some(challenge) = challenge else { return Err(reason) };
            // The host has answered: the scheme is right, whatever the response.
            endpoint.settle(scheme);
            if !endpoint.authorisation.answer(endpoint, challenge, header.as_ref(), &scopes).await? {
                return Err(reason);
            }
            challenged = true;
        }
    }

    /// Reads why a request was refused.
    async fn refusal(&self, mut response: Response) -> Reason {
        let status = response.status();
        let headers = response.headers().clone();
        let body = tokio::time::timeout(
            self.settings.idle_timeout.min(Duration::from_secs(5)),
            read_limited(&mut response, ERROR_LIMIT),
        );
        let body = body.await.unwrap_or_else(|_| Ok(Vec::new())).unwrap_or_default();
        Reason::status(status, &headers, &body)
    }

    /// A failure of one of this repository's hosts, for errors after the response.
    pub(crate) fn failure(&self, host: usize, action: &str, reason: Reason) -> Failure {
        Failure { action: action.to_owned(), host: self.endpoints[host].authority.clone(), reason }
    }
}
