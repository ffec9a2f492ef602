//! Removing names and images by Docker's rules.
//!
//! A name goes alone while the image has others. With its last name goes the image, unless a container uses it:
//! then it has to be forced, and the image stays without a name; a running container cannot be forced.

use gantry_api::images::{Force, Removed, Use};
use gantry_types::{Labels, Namespace, Platform, Reference, media_type};

use crate::catalog::{Catalog, Found};
use crate::error::Error;
use crate::filters::{Filters, Subject};
use crate::moments;
use crate::names::Names;
use crate::record::Record;

/// Removes images. A cheap clone.
#[derive(Clone)]
pub struct Remover {
    names: Names,
    catalog: Catalog,
}

impl Remover {
    /// A remover of what these know.
    pub fn new(names: Names, catalog: Catalog) -> Self {
        Self { names, catalog }
    }

    /// Removes what `text` names.
    pub async fn remove(
        &self,
        namespace: &Namespace,
        text: &str,
        force: Force,
        uses: &[Use],
    ) -> Result<Removed, Error> {
        let found = self.catalog.find(namespace, text)?;
        let mut removed = match &found.by_name {
            Some(record) => {
                let others =
                    found.records.iter().any(|other| other.name != record.name && !other.is_dangling());
                match others {
                    true => {
                        self.untag(namespace, &found, std::slice::from_ref(&record.name), false, false)
                            .await?
                    }
                    false => {
                        let using = using(&found, uses);
                        refuse_name(&found, &record.name, force, &using)?;
                        // With the record that would keep it without a name, should a crash have left one.
                        self.untag(namespace, &found, &names(&found), true, !using.is_empty()).await?
                    }
                }
            }
            None => {
                let using = using(&found, uses);
                refuse_id(&found, force, &using)?;
                self.untag(namespace, &found, &names(&found), true, !using.is_empty()).await?
            }
        };
        if !removed.deleted.is_empty() {
            removed.freed = self.collect(namespace).await;
        }
        Ok(removed)
    }

    /// Removes what is here of an image for one platform. The names stay, as long as they lead to anything else.
    pub async fn remove_platform(
        &self,
        namespace: &Namespace,
        text: &str,
        platform: &Platform,
        force: Force,
        uses: &[Use],
    ) -> Result<Removed, Error> {
        let found = self.catalog.find(namespace, text)?;
        let present = self.catalog.present(namespace, &found.target).await?;
        let is_it = |of: &Platform| of.rank(platform) == Some(0) && platform.rank(of) == Some(0);
        let (condemned, others): (Vec<_>, Vec<_>) = present.into_iter().partition(|(_, of)| is_it(of));
        if condemned.is_empty() {
            let found = others.iter().map(|(_, of)| of.to_string()).collect::<Vec<_>>().join(", ");
            return Err(Error::OtherPlatform { reference: text.to_owned(), found, wanted: platform.clone() });
        }
        if others.is_empty() || !media_type::is_index(&found.target.media_type) {
            return self.remove(namespace, text, force, uses).await;
        }
        // Which of its platforms a container runs is not told: as of the host's it is thought of all.
        if platform.rank(&Platform::host()) == Some(0) {
            refuse_id(&found, Force::Yes, &using(&found, uses))?;
        }
        let content = self.catalog.content();
        let mut removed = Removed::default();
        // The index keeps its entries by labels; those of indexes within it are theirs.
        let labels = content.info(namespace, &found.target.digest).await?.map(|info| info.labels);
        let gone = |value: &str| condemned.iter().any(|(manifest, _)| manifest.digest.as_str() == value);
        let unlabelled = labels.unwrap_or_default().into_iter().filter(|(_, value)| gone(value));
        let unlabelled: Labels = unlabelled.map(|(key, _)| (key, String::new())).collect();
        content.label(namespace, &found.target.digest, unlabelled).await?;
        self.catalog.forget(namespace, &found.target.digest);
        removed.deleted = condemned.into_iter().map(|(manifest, _)| manifest.digest).collect();
        removed.freed = self.collect(namespace).await;
        Ok(removed)
    }

