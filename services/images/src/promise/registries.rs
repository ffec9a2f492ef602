//! Registries asked.

use std::collections::BTreeSet;

use gantry_api::images::{Credentials, Distribution, Registries, Registry};
use gantry_distribution::{Access, Client};
use gantry_types::{Reference, media_type};

use super::Images;
use super::transfer::credentials;
use crate::document;
use crate::error::Error;

impl Registries for Images {
    async fn distribution(
        &self,
        reference: &Reference,
        credentials: &Credentials,
    ) -> Result<Distribution, Error> {
        let reference = reference.clone().with_default_tag();
        let remote: &Client = self.puller.remote();
        let known = self::credentials(credentials.clone());
        let repository = remote.repository(reference.domain(), reference.path(), known, Access::Pull)?;
        let about = |error: gantry_distribution::Error| {
            Error::from(error).of_image(
                "pull",
                &reference.without_tag_or_digest().familiar(),
                &reference.familiar(),
            )
        };
        let wanted = match (reference.digest(), reference.tag()) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.unwrap_or_default().to_owned(),
        };
        let manifest = repository.manifest(&wanted, reference.digest()).await.map_err(about)?;
        let platforms = match media_type::is_index(&manifest.descriptor.media_type) {
            true => document::index(&manifest.descriptor, &manifest.bytes)?
                .manifests
                .iter()
                .filter_map(document::Entry::platform)
                .collect(),
            false => {
                let document = document::manifest(&manifest.descriptor, &manifest.bytes)?;
                let mut body = repository.blob(&document.config.digest, document.config.size, 0);
                let mut bytes = Vec::new();
                while let Some(piece) = body.next().await.map_err(about)? {
                    bytes.extend_from_slice(&piece);
                }
                vec![document::config(&document, &bytes)?.platform()]
            }
        };
        Ok(Distribution { descriptor: manifest.descriptor, platforms })
    }

    async fn login(&self, address: &str, credentials: &Credentials) -> Result<(), Error> {
        let address = address.trim_start_matches("https://").trim_start_matches("http://");
        let host = address.split('/').next().unwrap_or_default();
        let host = if host.is_empty() { "docker.io" } else { host };
        let known = self::credentials(credentials.clone());
        Ok(self.puller.remote().repository(host, "", known, Access::Login)?.ping().await?)
    }

    async fn registries(&self) -> Result<Vec<Registry>, Error> {
        let settings = self.puller.remote().settings();
        let mut hosts: BTreeSet<&String> = settings.mirrors.keys().collect();
        hosts.extend(&settings.insecure);
        let registries = hosts.into_iter().map(|host| Registry {
            host: host.clone(),
            mirrors: settings.mirrors.get(host).cloned().unwrap_or_default(),
            insecure: settings.insecure.contains(host),
        });
        Ok(registries.collect())
    }
}
