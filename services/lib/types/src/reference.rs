//! Image references: `[domain/]path[:tag][@digest]`, normalised as Docker does.
//!
//! ```text
//! ubuntu                    docker.io/library/ubuntu
//! user/app:1                docker.io/user/app:1
//! localhost/app             localhost/app              a first part is a domain if it is `localhost`,
//! host:5000/app             host:5000/app              has a `.` or a `:`, or has upper case
//! index.docker.io/x         docker.io/library/x
//! ```
//!
//! `Display` gives the canonical form, under which images are stored; [`Reference::familiar`] the form for people.

use std::fmt;
use std::str::FromStr;

use crate::{Digest, Error, Result};

const DEFAULT_DOMAIN: &str = "docker.io";
const LEGACY_DOMAIN: &str = "index.docker.io";
const OFFICIAL_PREFIX: &str = "library/";
const DEFAULT_TAG: &str = "latest";
const MAX_PATH: usize = 255;
const MAX_TAG: usize = 128;

/// A normalised image reference. With a digest, the digest identifies the image, and a tag only informs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Parses a user's reference; adds `docker.io` and `library/`, but no tag: see [`Reference::with_default_tag`].
    ///
    /// Refuses 64 hex digits alone, because they are an image's id.
    pub fn parse_normalized(text: &str) -> Result<Self> {
        if text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return refuse(format!(
                "repository name ({text}) cannot be 64 hexadecimal digits, which are an image id"
            ));
        }
        let (domain, remainder) = split_domain(text);
        let (name, digest) = match remainder.split_once('@') {
            Some((name, digest)) => {
                (name, Some(digest.parse::<Digest>().map_err(|e| reference_error(e.to_string()))?))
            }
            None => (remainder.as_str(), None),
        };
        // The domain is split off: a colon after the last slash begins a tag.
        let (path, tag) = match name.rfind(':').filter(|colon| !name[*colon..].contains('/')) {
            Some(colon) => (&name[..colon], Some(&name[colon + 1..])),
            None => (name, None),
        };
        if path.bytes().any(|b| b.is_ascii_uppercase()) {
            return refuse(format!("repository name ({path}) must be lowercase"));
        }
        if path.len() > MAX_PATH {
            return refuse(format!("repository name must not be more than {MAX_PATH} characters"));
        }
        if !is_domain(domain) {
            return refuse(format!("{domain:?} is not a registry's host[:port]"));
        }
        if !path.split('/').all(is_path_component) {
            return refuse(format!("{path:?} is not a repository name"));
        }
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
            return refuse(format!("{:?} is not a tag", tag.chars().take(MAX_TAG).collect::<String>()));
        }
        Ok(Reference {
            domain: domain.to_owned(),
            path: path.to_owned(),
            tag: tag.map(str::to_owned),
            digest,
        })
    }

    /// The registry: `docker.io`, `host:port`.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository in it: `library/ubuntu`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag, if given.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if given.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Domain and path: `docker.io/library/ubuntu`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// The name without its default parts: `ubuntu`, `user/app`, `host:5000/app`.
    pub fn familiar_name(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return self.name();
        }
        match self.path.strip_prefix(OFFICIAL_PREFIX).filter(|rest| !rest.contains('/')) {
            Some(official) => official.to_owned(),
            None => self.path.clone(),
        }
    }

    /// The familiar form of the reference: `ubuntu:24.04`.
    pub fn familiar(&self) -> String {
        Suffixed { name: &self.familiar_name(), tag: self.tag(), digest: self.digest() }.to_string()
    }

    /// This reference, with tag `latest` if it has neither tag nor digest.
    #[must_use]
    pub fn with_default_tag(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some(DEFAULT_TAG.to_owned());
        }
        self
    }

    /// The same repository with another tag and without a digest.
    pub fn with_tag(&self, tag: &str) -> Result<Self> {
        if !is_tag(tag) {
            return refuse(format!("{:?} is not a tag", tag.chars().take(MAX_TAG).collect::<String>()));
        }
        Ok(Reference { tag: Some(tag.to_owned()), digest: None, ..self.clone() })
    }

    /// The same repository with a digest and without a tag.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Reference { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// The repository without tag and digest.
    #[must_use]
    pub fn without_tag_or_digest(&self) -> Self {
        Reference { tag: None, digest: None, ..self.clone() }
    }
}

fn refuse<T>(reason: String) -> Result<T> {
    Err(reference_error(reason))
}

fn reference_error(reason: String) -> Error {
    Error::Reference { reason }
}

fn split_domain(text: &str) -> (&str, String) {
    let Some((head, rest)) = text.split_once('/') else {
        return (DEFAULT_DOMAIN, format!("{OFFICIAL_PREFIX}{text}"));
    };
    let names_a_host =
        head == "localhost" || head.contains(['.', ':']) || head.chars().any(char::is_uppercase);
    let (domain, remainder) = if head == LEGACY_DOMAIN || head == DEFAULT_DOMAIN {
        (DEFAULT_DOMAIN, rest)
    } else if names_a_host {
        (head, rest)
    } else {
        (DEFAULT_DOMAIN, text)
    };
    if domain == DEFAULT_DOMAIN && !remainder.contains('/') {
        return (domain, format!("{OFFICIAL_PREFIX}{remainder}"));
    }
    (domain, remainder.to_owned())
}

/// `host[:port]`; the host is a dotted name or an IPv6 address in brackets.
fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.rfind(':').filter(|colon| !domain[*colon..].contains(']')) {
        Some(colon) => (&domain[..colon], Some(&domain[colon + 1..])),
        None => (domain, None),
    };
    let host_is_good = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(v6) => !v6.is_empty() && v6.bytes().all(|b| b.is_ascii_hexdigit() || b == b':'),
        None => host.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        }),
    };
    host_is_good && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

/// Words of `[a-z0-9]`, joined by `.`, `_`, `__` or any number of `-`.
fn is_path_component(component: &str) -> bool {
    let is_alphanumeric = |c: char| matches!(c, 'a'..='z' | '0'..='9');
    if !component.starts_with(is_alphanumeric) || !component.ends_with(is_alphanumeric) {
        return false;
    }
    component
        .split(is_alphanumeric)
        .all(|separator| matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-'))
}

fn is_tag(tag: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= MAX_TAG
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|b| is_word(b) || matches!(b, b'.' | b'-'))
}

struct Suffixed<'a> {
    name: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a Digest>,
}

impl fmt::Display for Suffixed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        if let Some(tag) = self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Reference::parse_normalized(text)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Suffixed { name: &self.name(), tag: self.tag(), digest: self.digest() }.fmt(f)
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
