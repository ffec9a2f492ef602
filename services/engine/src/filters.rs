//! Docker's filters: keys with values. The values of one key are alternatives; all keys must match, and all labels
//! must match.

use std::collections::BTreeMap;

use gantry_docker::filters::{Labels, has_label, truth};
use gantry_docker::moment;
use regex::Regex;

/// Keys whose values also match as regular expressions.
const EXPRESSIONS: [&str; 2] = ["id", "name"];

/// A set of filters.
#[derive(Clone, Debug, Default)]
pub struct Filters {
    values: BTreeMap<String, Vec<String>>,
    /// Compiled once, because a list matches each of its objects.
    expressions: BTreeMap<String, Vec<Regex>>,
}

impl Filters {
    /// Collects pairs. A key that occurs twice has the values of both.
    pub fn new(pairs: impl IntoIterator<Item = (String, Vec<String>)>) -> Filters {
        let mut map: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (key, values) in pairs {
            map.entry(key).or_default().extend(values);
        }
        let expressions = EXPRESSIONS.iter().filter_map(|key| {
            let values = map.get(*key)?;
            Some(((*key).to_owned(), values.iter().filter_map(|value| Regex::new(value).ok()).collect()))
        });
        Filters { expressions: expressions.collect(), values: map }
    }

    /// The first key that is not in `known`.
    pub fn unknown(&self, known: &[&str]) -> Option<&str> {
        self.values.keys().map(String::as_str).find(|key| !known.contains(key))
    }

    /// The values of a key; empty when it is absent.
    pub fn values(&self, key: &str) -> &[String] {
        self.values.get(key).map_or(&[], Vec::as_slice)
    }

    /// Whether a key is given.
    pub fn has(&self, key: &str) -> bool {
        !self.values(key).is_empty()
    }

    /// Whether one of a key's values satisfies the predicate; true if the key is absent.
    pub fn any_of(&self, key: &str, satisfied: impl Fn(&str) -> bool) -> bool {
        let values = self.values(key);
        values.is_empty() || values.iter().any(|value| satisfied(value))
    }

    /// Whether a text equals one of the key's values, or matches one of `id` or `name` as an unanchored expression.
    pub fn matches(&self, key: &str, text: &str) -> bool {
        self.any_of(key, |value| text == value)
            || self.expressions.get(key).is_some_and(|all| all.iter().any(|one| one.is_match(text)))
    }

    /// Whether the labels have every `name` and `name=value` of the key.
    pub fn labels(&self, key: &str, labels: &impl Labels) -> bool {
        self.values(key).iter().all(|wanted| has_label(labels, wanted))
    }

    /// Whether the labels have no `name` and no `name=value` of the key.
    pub fn labels_absent(&self, key: &str, labels: &impl Labels) -> bool {
        !self.values(key).iter().any(|unwanted| has_label(labels, unwanted))
    }

    /// A key's truth value: `true`/`1` or `false`/`0`, and `None` if it is absent. The error is the value that is
    /// neither.
    pub fn boolean(&self, key: &str) -> Result<Option<bool>, String> {
        match self.values(key) {
            [] => Ok(None),
            [one] => truth(one).map(Some).ok_or_else(|| one.clone()),
            several => Err(several.join(",")),
        }
    }

    /// The point in time of `until`, nanoseconds since 1970: RFC 3339, seconds since 1970, or a duration before now.
    pub fn until(&self, key: &str) -> Result<Option<i64>, String> {
        let Some(text) = self.values(key).first() else { return Ok(None) };
        point_in_time(text).map(Some).ok_or_else(|| text.clone())
    }
}

/// Reads a point in time as Docker's clients write it. The result is in nanoseconds since 1970.
fn point_in_time(text: &str) -> Option<i64> {
    let at = moment::parse(text, &moment::now()).ok()??;
    Some(moment::unix_nanos(Some(&at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(key: &str, values: &[&str]) -> Filters {
        Filters::new([(key.to_owned(), values.iter().map(|value| (*value).to_owned()).collect())])
    }

    #[test]
    fn labels_must_all_hold() {
        let labels = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), String::new())]);
        assert!(filters("label", &["a=1", "b"]).labels("label", &labels));
        assert!(!filters("label", &["a=2", "b"]).labels("label", &labels));
        assert!(!filters("label!", &["b"]).labels_absent("label!", &labels));
    }

    #[test]
    fn names_match_as_expressions() {
        assert!(filters("name", &["^we"]).matches("name", "web"));
        assert!(filters("name", &["e"]).matches("name", "web"));
        assert!(!filters("name", &["^e"]).matches("name", "web"));
    }

    #[test]
    fn points_in_time() {
        assert_eq!(point_in_time("1700000000.5"), Some(1_700_000_000_500_000_000));
        assert_eq!(point_in_time("1970-01-01T00:00:01Z"), Some(1_000_000_000));
        assert_eq!(point_in_time("never"), None);
        let ago = point_in_time("1m30s").expect("a duration");
        assert!((crate::time::now() - ago - 90_000_000_000).abs() < 1_000_000_000);
    }
}
