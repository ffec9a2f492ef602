//! Filters: keys with values. On the wire `{"key":{"value":true}}`, or the older `{"key":["value"]}`; on a command
//! line `key=value`.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use gantry_types::filter;
use serde_json::Value;

use crate::{Invalid, moment};

/// The filters of a request: keys with their values, in order.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Filters(BTreeMap<String, Vec<String>>);

impl Filters {
    /// Parses the parameter; refuses keys that the route does not know.
    pub fn parse(text: &str, known: &[&str]) -> Result<Self, Invalid> {
        let filters = Self::parse_any(text)?;
        match filters.0.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(Invalid::new(format!("invalid filter '{key}'"))),
            None => Ok(filters),
        }
    }

    /// Parses the parameter with any keys.
    pub fn parse_any(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let invalid = || Invalid::new("invalid filter");
        let value: Value = serde_json::from_str(text).map_err(|_| invalid())?;
        let keys = match value {
            Value::Object(keys) => keys,
            Value::Null => return Ok(Self::default()),
            _ => return Err(invalid()),
        };
        let mut filters = BTreeMap::new();
        for (key, values) in keys {
            let values = match values {
                Value::Object(set) => set
                    .into_iter()
                    .map(|(value, on)| if on.is_boolean() { Ok(value) } else { Err(invalid()) })
                    .collect::<Result<_, _>>()?,
                Value::Array(list) => {
                    list.into_iter().map(plain).collect::<Option<_>>().ok_or_else(invalid)?
                }
                _ => return Err(invalid()),
            };
            filters.insert(key, values);
        }
        Ok(Self(filters))
    }

    /// Drops keys that the route does not know, where Docker ignores them.
    pub fn retain(&mut self, known: &[&str]) {
        self.0.retain(|key, _| known.contains(&key.as_str()));
    }

    /// The values of a key; empty when it was not sent.
    pub fn values(&self, key: &str) -> &[String] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    /// Whether the key was sent.
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Parses the pairs of a command line.
    pub fn pairs(pairs: &[String], known: &[&str]) -> Result<Self, Invalid> {
        let mut filters = Self::default();
        for pair in pairs {
            let (key, value) = pair
                .split_once('=')
                .ok_or_else(|| Invalid::new(format!("invalid filter {pair:?}: KEY=VALUE is expected")))?;
            let key = key.trim().to_lowercase();
            if !known.contains(&key.as_str()) {
                let known = known.join(", ");
                return Err(Invalid::new(format!("invalid filter '{key}': it is one of {known}")));
            }
            filters.add(&key, value.trim());
        }
        Ok(filters)
    }

    /// Adds a value.
    pub fn add(&mut self, key: &str, value: &str) {
        self.0.entry(key.to_owned()).or_default().push(value.to_owned());
    }

    /// Whether the text is one of a key's values, or matches one as an unanchored regular expression; true when the
    /// key was not sent.
    pub fn matches(&self, key: &str, text: &str) -> bool {
        let values = self.values(key);
        values.is_empty() || values.iter().any(|value| value == text || finds(value, text))
    }

    /// The value of a boolean filter.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, Invalid> {
        match self.values(key) {
            [] => Ok(None),
            values => {
                let truths: Vec<_> = values.iter().map(|value| truth(value)).collect();
                match truths.as_slice() {
                    [Some(first), rest @ ..] if rest.iter().all(|other| other == &Some(*first)) => {
                        Ok(Some(*first))
                    }
                    _ => Err(Invalid::new(format!("invalid filter '{key}=[{}]'", values.join(" ")))),
                }
            }
        }
    }

    /// The `until` of the prune routes.
    pub fn until(&self) -> Result<Option<prost_types::Timestamp>, Invalid> {
        match self.values("until") {
            [] => Ok(None),
            [one] => instant(one),
            _ => Err(Invalid::new("more than one until filter specified")),
        }
    }

    /// Checks the `until` of a list, which may be given several times.
    pub fn check_until(&self) -> Result<(), Invalid> {
        self.values("until").iter().try_for_each(|value| instant(value).map(drop))
    }

    /// The keys and values in order.
    pub fn into_pairs(self) -> impl Iterator<Item = (String, Vec<String>)> {
        self.0.into_iter()
    }
}

fn instant(value: &str) -> Result<Option<prost_types::Timestamp>, Invalid> {
    moment::parse(value, &moment::now())
        .map_err(|_| Invalid::new(format!("failed to parse value as time or duration: {value:?}")))
}

