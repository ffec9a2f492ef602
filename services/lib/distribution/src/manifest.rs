//! Manifests and tags: small documents, read as a whole, and verified by their digest.

use bytes::Bytes;
use gantry_types::{Algorithm, Descriptor, Digest, media_type};
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, LINK};
use serde::Deserialize;

use crate::auth::read_limited;
use crate::error::Error;
use crate::failure::Reason;
use crate::send::Ask;
use crate::{Failure, Repository};

/// The longest accepted manifest or index in bytes, the same as in other runtimes and registries.
pub const MANIFEST_LIMIT: usize = 4 << 20;

/// How many tags of a repository are read at most, and how many pages of them.
const TAGS_LIMIT: usize = 100_000;
const PAGES: usize = 1000;

/// A manifest or index from a registry.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The media type, the verified digest and the real size.
    pub descriptor: Descriptor,
    /// The bytes.
    pub bytes: Bytes,
}

const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json, \
    */*;q=0.1";

#[derive(Deserialize)]
struct MediaType {
    #[serde(rename = "mediaType", default)]
    media_type: String,
    #[serde(rename = "schemaVersion", default)]
    schema_version: u32,
    #[serde(default)]
    manifests: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Tags {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

impl Repository {
    /// Asks which manifest `reference` (tag or digest) names, without fetching it.
    ///
    /// `None` when the registry does not say: the caller then fetches the manifest.
    pub async fn head(&self, reference: &str) -> Result<Option<Descriptor>, Error> {
        let ask = self.manifest_ask(Method::HEAD, reference, "resolve");
        let response = match self.send(&ask, &mut |_| {}).await {
            Ok((response, _)) => response,
            // Some registries answer only GET: an error for HEAD proves nothing.
            Err(Failure { reason: Reason::NotFound(_) | Reason::Refused { .. }, .. }) => return Ok(None),
            Err(failure) => return Err(failure.into()),
        };
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let digest = header("docker-content-digest").and_then(|digest| digest.parse::<Digest>().ok());
        let size = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let kind = header("content-type").map(|kind| strip_parameters(kind).to_owned());
        Ok(match (digest, kind) {
            (Some(digest), Some(kind)) if media_type::is_manifest(&kind) || media_type::is_index(&kind) => {
                Some(Descriptor { media_type: kind, digest, size, annotations: Default::default() })
            }
            _ => None,
        })
    }

    /// Fetches the manifest or index that `reference` names.
    ///
    /// Fails when the digest is not `expected`, if given, and for more than [`MANIFEST_LIMIT`] bytes.
    pub async fn manifest(&self, reference: &str, expected: Option<&Digest>) -> Result<Manifest, Error> {
        let ask = self.manifest_ask(Method::GET, reference, "fetch manifest");
        let mut attempt = 0;
        let (kind, bytes) = loop {
            let (mut response, host) = self.send(&ask, &mut |_| {}).await?;
            if response.content_length().is_some_and(|length| length > MANIFEST_LIMIT as u64) {
                return Err(self.too_large(reference));
            }
            let kind = response
                .headers()
                .get(CONTENT_TYPE)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default();
            let kind = strip_parameters(kind).to_owned();
            let idle = self.settings.idle_timeout;
            let body = tokio::time::timeout(idle, read_limited(&mut response, MANIFEST_LIMIT)).await;
            let reason = match body.unwrap_or(Err(Reason::Silent(idle))) {
                Ok(bytes) => break (kind, Bytes::from(bytes)),
                Err(Reason::Protocol(_)) => return Err(self.too_large(reference)),
                Err(reason) => reason,
            };
            attempt += 1;
            match self.worth_waiting(&reason, attempt) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(self.failure(host, &ask.action, reason).into()),
            }
        };
        let mut hasher = expected.map_or(Algorithm::Sha256, Digest::algorithm).hasher();
        hasher.update(&bytes);
        let found = hasher.finish();
        if let Some(expected) = expected
            && *expected != found
        {
            return Err(Error::WrongDigest { what: "manifest", expected: expected.clone(), found });
        }
        let media_type = self.media_type(&kind, &bytes, reference)?;
        Ok(Manifest {
            descriptor: Descriptor {
                media_type,
                digest: found,
                size: bytes.len() as u64,
                annotations: Default::default(),
            },
            bytes,
        })
    }

    /// All tags, in the registry's order. Too many tags, and a page that cannot be fetched, are errors: the other
    /// pages would look like the complete list.
    pub async fn tags(&self) -> Result<Vec<String>, Error> {
        let mut path = format!("/v2/{}/tags/list", self.path);
        let mut tags = Vec::new();
        for _ in 0..PAGES {
            let ask = Ask::new(Method::GET, path.clone(), format!("list tags of {}", self.path));
            let (mut response, host) = self.send(&ask, &mut |_| {}).await?;
            let broken = |reason| self.failure(host, &ask.action, reason);
            let next = response.headers().get(LINK).and_then(|link| next_page(link.to_str().ok()?));
            let next = next.map(|link| self.endpoints[host].below(&path, &link).ok_or(link));
            let idle = self.settings.idle_timeout;
            let body = tokio::time::timeout(idle, read_limited(&mut response, MANIFEST_LIMIT)).await;
            let body = body.unwrap_or(Err(Reason::Silent(idle))).map_err(broken)?;
            let page: Tags =
                serde_json::from_slice(&body).map_err(|error| broken(Reason::Protocol(error.to_string())))?;
            tags.extend(page.tags.unwrap_or_default());
            if tags.len() > TAGS_LIMIT {
                let cause = format!("a repository of more than {TAGS_LIMIT} tags");
                return Err(broken(Reason::Protocol(cause)).into());
            }
            match next {
                None => return Ok(tags),
                Some(Ok(next)) => path = next,
                Some(Err(link)) => {
                    let cause = format!("more tags are said to be at {link:?}, which is not at this host");
                    return Err(broken(Reason::Protocol(cause)).into());
                }
            }
        }
        let cause = format!("more than {PAGES} pages of tags");
        let registry = self.endpoints.len() - 1;
        Err(self.failure(registry, &format!("list tags of {}", self.path), Reason::Protocol(cause)).into())
    }

    /// Uploads a manifest as `reference` (tag or digest).
    pub async fn put_manifest(&self, reference: &str, media_type: &str, bytes: Bytes) -> Result<(), Error> {
        let mut ask = self.manifest_ask(Method::PUT, reference, "push manifest");
        let value = HeaderValue::from_str(media_type).map_err(|_| Error::Manifest {
            digest: Digest::sha256(&bytes),
            cause: format!("media type {media_type:?} cannot be sent"),
        })?;
        ask.headers = HeaderMap::from_iter([(CONTENT_TYPE, value)]);
        ask.payload = crate::Payload::Bytes(bytes);
        self.send(&ask, &mut |_| {}).await?;
        Ok(())
    }

    /// Checks that the registry answers and accepts the credentials.
    pub async fn ping(&self) -> Result<(), Error> {
        let ask = Ask::new(Method::GET, "/v2/".into(), "log in".into());
        self.send(&ask, &mut |_| {}).await?;
        Ok(())
    }

    fn manifest_ask(&self, method: Method, reference: &str, verb: &str) -> Ask {
        let path = format!("/v2/{}/manifests/{reference}", self.path);
        let mut ask = Ask::new(method, path, format!("{verb} {reference} of {}", self.path));
        ask.headers.insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
        ask
    }

    fn too_large(&self, reference: &str) -> Error {
        Error::ManifestTooLarge {
            repository: self.path.clone(),
            reference: reference.to_owned(),
            limit: MANIFEST_LIMIT,
        }
    }

    /// The media type: what the document says, what the header says, or what the document looks like, in that order.
    fn media_type(&self, header: &str, bytes: &[u8], reference: &str) -> Result<String, Error> {
        let unusable = |cause: String| Error::Manifest { digest: Digest::sha256(bytes), cause };
        let document: MediaType =
            serde_json::from_slice(bytes).map_err(|error| unusable(error.to_string()))?;
        if document.schema_version != 2 {
            return Err(unusable(format!(
                "schema version {} of {}:{reference} is not supported; the image has to be built or pushed anew",
                document.schema_version, self.path
            )));
        }
        let known = |kind: &str| media_type::is_manifest(kind) || media_type::is_index(kind);
        Ok(match (document.media_type, header) {
            (own, _) if known(&own) => own,
            (own, header) if own.is_empty() && known(header) => header.to_owned(),
            (own, _) if own.is_empty() && document.manifests.is_some() => media_type::OCI_INDEX.to_owned(),
            (own, _) if own.is_empty() => media_type::OCI_MANIFEST.to_owned(),
            (own, _) => return Err(unusable(format!("media type {own:?} is not supported"))),
        })
    }
}

fn strip_parameters(kind: &str) -> &str {
    kind.split(';').next().unwrap_or_default().trim()
}

/// The URL in `Link: <…>; rel="next"`.
fn next_page(link: &str) -> Option<String> {
    let (address, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    rest.contains("next").then(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::{Access, Client, Credentials, Settings};

    /// A repository at a fake registry that gives these responses, one on each connection.
    fn answering(answers: Vec<String>) -> Repository {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let domain = listener.local_addr().expect("an address").to_string();
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().expect("a connection");
                let (mut asked, mut chunk) = (Vec::new(), [0; 1024]);
                while !asked.ends_with(b"\r\n\r\n") {
                    let length = stream.read(&mut chunk).expect("a request");
                    asked.extend_from_slice(&chunk[..length]);
                }
                stream.write_all(answer.as_bytes()).expect("answered");
            }
        });
        let settings = Settings { certificate_directories: Vec::new(), ..Settings::default() };
        let transport = crate::Transport { scheme: Some(crate::Scheme::Http), ..Default::default() };
        Client::new(settings)
            .repository_in(&domain, "a", Credentials::Anonymous, Access::Pull, transport)
            .expect("a repository")
    }

    fn answer(headers: &str, body: &str) -> String {
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}")
    }

    #[tokio::test]
    async fn a_manifest_is_hashed_as_the_digest_says_that_names_it() {
        let body = r#"{"schemaVersion":2}"#;
        let mut hasher = Algorithm::Sha512.hasher();
        hasher.update(body.as_bytes());
        let digest = hasher.finish();
        let repository = answering(vec![answer("", body), answer("", "{}")]);
        let manifest = repository.manifest(digest.as_str(), Some(&digest)).await.expect("the manifest");
        assert_eq!(manifest.descriptor.digest, digest);
        let error = repository.manifest(digest.as_str(), Some(&digest)).await.expect_err("another one");
        assert!(matches!(error, Error::WrongDigest { .. }), "{error}");
    }

    #[tokio::test]
    async fn tags_come_from_all_pages_or_not_at_all() {
        let next = |link: &str| format!("link: <{link}>; rel=\"next\"\r\n");
        let first = answer(&next("/v2/a/tags/list?last=x"), r#"{"tags":["x"]}"#);
        let repository = answering(vec![first.clone(), answer("", r#"{"tags":["y"]}"#)]);
        assert_eq!(repository.tags().await.expect("tags"), ["x", "y"]);
        let elsewhere = answer(&next("http://192.0.2.1/v2/a/tags/list"), r#"{"tags":["y"]}"#);
        let error = answering(vec![first, elsewhere]).tags().await.expect_err("a part");
        assert!(gantry_rpc::chain(&error).contains("192.0.2.1"), "{error}");
    }

    #[test]
    fn next_pages_are_found() {
        assert_eq!(
            next_page("</v2/a/tags/list?last=x&n=2>; rel=\"next\"").as_deref(),
            Some("/v2/a/tags/list?last=x&n=2")
        );
        assert_eq!(next_page("<x>; rel=prev"), None);
        assert_eq!(next_page("nonsense"), None);
    }
}
