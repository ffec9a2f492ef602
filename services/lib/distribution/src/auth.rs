//! Authorization at a registry: credentials, and the tokens that a token server gives for them.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{RequestBuilder, Response, Url};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::challenge::Challenge;
use crate::endpoint::{Endpoint, authority_of};
use crate::failure::Reason;

/// The user's credentials.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Nothing.
    Anonymous,
    /// User name and password.
    Basic { username: String, password: String },
    /// A refresh token for the token server.
    IdentityToken(String),
    /// A token for the registry itself.
    RegistryToken(String),
    /// A registry that wants credentials makes the client ask for them.
    Asked(Asker),
}

/// Asks for the credentials of a host.
pub trait Ask: fmt::Debug + Send + Sync {
    /// Asks for the credentials of `host`. The error is the reason why there are none.
    fn ask<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Credentials, String>>;
}

/// An implementation of [`Ask`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Asker(Arc<dyn Ask>);

impl Asker {
    /// Asks `ask`.
    pub fn new(ask: impl Ask + 'static) -> Self {
        Self(Arc::new(ask))
    }
}

impl PartialEq for Asker {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Asker {}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Basic { .. } => "Basic(…)",
            Self::IdentityToken(_) => "IdentityToken(…)",
            Self::RegistryToken(_) => "RegistryToken(…)",
            Self::Asked(_) => "Asked(…)",
        })
    }
}

/// The authorization at one host.
#[derive(Debug)]
pub(crate) struct Authorisation {
    credentials: Credentials,
    /// Held while a token is fetched, so that ten layers fetch one token and not ten.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The credentials that [`Ask`] has returned.
    answered: Option<Credentials>,
    challenge: Option<Challenge>,
    /// The tokens by their scopes.
    tokens: Vec<(Vec<String>, Token)>,
}

struct Token {
    header: HeaderValue,
    expires: Instant,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// A token server's response. Old servers send `token`, OAuth servers `access_token`.
#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
    #[serde(default)]
    expires_in: Option<u64>,
}

/// The life of a token that states none, by the specification.
const DEFAULT_LIFE: Duration = Duration::from_secs(60);
/// A token is renewed this long before its end.
const MARGIN: Duration = Duration::from_secs(5);
/// The longest response of a token server in bytes.
const TOKEN_LIMIT: usize = 256 << 10;

impl Authorisation {
    pub(crate) fn new(credentials: Credentials) -> Self {
        Self { credentials, state: Mutex::new(State::default()) }
    }

    /// The header for a request, as far as it is known.
    pub(crate) async fn header(&self, scopes: &[String]) -> Option<HeaderValue> {
        let state = self.state.lock().await;
        match (&state.challenge, state.answered.as_ref().unwrap_or(&self.credentials)) {
            (_, Credentials::RegistryToken(token)) => secret(format!("Bearer {token}")),
            (Some(Challenge::Basic), Credentials::Basic { username, password }) => basic(username, password),
            (Some(Challenge::Bearer { .. }), _) => state.valid(scopes).map(|token| token.header.clone()),
            _ => None,
        }
    }

    /// Handles a 401: obtains the authorization that the registry wants. `used` is the refused header.
    ///
    /// Returns false when there is nothing new to send.
    pub(crate) async fn answer(
        &self,
        endpoint: &Endpoint,
        challenge: Challenge,
        used: Option<&HeaderValue>,
        scopes: &[String],
    ) -> Result<bool, Reason> {
        let mut state = self.state.lock().await;
        if let (Credentials::Asked(asker), None) = (&self.credentials, &state.answered) {
            let answer = asker.0.ask(&endpoint.authority).await.map_err(Reason::Unauthorized)?;
            state.answered = Some(answer);
        }
        let credentials = state.answered.clone().unwrap_or_else(|| self.credentials.clone());
        if let Credentials::RegistryToken(token) = &credentials {
            // The token was just fetched and not sent yet.
            return Ok(used.is_none() && secret(format!("Bearer {token}")).is_some());
        }
        if let Some(token) = state.valid(scopes)
            && used != Some(&token.header)
        {
            return Ok(true); // Another request was quicker.
        }
        let fresh = match &challenge {
            Challenge::Basic if credentials == Credentials::Anonymous => return Err(Reason::NoCredentials),
            Challenge::Basic => used.is_none() && matches!(credentials, Credentials::Basic { .. }),
            Challenge::Bearer { realm, service, scope } => {
                let wanted = wanted_scopes(scope.as_deref(), scopes);
                let token = fetch(&credentials, endpoint, realm, service.as_deref(), &wanted).await?;
                state.tokens.retain(|(known, _)| known != scopes);
                state.tokens.push((scopes.to_vec(), token));
                true
            }
        };
        state.challenge = Some(challenge);
        Ok(fresh)
    }
}

