//! Finds images by name, id and filters.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use chrono::DateTime;
use gantry_api::images::{Filter, Image, Look, Record};
use gantry_rpc::Code;
use gantry_types::{Descriptor, Digest, Namespace, Platform, Reference};

use super::{Images, SNAPSHOTTER, documents};
use crate::Refused;

/// An image, and how it was found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub target: Descriptor,
    /// All records that point at it.
    pub records: Vec<Record>,
    /// The record by whose name it was found; `None` if it was found by its id.
    pub by_name: Option<Record>,
}

impl Found {
    pub fn references(&self) -> impl Iterator<Item = Reference> + '_ {
        let named = self.records.iter().filter(|record| !record.is_dangling());
        named.filter_map(|record| Reference::parse_normalized(&record.name).ok())
    }
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl Images {
    fn records_of(&self, namespace: &Namespace) -> Vec<Record> {
        let state = self.state.lock();
        let records = state.records.iter().filter(|((of, _), _)| of == namespace);
        records.map(|(_, record)| record.clone()).collect()
    }

    /// All images, each once.
    pub(super) fn all(&self, namespace: &Namespace) -> Vec<Found> {
        let mut images: BTreeMap<Digest, Found> = BTreeMap::new();
        for record in self.records_of(namespace) {
            let target = record.target.clone();
            let empty = || Found { target, records: Vec::new(), by_name: None };
            images.entry(record.target.digest.clone()).or_insert_with(empty).records.push(record);
        }
        images.into_values().collect()
    }

    pub(super) fn find(&self, namespace: &Namespace, text: &str) -> Result<Found, Refused> {
        let records = self.records_of(namespace);
        let gather = |target: &Descriptor, by_name: Option<&Record>| {
            let same = records.iter().filter(|record| record.target.digest == target.digest);
            Found { target: target.clone(), records: same.cloned().collect(), by_name: by_name.cloned() }
        };
        let reference = Reference::parse_normalized(text);
        if let Ok(reference) = &reference {
            let name = reference.clone().with_default_tag().to_string();
            let named = records.iter().find(|record| match reference.digest() {
                None => record.name == name,
                Some(digest) => {
                    record.target.digest == *digest
                        && Reference::parse_normalized(&record.name)
                            .is_ok_and(|known| known.name() == reference.name())
                }
            });
            if let Some(record) = named {
                return Ok(gather(&record.target, Some(record)));
            }
        }
        if let Some(record) = records.iter().find(|record| record.name == text) {
            return Ok(gather(&record.target, Some(record)));
        }
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        let begins = |record: &&Record| record.target.digest.hex().starts_with(digits);
        let mut targets: Vec<&Descriptor> = match is_hex(digits) && digits.len() >= 4 {
            true => records.iter().filter(begins).map(|record| &record.target).collect(),
            false => Vec::new(),
        };
        targets.dedup_by_key(|target| &target.digest);
        targets.sort_by_key(|target| &target.digest);
        targets.dedup_by_key(|target| &target.digest);
        match (targets.as_slice(), reference.is_ok() || is_hex(digits)) {
            ([target], _) => Ok(gather(target, None)),
            ([], true) => Err(Refused::new(Code::NotFound, text, "no such image")),
            ([], false) => Err(Refused::new(Code::InvalidArgument, text, "neither a name nor an id")),
            (_, _) => Err(Refused::new(Code::InvalidArgument, text, "several ids begin like this")),
        }
    }

    /// Describes an image for a platform; without one, for the host or any.
    pub(super) fn describe(
        &self,
        namespace: &Namespace,
        found: &Found,
        platform: Option<&Platform>,
        look: Look,
    ) -> Result<Image, Refused> {
        let host = Platform::host();
        let wanted = platform.unwrap_or(&host);
        let here = documents::manifests(&self.content, namespace, &found.target)?;
        let here = here.iter().map(|manifest| documents::read(&self.content, namespace, manifest));
        let here = here.collect::<Result<Vec<_>, _>>()?;
        let fits = |of: &&documents::Documents| platform.is_none() || wanted.rank(&of.platform).is_some();
        let best = here.iter().filter(fits).min_by_key(|of| wanted.rank(&of.platform).unwrap_or(usize::MAX));
        let missing =
            || Refused::new(Code::NotFound, &found.target.digest, "nothing is here for the platform");
        let documents = best.ok_or_else(missing)?.clone();
        let arrived = found.records.iter().map(|record| record.created).min();
        let named = found.records.iter().filter(|record| !record.is_dangling());
        let blobs = documents.layers.iter().map(|layer| layer.descriptor.size).sum::<u64>();
        let content_size = blobs + documents.config.size + documents.manifest.size;
        let mut digests: Vec<String> = found
            .references()
            .map(|reference| reference.with_digest(found.target.digest.clone()).to_string())
            .collect();
        digests.dedup();
        let tagged = found.references().filter(|reference| reference.tag().is_some());
        let mut image = Image {
            names: tagged.map(|reference| reference.to_string()).collect(),
            digests,
            manifest: documents.manifest,
            config: documents.config,
            config_json: documents.config_json,
            platform: documents.platform,
            layers: documents.layers,
            size: content_size,
            content_size,
            created_at: documents.created.or(arrived).unwrap_or(SystemTime::UNIX_EPOCH),
            tagged_at: named.map(|record| record.updated).max(),
            unpacked: false,
            labels: documents.labels,
            target: found.target.clone(),
        };
        let is_unpacked = |chain: String| {
            let unpacked = (namespace.clone(), SNAPSHOTTER.to_owned(), chain);
            self.state.lock().unpacked.contains(&unpacked)
        };
        if look == Look::Everything && image.chain_id().is_none_or(|chain| is_unpacked(chain.to_string())) {
            image.unpacked = true;
            for layer in &mut image.layers {
                layer.unpacked_size = Some(layer.descriptor.size);
                image.size += layer.descriptor.size;
            }
        }
        Ok(image)
    }

    /// Reads filters; `known` are those that the call accepts.
    pub(super) fn choice(
        &self,
        namespace: &Namespace,
        filters: &[Filter],
        known: &[&str],
    ) -> Result<Choice, Refused> {
        let mut choice = Choice::default();
        for filter in filters {
            if !known.contains(&filter.key.as_str()) {
                return Err(Refused::new(Code::InvalidArgument, &filter.key, "no such filter"));
            }
            for value in &filter.values {
                let odd = || Refused::new(Code::InvalidArgument, value, "no value of this filter");
                let created = || {
                    let found = self.find(namespace, value)?;
                    Ok::<_, Refused>(self.describe(namespace, &found, None, Look::Documents)?.created_at)
                };
                match filter.key.as_str() {
                    "dangling" => choice.dangling = Some(boolean(value).ok_or_else(odd)?),
                    "before" => choice.before.push(created()?),
                    "since" => choice.since.push(created()?),
                    "until" => choice.before.push(moment(value).ok_or_else(odd)?),
                    "reference" => choice.references.push(value.clone()),
                    "label" => choice.labels.push(value.clone()),
                    _ => choice.without.push(value.clone()),
                }
            }
        }
        Ok(choice)
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

fn moment(text: &str) -> Option<SystemTime> {
    match text.parse() {
        Ok(seconds) => SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)),
        Err(_) => DateTime::parse_from_rfc3339(text).ok().map(Into::into),
    }
}

