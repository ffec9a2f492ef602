//! Names given and taken, and layers unpacked.

use gantry_api::images::{Filter, Image, Inspect as _, Look, Manage, Removal, Removed, Unpack, Use};
use gantry_types::{Namespace, Platform, Reference};

use super::Images;
use super::inspect::{named, parse};
use crate::catalog::Details;
use crate::error::Error;
use crate::lease::Purpose;
use crate::record::Record;
use crate::snapshots;

impl Manage for Images {
    async fn tag_image(&self, namespace: &Namespace, text: &str, name: &Reference) -> Result<Image, Error> {
        if name.digest().is_some() {
            return Err(Error::Request("refusing to create a tag with a digest reference".into()));
        }
        let found = self.catalog.find(namespace, text)?;
        let name = name.clone().with_default_tag().to_string();
        self.names.point(namespace, Record::new(name.clone(), found.target)).await?;
        self.image(namespace, &name, None, Look::Everything).await
    }

    async fn remove_image(&self, namespace: &Namespace, removal: Removal) -> Result<Removed, Error> {
        let Removal { text, force, in_use, platform } = removal;
        match platform {
            None => self.remover.remove(namespace, &text, force, &in_use).await,
            Some(platform) => self.remover.remove_platform(namespace, &text, &platform, force, &in_use).await,
        }
    }

    async fn prune_images(
        &self,
        namespace: &Namespace,
        filters: &[Filter],
        in_use: &[Use],
    ) -> Result<Removed, Error> {
        let filters = parse(filters, &["dangling", "label", "label!", "until"])?;
        self.remover.prune(namespace, filters, in_use).await
    }
}

impl Unpack for Images {
    async fn unpack_image(
        &self,
        namespace: &Namespace,
        text: &str,
        platform: Option<&Platform>,
        snapshotter: Option<&str>,
    ) -> Result<Image, Error> {
        let found = self.catalog.find(namespace, text)?;
        let details = self.catalog.details(namespace, &found.target, platform).await;
        let details = details.map_err(|error| named(error, text))?;
        let snapshotter = snapshotter.unwrap_or(self.catalog.snapshotter());
        let complete = snapshotter == self.catalog.snapshotter()
            && self.catalog.unpacked(namespace, &details).await?.complete;
        if !complete {
            self.unpack(namespace, text, &details, snapshotter).await?;
        }
        self.describe(namespace, &found, &details).await
    }
}

impl Images {
    async fn unpack(
        &self,
        namespace: &Namespace,
        text: &str,
        details: &Details,
        snapshotter: &str,
    ) -> Result<(), Error> {
        // Until the config keeps them, nothing else keeps the layers from a collection.
        let lease = self.leases.begin(namespace, Purpose::Once("unpack")).await?;
        let content = self.catalog.content();
        let (owner, document, config) = (lease.owner(), &details.document, &details.config);
        let diff_ids = &config.rootfs.diff_ids;
        let unpacked = async {
            let snapshots = self.catalog.snapshots();
            snapshots.unpack(owner, snapshotter, &document.layers, diff_ids, None).await?;
            snapshots::keep(content, namespace, snapshotter, document, config).await
        };
        let unpacked = unpacked.await;
        if let Err(error) = lease.finish().await {
            tracing::warn!(image = text, %error, "an unpacking's lease stays until it expires");
        }
        unpacked
    }
}