/// Searches by the regular expressions of containerd's filters, whose cost is bounded.
fn finds(expression: &str, text: &str) -> bool {
    struct Text<'a>(&'a str);
    impl filter::Fields for Text<'_> {
        fn field(&self, _: &[String]) -> Option<Cow<'_, str>> {
            Some(Cow::Borrowed(self.0))
        }
    }
    let literal = expression.replace('/', "\\/");
    filter::FilterSet::parse(&[format!("text~=/{literal}/")]).is_ok_and(|set| set.matches(&Text(text)))
}

fn plain(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

/// A set of labels in any representation.
pub trait Labels {
    /// The value of a label.
    fn label(&self, name: &str) -> Option<&str>;
}

impl Labels for BTreeMap<String, String> {
    fn label(&self, name: &str) -> Option<&str> {
        self.get(name).map(String::as_str)
    }
}

impl Labels for HashMap<String, String> {
    fn label(&self, name: &str) -> Option<&str> {
        self.get(name).map(String::as_str)
    }
}

/// Whether labels have `name`, or `name=value`.
pub fn has_label(labels: &impl Labels, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((name, value)) => labels.label(name) == Some(value),
        None => labels.label(wanted).is_some(),
    }
}

/// A boolean in Go's spellings.
pub fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let new = Filters::parse(r#"{"label":{"a=b":true,"c":true}}"#, &["label"]).expect("valid");
        let old = Filters::parse(r#"{"label":["a=b","c"]}"#, &["label"]).expect("valid");
        assert_eq!(new, old);
        assert_eq!(new.values("label"), ["a=b", "c"]);
        assert!(new.values("name").is_empty());
    }

    #[test]
    fn unknown_keys_and_wrong_types_are_refused() {
        let rows = [
            (r#"{"bad":{"x":true}}"#, "invalid filter 'bad'"),
            ("notjson", "invalid filter"),
            ("[]", "invalid filter"),
            (r#"{"label":1}"#, "invalid filter"),
            (r#"{"label":{"x":1}}"#, "invalid filter"),
            (r#"{"label":[{}]}"#, "invalid filter"),
        ];
        for (text, message) in rows {
            let error = Filters::parse(text, &["label"]).expect_err(text);
            assert_eq!(error.to_string(), message);
        }
        assert_eq!(Filters::parse("", &[]).expect("none"), Filters::default());
    }

    #[test]
    fn a_command_line_s_pairs() {
        let read = |pairs: &[&str]| {
            Filters::pairs(
                &pairs.iter().map(|pair| (*pair).to_owned()).collect::<Vec<_>>(),
                &["label", "label!"],
            )
        };
        let filters = read(&["label=a=b", "Label = c", "label!=d"]).expect("valid");
        assert_eq!(
            (filters.values("label"), filters.values("label!")),
            (&["a=b".into(), "c".into()][..], &["d".into()][..])
        );
        for wrong in ["label", "color=red"] {
            assert!(read(&[wrong]).expect_err(wrong).to_string().contains("invalid filter"));
        }
    }

    #[test]
    fn values_match_as_expressions() {
        let rows = [
            ("web", true),
            ("e", true),
            ("^web$", true),
            ("^e", false),
            ("w.b|x", true),
            ("we/b", false),
            ("we\\", false),
            ("(", false),
        ];
        for (value, expected) in rows {
            let mut filters = Filters::default();
            filters.add("name", value);
            assert_eq!(filters.matches("name", "web"), expected, "{value}");
            assert!(filters.matches("id", "web"), "a key that was not sent");
        }
        let mut filters = Filters::default();
        filters.add("name", "a+(");
        assert!(filters.matches("name", "a+("), "no expression, but the same text");
    }

    #[test]
    fn a_label_is_there_by_its_name_or_with_its_value() {
        let labels = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), String::new())]);
        for (wanted, there) in
            [("a", true), ("a=1", true), ("a=2", false), ("b=", true), ("c", false), ("", false)]
        {
            assert_eq!(has_label(&labels, wanted), there, "{wanted}");
        }
    }

    #[test]
    fn flags() {
        let filters =
            Filters::parse_any(r#"{"dangling":["true"],"all":["1"],"odd":["maybe"]}"#).expect("valid");
        assert_eq!(filters.flag("dangling").expect("flag"), Some(true));
        assert_eq!(filters.flag("all").expect("flag"), Some(true));
        assert_eq!(filters.flag("none").expect("flag"), None);
        assert!(filters.flag("odd").is_err());
    }
}