    /// Removes all images that no container uses and that pass the filters; by default those without a name.
    pub async fn prune(
        &self,
        namespace: &Namespace,
        mut filters: Filters,
        uses: &[Use],
    ) -> Result<Removed, Error> {
        // `dangling=false` means: those with a name, too.
        let only_dangling = filters.dangling.take().unwrap_or(true);
        filters.dangling = only_dangling.then_some(true);
        let mut all = Removed::default();
        for found in self.catalog.all(namespace)? {
            if !using(&found, uses).is_empty() {
                continue;
            }
            let details = self.catalog.details(namespace, &found.target, None).await.ok();
            let labels = details.as_ref().map(|details| details.config.labels()).unwrap_or_default();
            let created =
                details.as_ref().and_then(|details| moments::created(details.config.created.as_deref()));
            if !filters.pass(&Subject { found: &found, labels: &labels, created }) {
                continue;
            }
            let removed = self.untag(namespace, &found, &names(&found), true, false).await?;
            all.untagged.extend(removed.untagged);
            all.untagged_from.extend(removed.untagged_from);
            all.deleted.extend(removed.deleted);
        }
        if !all.deleted.is_empty() {
            all.freed = self.collect(namespace).await;
        }
        Ok(all)
    }

    /// Removes names; with the last one the image is deleted, or kept without a name when it is `used`.
    async fn untag(
        &self,
        namespace: &Namespace,
        found: &Found,
        names: &[String],
        last: bool,
        used: bool,
    ) -> Result<Removed, Error> {
        let mut removed = Removed::default();
        if used {
            // Before the names go: at no moment is the image without a root.
            let kept = Record::new(Record::dangling_name(&found.target), found.target.clone());
            match self.names.create(namespace, kept).await {
                Ok(_) | Err(Error::RecordExists(_)) => {}
                Err(error) => return Err(error),
            }
        }
        for name in names {
            let is_dangling = found.records.iter().any(|record| record.name == *name && record.is_dangling());
            if is_dangling && used {
                continue;
            }
            match self.names.delete(namespace, name, Some(&found.target.digest)).await {
                Ok(_) if is_dangling => {}
                Ok(_) => {
                    removed.untagged.push(familiar(name));
                    removed.untagged_from.push(found.target.digest.clone());
                }
                // Others were quicker.
                Err(Error::NoRecord(_) | Error::OtherTarget { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        if last && !used {
            removed.deleted.push(found.target.digest.clone());
            self.catalog.forget(namespace, &found.target.digest);
        }
        Ok(removed)
    }

    /// Frees what is unreferenced now. That it could not be done now is no failure of the removal.
    async fn collect(&self, namespace: &Namespace) -> u64 {
        match self.names.collect(namespace).await {
            Ok(freed) => freed,
            Err(error) => {
                tracing::warn!(%error, "what a removed image leaves is collected later");
                0
            }
        }
    }
}

/// The names of all its records.
fn names(found: &Found) -> Vec<String> {
    found.records.iter().map(|record| record.name.clone()).collect()
}

fn familiar(name: &str) -> String {
    Reference::parse_normalized(name).map_or_else(|_| name.to_owned(), |reference| reference.familiar())
}

/// The containers that use an image.
fn using<'a>(found: &Found, uses: &'a [Use]) -> Vec<&'a Use> {
    let digest = found.target.digest.as_str();
    uses.iter()
        .filter(|used| used.image == digest || (used.image.is_empty() && used.reference.contains(digest)))
        .collect()
}

fn refuse_name(found: &Found, name: &str, force: Force, using: &[&Use]) -> Result<(), Error> {
    match (using.first(), force) {
        (Some(used), Force::No) => Err(Error::InUse(format!(
            "remove repository reference {:?} (must force) - container {} is using its referenced image {}",
            familiar(name),
            short(&used.container),
            found.target.digest.short()
        ))),
        // Its containers keep the image, without a name.
        _ => Ok(()),
    }
}

fn refuse_id(found: &Found, force: Force, using: &[&Use]) -> Result<(), Error> {
    let id = found.target.digest.short();
    let refuse = |reason: String| Err(Error::InUse(format!("delete {id} {reason}")));
    if let Some(running) = using.iter().find(|used| used.running) {
        let container = short(&running.container);
        return refuse(format!("(cannot be forced) - image is being used by running container {container}"));
    }
    if force == Force::Yes {
        return Ok(());
    }
    let repositories: std::collections::BTreeSet<String> =
        found.references().map(|reference| reference.name()).collect();
    if repositories.len() > 1 {
        return refuse("(must be forced) - image is referenced in multiple repositories".into());
    }
    match using.first() {
        Some(stopped) => refuse(format!(
            "(must be forced) - image is being used by stopped container {}",
            short(&stopped.container)
        )),
        None => Ok(()),
    }
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}
