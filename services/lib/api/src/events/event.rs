//! Events.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use gantry_types::filter::FilterSet;
use gantry_types::{Namespace, identifier};
use prost_types::Any;

use super::fields::Filterable;
use super::{Payload, convert};
use crate::wire::Invalid;

/// An event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When it happened; `None` when its publisher does not say.
    pub at: Option<SystemTime>,
    /// The namespace in which it happened.
    pub namespace: Namespace,
    /// The topic.
    pub topic: Topic,
    /// What happened: in most cases a message of containerd's.
    pub message: Any,
}

impl Event {
    /// An event of this moment.
    pub fn now<M: prost::Name>(namespace: &Namespace, topic: Topic, message: &M) -> Self {
        Event {
            at: Some(SystemTime::now()),
            namespace: namespace.clone(),
            topic,
            message: gantry_proto::pack(message),
        }
    }

    /// Whether it matches the filters.
    pub fn passes(&self, filters: &FilterSet) -> bool {
        filters.matches(&Filterable::new(self))
    }

    /// What it tells; `None` for an event of another kind, and for a message that does not decode.
    pub fn payload(&self) -> Option<Payload> {
        convert::payload(&self.message)
    }
}

/// The topic of an event: a path of identifiers, such as `/tasks/exit`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Topic(String);

impl Topic {
    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Topic {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let Some(parts) = text.strip_prefix('/') else {
            return Err(Invalid::Text { what: "topic", value: text.to_owned() });
        };
        for part in parts.split('/') {
            identifier::validate(part)?;
        }
        Ok(Topic(text.to_owned()))
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Topic;

    #[test]
    fn topics_are_paths_of_identifiers() {
        assert_eq!(
            "/tasks/exec-added".parse::<Topic>().map(|topic| topic.to_string()).unwrap(),
            "/tasks/exec-added"
        );
        for text in ["", "tasks", "/", "/tasks/", "/tasks//exit", "/ta sks"] {
            assert!(text.parse::<Topic>().is_err(), "{text:?}");
        }
    }
}
