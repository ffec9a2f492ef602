//! Gives and removes names by Docker's rules.

use std::collections::BTreeSet;

use gantry_api::content::{Manage as _, Owner};
use gantry_api::images::{Filter, Force, Image, Look, Manage, Removal, Removed, Use};
use gantry_rpc::Code;
use gantry_types::{Digest, Namespace, Platform, Reference, media_type};

use super::find::Found;
use super::{Images, documents};
use crate::Refused;

fn familiar(name: &str) -> String {
    Reference::parse_normalized(name).map_or_else(|_| name.to_owned(), |reference| reference.familiar())
}

fn in_use(object: &Digest) -> Refused {
    Refused::new(Code::FailedPrecondition, object, "it is in use")
}

fn using<'a>(found: &Found, uses: &'a [Use]) -> Vec<&'a Use> {
    let digest = found.target.digest.as_str();
    let is_it = |one: &&Use| one.image == digest || one.image.is_empty() && one.reference.contains(digest);
    uses.iter().filter(is_it).collect()
}

/// Whether an image may be removed by its id.
fn may_go(found: &Found, force: Force, using: &[&Use]) -> Result<(), Refused> {
    let repositories: BTreeSet<String> = found.references().map(|reference| reference.name()).collect();
    let running = using.iter().any(|one| one.running);
    match running || force == Force::No && (repositories.len() > 1 || !using.is_empty()) {
        true => Err(in_use(&found.target.digest)),
        false => Ok(()),
    }
}

impl Images {
    /// Removes all names of an image; an image in use is kept without a name.
    fn untag(&self, namespace: &Namespace, found: &Found, used: bool) -> Removed {
        let mut removed = Removed::default();
        let mut state = self.state.lock();
        for record in &found.records {
            state.records.remove(&(namespace.clone(), record.name.clone()));
            if !record.is_dangling() {
                removed.untagged.push(familiar(&record.name));
                removed.untagged_from.push(found.target.digest.clone());
            }
        }
        match used {
            true => state.keep(namespace, &found.target),
            false => removed.deleted.push(found.target.digest.clone()),
        }
        removed
    }

    fn remove(&self, namespace: &Namespace, removal: &Removal, found: &Found) -> Result<Removed, Refused> {
        let using = using(found, &removal.in_use);
        let Some(record) = &found.by_name else {
            may_go(found, removal.force, &using)?;
            return Ok(self.untag(namespace, found, !using.is_empty()));
        };
        if found.records.iter().any(|other| other.name != record.name && !other.is_dangling()) {
            self.state.lock().records.remove(&(namespace.clone(), record.name.clone()));
            let (untagged, untagged_from) = (vec![familiar(&record.name)], vec![found.target.digest.clone()]);
            return Ok(Removed { untagged, untagged_from, ..Removed::default() });
        }
        if removal.force == Force::No && !using.is_empty() {
            return Err(in_use(&found.target.digest));
        }
        Ok(self.untag(namespace, found, !using.is_empty()))
    }

    /// Removes what exists for a platform, and the image if nothing else exists.
    async fn remove_platform(
        &self,
        namespace: &Namespace,
        removal: &Removal,
        found: &Found,
        platform: &Platform,
    ) -> Result<Removed, Refused> {
        let (mut gone, mut others) = (Vec::new(), 0);
        for manifest in documents::manifests(&self.content, namespace, &found.target)? {
            match documents::read(&self.content, namespace, &manifest)?.platform.matches(platform) {
                true => gone.push(manifest.digest),
                false => others += 1,
            }
        }
        if gone.is_empty() {
            return Err(Refused::new(Code::NotFound, &removal.text, "nothing is here for the platform"));
        }
        if others == 0 || !media_type::is_index(&found.target.media_type) {
            return self.remove(namespace, removal, found);
        }
        if *platform == Platform::host() {
            may_go(found, Force::Yes, &using(found, &removal.in_use))?;
        }
        for manifest in &gone {
            self.content.delete(&Owner::of(namespace), manifest).await?;
        }
        Ok(Removed { deleted: gone, ..Removed::default() })
    }
}

impl Manage for Images {
    async fn tag_image(&self, namespace: &Namespace, text: &str, name: &Reference) -> Result<Image, Refused> {
        if name.digest().is_some() {
            return Err(Refused::new(Code::InvalidArgument, name, "a tag has no digest"));
        }
        let found = self.find(namespace, text)?;
        let name = name.clone().with_default_tag().to_string();
        self.point(namespace, &name, &found.target);
        let found = self.find(namespace, &name)?;
        self.describe(namespace, &found, None, Look::Everything)
    }

    async fn remove_image(&self, namespace: &Namespace, removal: Removal) -> Result<Removed, Refused> {
        let found = self.find(namespace, &removal.text)?;
        match &removal.platform {
            None => self.remove(namespace, &removal, &found),
            Some(platform) => self.remove_platform(namespace, &removal, &found, platform).await,
        }
    }

    async fn prune_images(
        &self,
        namespace: &Namespace,
        filters: &[Filter],
        in_use: &[Use],
    ) -> Result<Removed, Refused> {
        let mut choice = self.choice(namespace, filters, &["dangling", "label", "label!", "until"])?;
        // `dangling=false` includes images with a name.
        choice.dangling = choice.dangling.unwrap_or(true).then_some(true);
        let mut all = Removed::default();
        for found in self.all(namespace) {
            let Ok(image) = self.describe(namespace, &found, None, Look::Documents) else { continue };
            if using(&found, in_use).is_empty() && choice.takes(&found, &image) {
                let removed = self.untag(namespace, &found, false);
                all.untagged.extend(removed.untagged);
                all.untagged_from.extend(removed.untagged_from);
                all.deleted.extend(removed.deleted);
            }
        }
        Ok(all)
    }
}
