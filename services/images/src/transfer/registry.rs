//! A registry as a transfer names it: how it is reached, and who is asked for credentials.

use futures::future::BoxFuture;
use gantry_proto::containerd::types::transfer as pb;
use gantry_types::{Namespace, Reference};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::Mutex;

use super::Transfers;
use crate::error::Error;
use crate::streams::Stream;
use gantry_distribution::{Access, Ask, Asker, Client, Credentials, Repository, Scheme, Transport};

/// An image at a registry.
#[derive(Debug)]
pub struct Source {
    /// The reference as the client wrote it.
    pub text: String,
    /// The same, read.
    pub reference: Reference,
    /// The repository.
    pub repository: Repository,
}

impl Source {
    /// The tag or digest that is meant.
    pub fn object(&self) -> Result<String, Error> {
        match (self.reference.digest(), self.reference.tag()) {
            (Some(digest), _) => Ok(digest.to_string()),
            (None, Some(tag)) => Ok(tag.to_owned()),
            (None, None) => Err(Error::Request(format!("{}: a tag or a digest is required", self.text))),
        }
    }

    /// What the registry's side of a transfer is called.
    pub fn name(&self) -> String {
        format!("OCI Registry ({})", self.text)
    }
}

impl Transfers {
    /// Opens the image that a transfer names at a registry.
    pub(super) fn registry(
        &self,
        namespace: &Namespace,
        remote: &Client,
        registry: pb::OciRegistry,
        access: Access,
    ) -> Result<Source, Error> {
        let pb::OciRegistry { reference: text, resolver } = registry;
        let reference = Reference::parse_normalized(&text)?;
        let resolver = resolver.unwrap_or_default();
        let manner = manner(&resolver)?;
        let credentials = match resolver.auth_stream.as_str() {
            "" => Credentials::Anonymous,
            id => {
                let stream = Mutex::new(self.streams.take(namespace.as_str(), id)?);
                Credentials::Asked(Asker::new(AskedCaller { stream, reference: text.clone() }))
            }
        };
        let (domain, path) = (reference.domain(), reference.path());
        let repository = remote.repository_in(domain, path, credentials, access, manner)?;
        Ok(Source { text, reference, repository })
    }
}

fn manner(resolver: &pb::RegistryResolver) -> Result<Transport, Error> {
    if !resolver.host_dir.is_empty() {
        let what = format!("the hosts directory {}", resolver.host_dir);
        return Err(Error::Elsewhere { what, how: "mirrors and certificates are set in images.toml" });
    }
    if resolver.http_debug() != pb::HttpDebug::Disabled {
        return Err(Error::Unsupported("a dump of the registry's requests".into()));
    }
    let scheme = match resolver.default_scheme.as_str() {
        "" => None,
        "https" => Some(Scheme::Https),
        "http" => Some(Scheme::Http),
        other => return Err(Error::Request(format!("registries are not spoken with by {other:?}"))),
    };
    let mut headers = HeaderMap::new();
    for (name, value) in &resolver.headers {
        let invalid = || Error::Request(format!("header {name:?} cannot be sent"));
        let name = HeaderName::try_from(name).map_err(|_| invalid())?;
        headers.insert(name, HeaderValue::try_from(value).map_err(|_| invalid())?);
    }
    Ok(Transport { scheme, headers })
}

/// The client, who has the credentials.
#[derive(Debug)]
struct AskedCaller {
    /// Held from a question to its answer.
    stream: Mutex<Stream>,
    reference: String,
}

impl Ask for AskedCaller {
    fn ask<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Credentials, String>> {
        Box::pin(async move {
            let mut stream = self.stream.lock().await;
            let (host, reference) = (host.to_owned(), self.reference.clone());
            let question = pb::AuthRequest { host, reference, ..Default::default() };
            let gone = || "the client does not say its credentials".to_owned();
            stream.send(gantry_proto::pack(&question)).await.map_err(|_| gone())?;
            let answer = stream.next().await.ok_or_else(gone)?;
            match gantry_proto::unpack::<pb::AuthResponse>(&answer) {
                Some(Ok(answer)) => credentials(answer),
                _ => Err("the client's answer is no credentials".into()),
            }
        })
    }
}

fn credentials(answer: pb::AuthResponse) -> Result<Credentials, String> {
    let kind = answer.auth_type();
    let pb::AuthResponse { username, secret, .. } = answer;
    Ok(match kind {
        pb::AuthType::None => Credentials::Anonymous,
        pb::AuthType::Credentials if username.is_empty() && secret.is_empty() => Credentials::Anonymous,
        pb::AuthType::Credentials => Credentials::Basic { username, password: secret },
        pb::AuthType::Refresh if secret.is_empty() => Credentials::Anonymous,
        pb::AuthType::Refresh => Credentials::IdentityToken(secret),
        pb::AuthType::Header => match secret.strip_prefix("Bearer ") {
            Some(token) => Credentials::RegistryToken(token.to_owned()),
            None => return Err("a header for authorization has to begin with Bearer".into()),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_says_who_it_is_in_several_ways() {
        let answer = |kind: pb::AuthType, username: &str, secret: &str| {
            credentials(pb::AuthResponse {
                auth_type: kind.into(),
                username: username.into(),
                secret: secret.into(),
                ..Default::default()
            })
        };
        let basic = Credentials::Basic { username: "u".into(), password: "p".into() };
        assert_eq!(answer(pb::AuthType::Credentials, "u", "p"), Ok(basic));
        assert_eq!(answer(pb::AuthType::Refresh, "", "r"), Ok(Credentials::IdentityToken("r".into())));
        // What ctr answers when it was given none.
        assert_eq!(answer(pb::AuthType::Refresh, "", ""), Ok(Credentials::Anonymous));
        assert_eq!(answer(pb::AuthType::Header, "", "Bearer t"), Ok(Credentials::RegistryToken("t".into())));
        assert!(answer(pb::AuthType::Header, "", "Digest t").is_err());
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        let manner = |resolver: pb::RegistryResolver| manner(&resolver).map(|manner| manner.scheme);
        let scheme = |text: &str| pb::RegistryResolver { default_scheme: text.into(), ..Default::default() };
        assert_eq!(manner(scheme("http")).expect("understood"), Some(Scheme::Http));
        assert_eq!(manner(scheme("")).expect("understood"), None);
        assert!(matches!(manner(scheme("ftp")), Err(Error::Request(_))));
        let hosts = pb::RegistryResolver { host_dir: "/etc/hosts.d".into(), ..Default::default() };
        assert!(matches!(manner(hosts), Err(Error::Elsewhere { .. })));
    }
}
