//! Labels: short texts that clients set on an object, to find it, and to keep references.

use std::collections::{BTreeMap, HashMap};
use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The labels of an object, sorted by key.
///
/// Wherever labels are set, an empty value means "no such label": see [`Labels::apply_update`] and
/// [`Labels::without_empty`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// How many bytes key and value of one label may have together.
    pub const MAX_BYTES: usize = 4096;

    /// No labels.
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks every label's length.
    pub fn validate(&self) -> Result<()> {
        for (key, value) in &self.0 {
            let length = key.len() + value.len();
            if length > Self::MAX_BYTES {
                return Err(Error::Label { key: key.chars().take(64).collect(), length });
            }
        }
        Ok(())
    }

    /// Removes labels without a value, for a new object.
    pub fn without_empty(mut self) -> Self {
        self.0.retain(|_, value| !value.is_empty());
        self
    }

    /// Applies an update as containerd's services do: an empty mask or `labels` replaces all labels by those of
    /// `update`; `labels.<key>` sets that label, or deletes it if `update` has no value for it.
    ///
    /// For objects on which only labels can change: any other path is an error. Nothing changes on an error.
    pub fn apply_update<P: AsRef<str>>(&mut self, update: &Labels, mask: &[P]) -> Result<()> {
        self.relabel(&Relabel::parse(update.clone(), mask)?)
    }

    /// Applies a change. Nothing changes on an error.
    pub fn relabel(&mut self, change: &Relabel) -> Result<()> {
        let updated = match change {
            Relabel::All(labels) => labels.clone(),
            Relabel::Each(labels) => {
                let mut updated = self.clone();
                updated.0.extend(labels.clone());
                updated
            }
        };
        updated.validate()?;
        *self = updated.without_empty();
        Ok(())
    }

    /// Applies one path of an update mask. Returns `false`, without a change, if the path is not about labels.
    ///
    /// For objects with further fields: the caller handles the other paths, and calls [`Labels::validate`] at the
    /// end.
    pub fn apply_path(&mut self, update: &Labels, path: &str) -> bool {
        if path == "labels" {
            *self = update.clone().without_empty();
            return true;
        }
        let Some(key) = path.strip_prefix("labels.") else { return false };
        match update.0.get(key).filter(|value| !value.is_empty()) {
            Some(value) => self.0.insert(key.to_owned(), value.clone()),
            None => self.0.remove(key),
        };
        true
    }
}

/// A change of the labels of an object on which only labels can change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Relabel {
    /// Replaces all labels.
    All(Labels),
    /// Sets these labels, or deletes those without a value; the others stay.
    Each(Labels),
}

impl Relabel {
    /// The change of an update with a mask, as in containerd's services: see [`Labels::apply_update`].
    pub fn parse<P: AsRef<str>>(update: Labels, mask: &[P]) -> Result<Self> {
        let mut each = Labels::new();
        let mut all = mask.is_empty();
        for path in mask.iter().map(AsRef::as_ref) {
            match path.strip_prefix("labels.") {
                Some(key) => {
                    each.insert(key.to_owned(), update.get(key).cloned().unwrap_or_default());
                }
                None if path == "labels" => all = true,
                None => return Err(Error::UpdateMask { path: path.to_owned() }),
            }
        }
        Ok(if all { Relabel::All(update) } else { Relabel::Each(each) })
    }

    /// The update and the mask of this change.
    pub fn into_update(self) -> (Labels, Vec<String>) {
        match self {
            Relabel::All(labels) => (labels, vec!["labels".to_owned()]),
            Relabel::Each(labels) => {
                let mask = labels.keys().map(|key| format!("labels.{key}")).collect();
                (labels, mask)
            }
        }
    }
}

impl Deref for Labels {
    type Target = BTreeMap<String, String>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Labels {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl From<BTreeMap<String, String>> for Labels {
    fn from(map: BTreeMap<String, String>) -> Self {
        Labels(map)
    }
}

impl From<HashMap<String, String>> for Labels {
    fn from(map: HashMap<String, String>) -> Self {
        map.into_iter().collect()
    }
}

impl From<Labels> for HashMap<String, String> {
    fn from(labels: Labels) -> Self {
        labels.0.into_iter().collect()
    }
}

impl From<Labels> for BTreeMap<String, String> {
    fn from(labels: Labels) -> Self {
        labels.0
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(labels: I) -> Self {
        Labels(labels.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}

impl<K: Into<String>, V: Into<String>, const N: usize> From<[(K, V); N]> for Labels {
    fn from(labels: [(K, V); N]) -> Self {
        labels.into_iter().collect()
    }
}

impl IntoIterator for Labels {
    type Item = (String, String);
    type IntoIter = std::collections::btree_map::IntoIter<String, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = (&'a String, &'a String);
    type IntoIter = std::collections::btree_map::Iter<'a, String, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Labels {
        Labels::from([("a", "1"), ("b.c", "2")])
    }

    #[test]
    fn an_empty_mask_replaces_and_empty_values_delete() {
        let mut it = labels();
        it.apply_update(&Labels::from([("d", "4"), ("a", "")]), &[] as &[&str]).unwrap();
        assert_eq!(it, Labels::from([("d", "4")]));
    }

    #[test]
    fn a_masked_label_is_set_or_deleted_and_the_rest_stays() {
        let mut it = labels();
        it.apply_update(&Labels::from([("b.c", "3"), ("d", "4")]), &["labels.b.c", "labels.a"]).unwrap();
        assert_eq!(it, Labels::from([("b.c", "3")]));
    }

    #[test]
    fn an_unknown_path_changes_nothing() {
        let mut it = labels();
        let error = it.apply_update(&Labels::from([("a", "9")]), &["labels.a", "size"]).unwrap_err();
        assert_eq!(error, Error::UpdateMask { path: "size".into() });
        assert_eq!(it, labels());
    }

    #[test]
    fn a_label_has_at_most_4096_bytes() {
        let key = "k".repeat(96);
        assert!(Labels::from([(key.clone(), "v".repeat(4000))]).validate().is_ok());
        assert!(Labels::from([(key, "v".repeat(4001))]).validate().is_err());
    }
}
