//! Requests to registries, and credentials.

use std::fmt;

use gantry_types::{Descriptor, Platform, Reference};

/// Credentials for a registry. They are not shown when they are printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Credentials {
    /// No credentials.
    #[default]
    Anonymous,
    /// A name and a password.
    Basic {
        /// The name.
        username: String,
        /// The password.
        password: String,
    },
    /// A refresh token, for the registry's token server.
    IdentityToken(String),
    /// A token for the registry itself.
    RegistryToken(String),
}

impl Credentials {
    /// The most specific credentials of those that a client sent; an empty text counts as absent.
    pub fn of(username: String, password: String, identity_token: String, registry_token: String) -> Self {
        if !registry_token.is_empty() {
            Self::RegistryToken(registry_token)
        } else if !identity_token.is_empty() {
            Self::IdentityToken(identity_token)
        } else if !username.is_empty() {
            Self::Basic { username, password }
        } else {
            Self::Anonymous
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Basic { .. } => "Basic(…)",
            Self::IdentityToken(_) => "IdentityToken(…)",
            Self::RegistryToken(_) => "RegistryToken(…)",
        })
    }
}

/// A request to pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullSpec {
    /// The name. Without a tag and a digest it means `latest`, or all tags.
    pub reference: Reference,
    /// The platform; `None` for this host's.
    pub platform: Option<Platform>,
    /// The caller's credentials.
    pub credentials: Credentials,
    /// Whether to pull every tag of the repository.
    pub all_tags: bool,
    /// The snapshotter that unpacks the image; `None` for the default one.
    pub snapshotter: Option<String>,
}

impl PullSpec {
    /// A pull without credentials, for this host.
    pub fn of(reference: Reference) -> Self {
        Self {
            reference,
            platform: None,
            credentials: Credentials::Anonymous,
            all_tags: false,
            snapshotter: None,
        }
    }
}

/// A request to push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushSpec {
    /// The name. Without a tag and a digest it means all tags of the repository that exist here.
    pub reference: Reference,
    /// The only platform to push; `None` for all that are complete here.
    pub platform: Option<Platform>,
    /// The caller's credentials.
    pub credentials: Credentials,
}

/// The target of a name at a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    /// The index or manifest.
    pub descriptor: Descriptor,
    /// The platforms that it is for.
    pub platforms: Vec<Platform>,
}

/// A registry that the settings name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    /// The registry's host as in references: `docker.io`, `localhost:5000`.
    pub host: String,
    /// Base addresses of mirrors that are tried first.
    pub mirrors: Vec<String>,
    /// Whether connections without TLS, or with any certificate, are allowed.
    pub insecure: bool,
}
