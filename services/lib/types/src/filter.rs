//! containerd's filter language.
//!
//! ```text
//! filter   := selector ("," selector)*          all must match; an empty filter matches everything
//! selector := path | path op value              a path alone matches when the field is present
//! path     := field ("." field)*                field: [A-Za-z0-9_]+ or "quoted as in Go"
//! op       := "==" | "!=" | "~="                "~=" searches with a regular expression, unanchored
//! value    := up to a comma or white space, or "quoted"; after "~=" also /…/ or |…|
//! ```
//!
//! An object matches a [`FilterSet`], the filters of a request, if it matches one of them. White space around tokens
//! is skipped.

use std::borrow::Cow;

use crate::{Labels, Result};

mod parser;

/// An object that can be filtered, with its fields by path: `["labels", "a", "b"]` for `labels.a.b`.
pub trait Fields {
    /// The field's value; `None` if it is missing. A present field may be empty.
    fn field(&self, path: &[String]) -> Option<Cow<'_, str>>;
}

/// The label of a path after `labels`: its components joined by dots.
pub fn label<'a>(labels: &'a Labels, path: &[String]) -> Option<Cow<'a, str>> {
    labels.get(&path.join(".")).map(|value| Cow::Borrowed(value.as_str()))
}

/// The filters of a request: an object matches if one of them does, or if there is none.
#[derive(Debug, Clone, Default)]
pub struct FilterSet(Vec<Filter>);

impl FilterSet {
    /// Parses the filters of a request.
    pub fn parse<S: AsRef<str>>(filters: &[S]) -> Result<Self> {
        filters
            .iter()
            .map(|text| {
                let text = text.as_ref();
                parser::parse(text).map(|selectors| Filter { text: text.to_owned(), selectors })
            })
            .collect::<Result<_>>()
            .map(FilterSet)
    }

    /// Whether the object matches.
    pub fn matches(&self, object: &impl Fields) -> bool {
        self.0.is_empty()
            || self.0.iter().any(|filter| filter.selectors.iter().all(|selector| selector.holds(object)))
    }

    /// The filters as they were written.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|filter| filter.text.as_str())
    }

    /// Whether every object matches.
    pub fn is_empty(&self) -> bool {
        self.0.iter().any(|filter| filter.selectors.is_empty()) || self.0.is_empty()
    }
}

#[derive(Debug, Clone)]
struct Filter {
    text: String,
    selectors: Vec<Selector>,
}

#[derive(Debug, Clone)]
struct Selector {
    path: Vec<String>,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    Present,
    Equal(String),
    NotEqual(String),
    Matches(regex::bytes::Regex),
}

impl Selector {
    fn holds(&self, object: &impl Fields) -> bool {
        let field = object.field(&self.path);
        match (&self.test, field) {
            (Test::Present, field) => field.is_some(),
            (Test::Equal(value), field) => field.is_some_and(|field| field == value.as_str()),
            // As in containerd, a missing field compares as the empty text.
            (Test::NotEqual(value), field) => field.unwrap_or_default() != value.as_str(),
            (Test::Matches(regex), field) => regex.is_match(field.unwrap_or_default().as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests;
