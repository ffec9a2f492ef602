//! A host that may serve a repository: its address, scheme, connections and authorization.

use parking_lot::Mutex;
use reqwest::Url;
use reqwest::header::HeaderMap;

use crate::Client;
use crate::auth::{Authorisation, Credentials};
use crate::error::Error;
use crate::failure::Reason;
use crate::settings::is_loopback;

/// The purpose of opening a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading, also from mirrors.
    Pull,
    /// Writing and reading, at the registry itself only.
    Push,
    /// Checking credentials at the registry itself, without a repository.
    Login,
}

/// A host, and what is known about it.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) authority: String,
    /// The headers of every request to the host.
    pub(crate) headers: HeaderMap,
    /// The path before `/v2/`; empty except for some mirrors.
    prefix: String,
    insecure: bool,
    /// Guards the scheme: the fixed one, or the one that has worked.
    scheme: Mutex<Option<Scheme>>,
    pub(crate) client: reqwest::Client,
    pub(crate) authorisation: Authorisation,
    pub(crate) remote: Client,
}

/// The scheme of a host's URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Over TLS.
    Https,
    /// In the clear.
    Http,
}

/// How to reach the registry, where the caller knows more than the settings.
#[derive(Clone, Debug, Default)]
pub struct Transport {
    /// The only scheme to use. With plain HTTP, secrets are sent in the clear; the caller has been warned.
    pub scheme: Option<Scheme>,
    /// The headers of every request.
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
    /// The registry `domain` of a reference.
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

    /// A mirror by its configured base URL: `https://host[:port][/prefix]`, or without a scheme.
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

    /// The schemes to try, in order.
    pub(crate) fn schemes(&self) -> Vec<Scheme> {
        match *self.scheme.lock() {
            Some(scheme) => vec![scheme],
            None => vec![Scheme::Https, Scheme::Http],
        }
    }

    /// Remembers the scheme that has worked.
    pub(crate) fn settle(&self, scheme: Scheme) {
        *self.scheme.lock() = Some(scheme);
    }

    /// The URL of `path`, which begins with `/v2/`, with `scheme`.
    pub(crate) fn url(&self, scheme: Scheme, path: &str) -> Result<Url, Reason> {
        let text = format!("{}://{}{}{path}", scheme.name(), self.authority, self.prefix);
        Url::parse(&text).map_err(|_| Reason::Address(text))
    }

    /// The path of `link` in a response to `path`, without the prefix of the host before `/v2/`; `None` if it leads
    /// to another host.
    pub(crate) fn below(&self, path: &str, link: &str) -> Option<String> {
        let url = self.url(Scheme::Https, path).ok()?.join(link).ok()?;
        let path = url.path().strip_prefix(self.prefix.as_str()).unwrap_or(url.path());
        if !self.is_at(&url) || !path.starts_with("/v2/") {
            return None;
        }
        Some(url.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}")))
    }

    /// Whether `url` leads to this host, however its name and port are written.
    pub(crate) fn is_at(&self, url: &Url) -> bool {
        Url::parse(&format!("{}://{}", url.scheme(), self.authority)).is_ok_and(|own| {
            own.host() == url.host() && own.port_or_known_default() == url.port_or_known_default()
        })
    }

    /// Whether a secret may be sent to `url`: over TLS always; in the clear only on this machine, to a host that is
    /// configured as insecure, or to the very host that is used without TLS anyway.
    pub(crate) fn may_see_secrets(&self, url: &Url) -> bool {
        let authority = authority_of(url);
        url.scheme() == "https"
            || is_loopback(&authority)
            || (self.insecure && self.is_at(url))
            || self.remote.settings().may_be_insecure(&authority)
    }
}

/// `host[:port]` of a URL, which names the directory of certificates.
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
    fn a_link_is_followed_at_this_host_only() {
        let remote = Client::new(Settings { certificate_directories: Vec::new(), ..Settings::default() });
        let mirror = Endpoint::mirror(&remote, "https://mirror.example/hub").expect("an address");
        let own = |link: &str| mirror.below("/v2/a/tags/list", link);
        let next = Some("/v2/a/tags/list?last=x&n=2");
        for link in [
            "/v2/a/tags/list?last=x&n=2",
            "/hub/v2/a/tags/list?last=x&n=2",
            "list?last=x&n=2",
            "https://mirror.example/hub/v2/a/tags/list?last=x&n=2",
            // A registry that does not know of the TLS proxy before it writes this.
            "http://mirror.example/hub/v2/a/tags/list?last=x&n=2",
        ] {
            assert_eq!(own(link).as_deref(), next, "{link}");
        }
        for link in
            ["https://other.example/hub/v2/a/tags/list", "/elsewhere", "//other.example/v2/", "../../.."]
        {
            assert_eq!(own(link), None, "{link}");
        }
    }

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
