//! A client of OCI registries (Distribution 1.1, Docker's registry v2).
//!
//! [`Client`] is made once for the process: it holds the settings and one pool of connections per host.
//! [`Repository`] is one repository with one set of credentials for the time of one pull or push: it finds the
//! host that answers (mirrors first, then the registry itself; HTTPS first, plain HTTP only where a host is allowed
//! to be insecure), keeps tokens, retries what is worth retrying and verifies every manifest's digest.
//!
//! Invariant: nothing that a registry says is believed. Lengths are bounded, digests are computed, credentials go to
//! the registry's own host and to the token server that it names, never in the clear when it answered over TLS.

mod auth;
mod blob;
mod challenge;
mod endpoint;
mod error;
mod failure;
mod fetch;
mod manifest;
mod push;
mod retry;
mod send;
mod settings;
mod tls;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

pub use auth::{Ask, Asker, Credentials};
pub use blob::BlobBody;
pub use endpoint::{Access, Scheme, Transport};
pub use error::Error;
pub use failure::{Failure, Reason};
pub use fetch::Download;
pub use manifest::{MANIFEST_LIMIT, Manifest};
pub use push::{Mounted, Payload};
pub use settings::Settings;

use endpoint::Endpoint;
use gantry_tls::Trust;
use retry::Budget;

/// The process's registry client: settings and pools of connections. A cheap clone.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: Settings,
    /// Guards the map only; a client is a cheap handle on a pool.
    clients: Mutex<HashMap<String, (Trust, reqwest::Client)>>,
}

impl Client {
    /// Makes a client; connects nowhere.
    pub fn new(settings: Settings) -> Self {
        // A second installation fails, and the first one serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { inner: Arc::new(Inner { settings, clients: Mutex::new(HashMap::new()) }) }
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Opens `path` at the registry `domain` (as in a reference: `docker.io`, `127.0.0.1:5000`).
    ///
    /// Reads the host's certificates from disk, so that a CA which was just put there counts; fails when they
    /// cannot be read or parsed.
    pub fn repository(
        &self,
        domain: &str,
        path: &str,
        credentials: Credentials,
        access: Access,
    ) -> Result<Repository, Error> {
        self.repository_in(domain, path, credentials, access, Transport::default())
    }

    /// As [`repository`](Self::repository), spoken with in a certain way.
    pub fn repository_in(
        &self,
        domain: &str,
        path: &str,
        credentials: Credentials,
        access: Access,
        transport: Transport,
    ) -> Result<Repository, Error> {
        let mut endpoints = Vec::new();
        if access == Access::Pull {
            for mirror in self.inner.settings.mirrors_of(domain) {
                endpoints.push(Endpoint::mirror(self, &mirror)?);
            }
        }
        endpoints.push(Endpoint::registry(self, domain, credentials, transport)?);
        Ok(Repository {
            domain: domain.to_owned(),
            path: path.to_owned(),
            access,
            also_read: None,
            endpoints: Arc::new(endpoints),
            budget: Budget::new(self.inner.settings.retries),
            settings: self.inner.settings.clone(),
        })
    }

    /// The pool of connections for `authority`, made anew when its certificates on disk changed.
    fn client(&self, authority: &str, insecure: bool) -> Result<reqwest::Client, Error> {
        let trust = tls::load(&self.inner.settings.certificate_directories, authority, insecure)?;
        let mut clients = self.inner.clients.lock().expect("no holder of this lock panics");
        if let Some((known, client)) = clients.get(authority)
            && *known == trust
        {
            return Ok(client.clone());
        }
        let client = tls::client(&trust, authority, insecure, &self.inner.settings)?;
        clients.insert(authority.to_owned(), (trust, client.clone()));
        Ok(client)
    }
}

/// One repository at one registry, for one operation. A cheap clone that shares tokens and the retry budget.
#[derive(Clone, Debug)]
pub struct Repository {
    domain: String,
    path: String,
    access: Access,
    /// A second repository that the token shall be able to read (the source of a mount).
    also_read: Option<String>,
    endpoints: Arc<Vec<Endpoint>>,
    budget: Budget,
    settings: Settings,
}

impl Repository {
    /// The registry's name as it stands in references.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository's path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The same repository with tokens that may also read `path` of the same registry.
    pub fn reading(&self, path: &str) -> Self {
        Self { also_read: Some(path.to_owned()), ..self.clone() }
    }

    /// The same repository with a retry budget of its own: what one blob suffers is not to cost another's chances.
    fn afresh(&self) -> Self {
        Self { budget: Budget::new(self.settings.retries), ..self.clone() }
    }

    fn scopes(&self) -> Vec<String> {
        let actions = match self.access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
            Access::Login => return Vec::new(),
        };
        let mut scopes = vec![format!("repository:{}:{actions}", self.path)];
        scopes.extend(self.also_read.iter().map(|path| format!("repository:{path}:pull")));
        scopes
    }
}
