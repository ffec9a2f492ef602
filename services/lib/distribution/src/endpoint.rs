//! One host that may answer for a repository: its address, scheme, connections and authorisation.

use std::sync::Mutex;

use reqwest::Url;
use reqwest::header::HeaderMap;

use crate::Client;
use crate::auth::{Authorisation, Credentials};
use crate::error::Error;
use crate::failure::Reason;
use crate::settings::is_loopback;

/// What a repository is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading, from mirrors too.
    Pull,
    /// Writing (and reading), at the registry itself only.
    Push,
    /// Showing credentials to the registry itself, for no repository in it.
    Login,
}

/// A host and everything that is known about how to speak with it.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) authority: String,
    /// What every request to the host carries.
    pub(crate) headers: HeaderMap,
    /// Between the host and `/v2/`; empty but for some mirrors.
    prefix: String,
    insecure: bool,
    /// Guards one word: the scheme that is fixed, or has proved itself.
    scheme: Mutex<Option<Scheme>>,
    pub(crate) client: reqwest::Client,
    pub(crate) authorisation: Authorisation,
    pub(crate) remote: Client,
}

/// How a host is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Over TLS.
    Https,
    /// In the clear.
    Http,
}

/// How the registry itself is to be spoken with, where a caller knows better than the settings.
#[derive(Clone, Debug, Default)]
pub struct Transport {
    /// This way only. In the clear, secrets too: whoever says so has been told.
    pub scheme: Option<Scheme>,
    /// What every request carries.
    pub headers: HeaderMap,
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }
}

impl Endpoint {
    /// The registry that references call `domain`.
    pub(crate) fn registry(
        remote: &Client,
        domain: &str,
        credentials: Credentials,
        transport: Transport,
    ) -> Result<Self, Error> {
        let authority = match domain {
            "docker.io" | "index.docker.io" => "registry-1.docker.io",
            other => other,
        };
        let mut endpoint = Self::new(remote, authority, String::new(), transport.scheme, credentials)?;
        endpoint.insecure |= transport.scheme == Some(Scheme::Http);
        endpoint.headers = transport.headers;
        Ok(endpoint)
    }

    /// A mirror by its configured base address: `https://host[:port][/prefix]`, or without a scheme.
    pub(crate) fn mirror(remote: &Client, base: &str) -> Result<Self, Error> {
        let (scheme, rest) = match base.split_once("://") {
            Some(("https", rest)) => (Some(Scheme::Https), rest),
            Some(("http", rest)) => (Some(Scheme::Http), rest),
            Some(_) => return Err(Error::Mirror(base.to_owned())),
            None => (None, base),
        };
        let (authority, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("/{prefix}") };
        Self::new(remote, authority, prefix, scheme, Credentials::Anonymous)
    }

    fn new(
        remote: &Client,
        authority: &str,
        prefix: String,
        scheme: Option<Scheme>,
        credentials: Credentials,
    ) -> Result<Self, Error> {
        let insecure = remote.settings().may_be_insecure(authority);
        let scheme = scheme.or(if insecure { None } else { Some(Scheme::Https) });
        Ok(Self {
            authority: authority.to_owned(),
            headers: HeaderMap::new(),
            prefix,
            insecure,
            scheme: Mutex::new(scheme),
            client: remote.client(authority, insecure)?,
            authorisation: Authorisation::new(credentials),
            remote: remote.clone(),
        })
    }

    /// The schemes to try, in their order.
    pub(crate) fn schemes(&self) -> Vec<Scheme> {
        match *self.scheme.lock().expect("no holder of this lock panics") {
            Some(scheme) => vec![scheme],
            None => vec![Scheme::Https, Scheme::Http],
        }
    }

    /// Remembers the scheme that answered.
    pub(crate) fn settle(&self, scheme: Scheme) {
        *self.scheme.lock().expect("no holder of this lock panics") = Some(scheme);
    }

    /// The address of `path` (which begins with `/v2/`) under `scheme`.
    pub(crate) fn url(&self, scheme: Scheme, path: &str) -> Result<Url, Reason> {
        let text = format!("{}://{}{}{path}", scheme.name(), self.authority, self.prefix);
        Url::parse(&text).map_err(|_| Reason::Address(text))
    }

    /// Whether `url` leads to this host, however its name and port are written.
    pub(crate) fn is_at(&self, url: &Url) -> bool {
        Url::parse(&format!("{}://{}", url.scheme(), self.authority)).is_ok_and(|own| {
            own.host() == url.host() && own.port_or_known_default() == url.port_or_known_default()
        })
    }

    /// Whether a secret may be sent to `url`: over TLS always, in the clear only within this machine, to a host
    /// that was declared insecure, or to the very host that is spoken to in the clear anyway.
    pub(crate) fn may_see_secrets(&self, url: &Url) -> bool {
        let authority = authority_of(url);
        url.scheme() == "https"
            || is_loopback(&authority)
            || (self.insecure && self.is_at(url))
            || self.remote.settings().may_be_insecure(&authority)
    }
}

/// `host[:port]` of an address, as certificates' directories are named.
pub(crate) fn authority_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;

    #[test]
    fn a_host_is_known_however_its_name_and_port_are_written() {
        let remote = Client::new(Settings { certificate_directories: Vec::new(), ..Settings::default() });
        let endpoint = |domain: &str| {
            Endpoint::registry(&remote, domain, Credentials::Anonymous, Transport::default())
                .expect("an address")
        };
        let at = |domain: &str, url: &str| endpoint(domain).is_at(&Url::parse(url).expect("an address"));
        assert!(at("registry.example:443", "https://registry.example/v2/"));
        assert!(at("registry.example", "https://registry.example:443/v2/"));
        assert!(at("Registry.example:5000", "https://registry.example:5000/v2/"));
        assert!(!at("registry.example:5000", "https://registry.example/v2/"));
        assert!(!at("registry.example", "https://other.example/v2/"));
    }
}