/// The filters of a request.
#[derive(Debug, Default)]
pub(super) struct Choice {
    pub dangling: Option<bool>,
    labels: Vec<String>,
    without: Vec<String>,
    references: Vec<String>,
    before: Vec<SystemTime>,
    since: Vec<SystemTime>,
}

impl Choice {
    pub fn takes(&self, found: &Found, image: &Image) -> bool {
        let has = |wanted: &String| match wanted.split_once('=') {
            Some((key, value)) => image.labels.get(key).is_some_and(|label| label == value),
            None => image.labels.contains_key(wanted),
        };
        let dangling = found.records.iter().all(Record::is_dangling);
        self.dangling.is_none_or(|wanted| wanted == dangling)
            && self.labels.iter().all(has)
            && !self.without.iter().any(has)
            && self.before.iter().all(|moment| image.created_at < *moment)
            && self.since.iter().all(|moment| image.created_at > *moment)
            && (self.references.is_empty() || found.references().any(|name| self.names(&name)))
    }

    /// The image with those of its names that match the filters.
    pub fn shown(&self, mut image: Image) -> Image {
        if !self.references.is_empty() {
            let asked = |name: &String| Reference::parse_normalized(name).is_ok_and(|name| self.names(&name));
            image.names.retain(asked);
        }
        image
    }

    /// Matches a name with or without its tag. Of patterns, only those with one star at the end are supported.
    fn names(&self, name: &Reference) -> bool {
        let ways = [name.familiar(), name.without_tag_or_digest().familiar()];
        self.references.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => ways.iter().any(|way| way.starts_with(start)),
            None => ways.contains(pattern),
        })
    }
}
