//! Images looked at.

use std::time::SystemTime;

use gantry_api::images::{Filter, Image, Inspect, Layer, Look};
use gantry_types::{Namespace, Platform};

use super::Images;
use crate::catalog::{Details, Found, Unpacked};
use crate::error::Error;
use crate::filters::{Filters, Subject};
use crate::moments;

/// Reads filters; `allowed` are the keys that the call has.
pub(super) fn parse(filters: &[Filter], allowed: &[&str]) -> Result<Filters, Error> {
    Filters::parse(filters.iter().map(|filter| (filter.key.as_str(), filter.values.as_slice())), allowed)
}

impl Images {
    /// All that is known of an image for one platform.
    pub(super) async fn describe(
        &self,
        namespace: &Namespace,
        found: &Found,
        details: &Details,
    ) -> Result<Image, Error> {
        let unpacked = self.catalog.unpacked(namespace, details).await?;
        Ok(image(found, details, &unpacked))
    }

    /// When the image that a text names was made.
    async fn created_of(&self, namespace: &Namespace, text: &str) -> Result<SystemTime, Error> {
        let found = self.catalog.find(namespace, text)?;
        let details = self.catalog.details(namespace, &found.target, None).await?;
        Ok(created(&details, &found))
    }
}

impl Inspect for Images {
    async fn image(
        &self,
        namespace: &Namespace,
        text: &str,
        platform: Option<&Platform>,
        look: Look,
    ) -> Result<Image, Error> {
        let found = self.catalog.find(namespace, text)?;
        let details = self.catalog.details(namespace, &found.target, platform).await;
        let details = details.map_err(|error| named(error, text))?;
        match look {
            Look::Documents => Ok(image(&found, &details, &Unpacked::default())),
            Look::Everything => self.describe(namespace, &found, &details).await,
        }
    }

    async fn images(&self, namespace: &Namespace, filters: &[Filter]) -> Result<Vec<Image>, Error> {
        let known = ["dangling", "label", "label!", "before", "since", "reference", "until"];
        let filters = parse(filters, &known)?;
        let (mut before, mut since) = (None::<SystemTime>, None::<SystemTime>);
        for text in &filters.before {
            let moment = self.created_of(namespace, text).await?;
            before = Some(before.map_or(moment, |known| known.min(moment)));
        }
        for text in &filters.since {
            let moment = self.created_of(namespace, text).await?;
            since = Some(since.map_or(moment, |known| known.max(moment)));
        }
        let mut images = Vec::new();
        for found in self.catalog.all(namespace)? {
            let details = match self.catalog.details(namespace, &found.target, None).await {
                Ok(details) => details,
                // An image of which something is missing is not an image of Docker's.
                Err(error @ (Error::Missing { .. } | Error::Document { .. } | Error::NoPlatform { .. })) => {
                    tracing::debug!(digest = %found.target.digest, %error, "an incomplete image is not listed");
                    continue;
                }
                Err(error) => return Err(error),
            };
            let moment = created(&details, &found);
            let labels = details.config.labels();
            let subject = Subject { found: &found, labels: &labels, created: Some(moment) };
            if before.is_some_and(|before| moment >= before)
                || since.is_some_and(|since| moment <= since)
                || !filters.pass(&subject)
            {
                continue;
            }
            images.push(self.describe(namespace, &filters.shown(found), &details).await?);
        }
        images.sort_by_key(|image| std::cmp::Reverse(image.created_at));
        Ok(images)
    }
}

/// When an image was made; when its config does not say, when it came.
fn created(details: &Details, found: &Found) -> SystemTime {
    let stated = moments::created(details.config.created.as_deref());
    stated
        .or_else(|| found.records.iter().map(|record| record.created).min())
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Says of a missing platform which image lacks it, in the words of the caller.
pub(super) fn named(error: Error, text: &str) -> Error {
    match error {
        Error::OtherPlatform { found, wanted, .. } => {
            Error::OtherPlatform { reference: text.to_owned(), found, wanted }
        }
        Error::NoPlatform { wanted, .. } => Error::NoPlatform { reference: text.to_owned(), wanted },
        other => other,
    }
}

/// An image with all that is known of it.
fn image(found: &Found, details: &Details, unpacked: &Unpacked) -> Image {
    let (document, config) = (&details.document, &details.config);
    let sizes = unpacked.sizes.iter().copied().chain(std::iter::repeat(None));
    let layers = document.layers.iter().zip(&config.rootfs.diff_ids).zip(sizes);
    let layers = layers.map(|((layer, diff_id), unpacked_size)| Layer {
        descriptor: layer.clone(),
        diff_id: diff_id.clone(),
        unpacked_size,
    });
    let unpacked_size: u64 = unpacked.sizes.iter().flatten().sum();
    let named = found.records.iter().filter(|record| !record.is_dangling());
    Image {
        target: found.target.clone(),
        names: found.names(),
        digests: found.digests(),
        manifest: details.manifest.clone(),
        config: document.config.clone(),
        config_json: details.config_json.clone(),
        platform: config.platform(),
        layers: layers.collect(),
        size: details.content_size().saturating_add(unpacked_size),
        content_size: details.content_size(),
        created_at: created(details, found),
        tagged_at: named.map(|record| record.updated).max(),
        unpacked: unpacked.complete,
        labels: config.labels(),
    }
}