/// Fetches a token for `scopes` with `credentials`.
async fn fetch(
    credentials: &Credentials,
    endpoint: &Endpoint,
    realm: &str,
    service: Option<&str>,
    scopes: &[String],
) -> Result<Token, Reason> {
    let url = Url::parse(realm).map_err(|_| Reason::Address(realm.to_owned()))?;
    if !endpoint.may_see_secrets(&url) && *credentials != Credentials::Anonymous {
        return Err(Reason::ClearText(authority_of(&url)));
    }
    let authority = authority_of(&url);
    let client = match endpoint.is_at(&url) {
        true => endpoint.client.clone(),
        false => {
            let insecure = endpoint.remote.settings().may_be_insecure(&authority);
            endpoint
                .remote
                .client(&authority, insecure)
                .map_err(|error| Reason::Protocol(error.to_string()))?
        }
    };
    let request = match credentials {
        Credentials::IdentityToken(token) => post_form(&client, url, service, scopes, token),
        Credentials::Basic { username, password } => {
            let request = client.get(get_url(url, service, scopes, Some(username)));
            match basic(username, password) {
                Some(header) => request.header(AUTHORIZATION, header),
                None => return Err(Reason::Unauthorized("the password cannot be sent".into())),
            }
        }
        Credentials::Anonymous | Credentials::RegistryToken(_) | Credentials::Asked(_) => {
            client.get(get_url(url, service, scopes, None))
        }
    };
    let idle = endpoint.remote.settings().idle_timeout;
    tokio::time::timeout(idle, read_token(request)).await.map_err(|_| Reason::Silent(idle))?
}

impl State {
    fn valid(&self, scopes: &[String]) -> Option<&Token> {
        let now = Instant::now();
        self.tokens
            .iter()
            .find(|(known, token)| known == scopes && token.expires > now)
            .map(|(_, token)| token)
    }
}

/// The scopes to request: those of this client, and the others that the registry named.
fn wanted_scopes(asked: Option<&str>, ours: &[String]) -> Vec<String> {
    let mut wanted = ours.to_vec();
    for scope in asked.unwrap_or_default().split_whitespace() {
        let object = scope.rsplit_once(':').map_or(scope, |(object, _)| object);
        if !wanted.iter().any(|ours| ours.rsplit_once(':').is_some_and(|(known, _)| known == object)) {
            wanted.push(scope.to_owned());
        }
    }
    wanted
}

fn get_url(mut url: Url, service: Option<&str>, scopes: &[String], account: Option<&str>) -> Url {
    {
        let mut query = url.query_pairs_mut();
        for scope in scopes {
            query.append_pair("scope", scope);
        }
        if let Some(service) = service {
            query.append_pair("service", service);
        }
        if let Some(account) = account {
            query.append_pair("account", account);
        }
    }
    url
}

fn post_form(
    client: &reqwest::Client,
    url: Url,
    service: Option<&str>,
    scopes: &[String],
    refresh_token: &str,
) -> RequestBuilder {
    // The URL type encodes the form, which has the same rules.
    let mut form = Url::parse("form:").expect("a constant address");
    form.query_pairs_mut()
        .append_pair("grant_type", "refresh_token")
        .append_pair("service", service.unwrap_or_default())
        .append_pair("scope", &scopes.join(" "))
        .append_pair("client_id", "gantry")
        .append_pair("refresh_token", refresh_token);
    client
        .post(url)
        .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(form.query().unwrap_or_default().to_owned())
}

async fn read_token(request: RequestBuilder) -> Result<Token, Reason> {
    let asked = Instant::now();
    let mut response = request.send().await.map_err(Reason::transport)?;
    let status = response.status();
    let body = read_limited(&mut response, TOKEN_LIMIT).await?;
    if !status.is_success() {
        return Err(match Reason::status(status, response.headers(), &body) {
            // Only these say that the token server refuses the user; a 404, for example, says something else.
            Reason::Refused { message, .. } | Reason::Denied(message) => Reason::Unauthorized(message),
            other => other,
        });
    }
    let answer: TokenAnswer = serde_json::from_slice(&body)
        .map_err(|error| Reason::Protocol(format!("the token server's answer is not readable: {error}")))?;
    let token = if answer.token.is_empty() { answer.access_token } else { answer.token };
    let header = secret(format!("Bearer {token}")).filter(|_| !token.is_empty());
    let header = header.ok_or_else(|| Reason::Protocol("the token server gave no token".into()))?;
    let life = answer
        .expires_in
        .map_or(DEFAULT_LIFE, Duration::from_secs)
        .clamp(DEFAULT_LIFE, Duration::from_secs(86_400));
    Ok(Token { header, expires: asked + life - MARGIN })
}

/// Reads a body to its end; a longer one than `limit` is an error.
pub(crate) async fn read_limited(response: &mut Response, limit: usize) -> Result<Vec<u8>, Reason> {
    let too_long = || Reason::Protocol(format!("an answer of more than {limit} bytes"));
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(too_long());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Reason::transport)? {
        if body.len() + chunk.len() > limit {
            return Err(too_long());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn basic(username: &str, password: &str) -> Option<HeaderValue> {
    secret(format!("Basic {}", STANDARD.encode(format!("{username}:{password}"))))
}

fn secret(value: String) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registrys_scope_is_added_only_when_it_is_another_object() {
        let ours = vec!["repository:a/b:pull,push".to_owned()];
        assert_eq!(wanted_scopes(Some("repository:a/b:pull"), &ours), ours);
        assert_eq!(wanted_scopes(Some("registry:catalog:*"), &ours).len(), 2);
    }

    #[test]
    fn credentials_do_not_print_their_secret() {
        let credentials = Credentials::Basic { username: "u".into(), password: "hunter2".into() };
        assert!(!format!("{credentials:?}").contains("hunter2"));
        assert!(!format!("{:?}", basic("u", "hunter2")).contains("aHVudGVyMg"));
    }

    #[test]
    fn queries_are_encoded() {
        let url = Url::parse("https://t/token?x=1").expect("an address");
        let url = get_url(url, Some("a b"), &["repository:a/b:pull,push".into()], Some("me&you"));
        assert_eq!(
            url.as_str(),
            "https://t/token?x=1&scope=repository%3Aa%2Fb%3Apull%2Cpush&service=a+b&account=me%26you"
        );
    }
}
