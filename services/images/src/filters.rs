//! Docker's filters over images.

use std::time::SystemTime;

use gantry_docker::filters::{has_label, truth};
use gantry_types::Reference;

use crate::catalog::Found;
use crate::error::Error;
use crate::{glob, moments};

/// The filters of one request, parsed.
#[derive(Clone, Debug, Default)]
pub struct Filters {
    /// Only images without (true) or with (false) a name.
    pub dangling: Option<bool>,
    labels: Vec<String>,
    without_labels: Vec<String>,
    references: Vec<String>,
    /// The earliest of those that were given.
    until: Option<SystemTime>,
    /// Images that others have to be older than.
    pub before: Vec<String>,
    /// Images that others have to be younger than.
    pub since: Vec<String>,
}

/// What of an image is filtered by, beside its names.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    pub found: &'a Found,
    pub labels: &'a std::collections::BTreeMap<String, String>,
    pub created: Option<SystemTime>,
}

impl Filters {
    /// Reads filters; `allowed` are the keys that the request knows.
    pub fn parse<'a>(
        filters: impl Iterator<Item = (&'a str, &'a [String])>,
        allowed: &[&str],
    ) -> Result<Self, Error> {
        let mut parsed = Self::default();
        for (key, values) in filters {
            if !allowed.contains(&key) {
                return Err(Error::Filter(key.to_owned()));
            }
            for value in values {
                parsed.add(key, value)?;
            }
        }
        Ok(parsed)
    }

    fn add(&mut self, key: &str, value: &str) -> Result<(), Error> {
        let odd = || Error::FilterValue { key: key.to_owned(), value: value.to_owned() };
        match key {
            "dangling" => self.dangling = Some(truth(value).ok_or_else(odd)?),
            "label" => self.labels.push(value.to_owned()),
            "label!" => self.without_labels.push(value.to_owned()),
            "reference" if !glob::is_valid(value) => {
                return Err(Error::Request("syntax error in pattern".to_owned()));
            }
            "reference" => self.references.push(value.to_owned()),
            "until" => {
                let until = moments::parse(value, SystemTime::now()).ok_or_else(odd)?;
                self.until = Some(self.until.map_or(until, |other| other.min(until)));
            }
            "before" => self.before.push(value.to_owned()),
            "since" => self.since.push(value.to_owned()),
            _ => return Err(Error::Filter(key.to_owned())),
        }
        Ok(())
    }

    /// Whether an image passes all but `before` and `since`, which need other images.
    pub fn pass(&self, subject: &Subject<'_>) -> bool {
        let has = |wanted: &String| has_label(subject.labels, wanted);
        let dangling = !subject.found.records.iter().any(|record| !record.is_dangling());
        self.dangling.is_none_or(|wanted| wanted == dangling)
            && self.labels.iter().all(has)
            && !self.without_labels.iter().any(has)
            && self.until.is_none_or(|until| subject.created.is_some_and(|created| created < until))
            && (self.references.is_empty() || subject.found.references().any(|name| self.names(&name)))
    }

    /// The image as it is shown: of its names, those that were asked for.
    pub fn shown(&self, mut found: Found) -> Found {
        if !self.references.is_empty() {
            found.records.retain(|record| {
                Reference::parse_normalized(&record.name).is_ok_and(|name| self.names(&name))
            });
        }
        found
    }

    /// Whether a name was asked for, as people write it: with its tag, or without.
    fn names(&self, name: &Reference) -> bool {
        let (whole, repository) = (name.familiar(), name.without_tag_or_digest().familiar());
        let mut patterns = self.references.iter();
        patterns.any(|pattern| glob::matches(pattern, &whole) || glob::matches(pattern, &repository))
    }
}

#[cfg(test)]
mod tests {
    use gantry_types::{Descriptor, Digest, media_type};

    use super::*;
    use crate::record::Record;

    fn found(name: &str) -> Found {
        let target = Descriptor::new(media_type::OCI_MANIFEST, Digest::sha256(b"1"), 3);
        Found { records: vec![Record::new(name, target.clone())], target, by_name: None }
    }

    fn passes(found: &Found, filters: &[(&str, &str)]) -> bool {
        let owned: Vec<(&str, Vec<String>)> =
            filters.iter().map(|(key, value)| (*key, vec![(*value).to_owned()])).collect();
        let filters = Filters::parse(
            owned.iter().map(|(key, values)| (*key, values.as_slice())),
            &["dangling", "label", "label!", "reference", "until"],
        )
        .expect("valid");
        let labels = [("a".to_owned(), "1".to_owned())].into();
        filters.pass(&Subject { found, labels: &labels, created: Some(SystemTime::UNIX_EPOCH) })
    }

    #[test]
    fn filters_are_all_required() {
        let image = found("docker.io/library/busybox:1.36");
        assert!(passes(&image, &[]));
        assert!(passes(&image, &[("label", "a=1"), ("reference", "busy*"), ("until", "1h")]));
        assert!(!passes(&image, &[("label", "a=1"), ("label!", "a")]));
        assert!(!passes(&image, &[("dangling", "true")]));
        assert!(passes(&found("moby-dangling@sha256:x"), &[("dangling", "1")]));
        assert!(!passes(&image, &[("reference", "*/busybox")]));
    }

    #[test]
    fn only_names_that_were_asked_for_are_shown() {
        let names = ["docker.io/library/a:1", "docker.io/library/a:2", "docker.io/library/b:1"];
        let mut image = found(names[0]);
        image.records = names.map(|name| Record::new(name, image.target.clone())).to_vec();
        for (pattern, expected) in [("a", &names[..2]), ("*:1", &[names[0], names[2]]), ("b:*", &names[2..])]
        {
            let values = [pattern.to_owned()];
            let filters =
                Filters::parse([("reference", &values[..])].into_iter(), &["reference"]).expect("valid");
            let shown: Vec<_> =
                filters.shown(image.clone()).records.into_iter().map(|record| record.name).collect();
            assert_eq!(shown, expected, "{pattern}");
        }
        assert_eq!(Filters::default().shown(image).records.len(), 3);
    }

    #[test]
    fn unknown_keys_and_odd_values_are_refused() {
        let parse = |key: &'static str, value: &str| {
            Filters::parse([(key, [value.to_owned()].as_slice())].into_iter(), &["dangling", "until"])
                .map(drop)
        };
        assert!(matches!(parse("x", "1"), Err(Error::Filter(_))));
        assert!(matches!(parse("dangling", "maybe"), Err(Error::FilterValue { .. })));
        assert!(matches!(parse("until", "then"), Err(Error::FilterValue { .. })));
        let broken = ["[".to_owned()];
        assert!(Filters::parse([("reference", &broken[..])].into_iter(), &["reference"]).is_err());
    }
}
