//! A client of OCI registries (Distribution 1.1, Docker's registry v2).
//!
//! A process makes one [`Client`]: it has the settings and one pool of connections for each host. A [`Repository`] is
//! one repository with one set of credentials during one pull or push. It finds the host that answers (mirrors before
//! the registry itself; HTTPS before plain HTTP, which only hosts that are configured as insecure may speak), keeps
//! tokens, retries, and verifies the digest of every manifest.
//!
//! Invariant: the client trusts nothing that a registry says. It bounds lengths and computes digests. It sends
//! credentials only to the registry's own host and to the token server that the registry names, and never in the
//! clear to a host that has answered over TLS.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "the work of a test ends with it"))]

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
use std::sync::Arc;

use parking_lot::Mutex;

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

/// The registry client of the process: settings and pools of connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: Settings,
    /// Guards the map only; a client is a cheap handle of a pool.
    clients: Mutex<HashMap<String, (Trust, reqwest::Client)>>,
}

impl Client {
    /// Makes a client; connects to no host.
    pub fn new(settings: Settings) -> Self {
        // A second installation fails, and the first one serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { inner: Arc::new(Inner { settings, clients: Mutex::new(HashMap::new()) }) }
    }

    /// The settings of the client.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Opens the repository `path` at the registry `domain` (as in references: `docker.io`, `127.0.0.1:5000`).
    ///
    /// Reads the host's certificates from disk each time, so that a new CA counts at once. Fails when they cannot be
    /// read or parsed.
    pub fn repository(
        &self,
        domain: &str,
        path: &str,
        credentials: Credentials,
        access: Access,
    ) -> Result<Repository, Error> {
        self.repository_in(domain, path, credentials, access, Transport::default())
    }

    /// As [`repository`](Self::repository), with a given way to reach the registry.
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

    /// The pool of connections for `authority`, made again when its certificates on disk have changed.
    fn client(&self, authority: &str, insecure: bool) -> Result<reqwest::Client, Error> {
        let trust = tls::load(&self.inner.settings.certificate_directories, authority, insecure)?;
        let mut clients = self.inner.clients.lock();
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

/// One repository at one registry, for one operation. Cheap to clone; clones share tokens and the retry budget.
#[derive(Clone, Debug)]
pub struct Repository {
    domain: String,
    path: String,
    access: Access,
    /// A second repository that the token may read: the source of a mount.
    also_read: Option<String>,
    endpoints: Arc<Vec<Endpoint>>,
    budget: Budget,
    settings: Settings,
}

impl Repository {
    /// The registry, as references name it.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository's path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The same repository with tokens that may also read `path` at the same registry.
    pub fn reading(&self, path: &str) -> Self {
        Self { also_read: Some(path.to_owned()), ..self.clone() }
    }

    /// The same repository with a retry budget of its own, so that the failures of one blob do not use up another's
    /// attempts.
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
