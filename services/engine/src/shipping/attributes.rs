//! The attributes of a container that are sent with each line.

use std::collections::BTreeMap;

use regex::Regex;

use super::tag;
use crate::error::Result;
use crate::logs::driver::Options;
use crate::names::short;
use crate::record::Record;

/// The facts about a container that its receivers get.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub id: String,
    pub name: String,
    pub image_id: String,
    pub image_name: String,
    pub command: String,
    /// Time of creation, RFC 3339.
    pub created: String,
    pub tag: String,
    /// Host name of the machine.
    pub hostname: String,
    /// The labels and variables that the user selected.
    pub extra: BTreeMap<String, String>,
}

impl Facts {
    /// Collects the facts.
    ///
    /// # Errors
    ///
    /// The tag is no valid template.
    pub fn of(record: &Record, hostname: &str) -> Result<Facts> {
        let options = super::options_of(record);
        let mut facts = Facts {
            id: record.id.clone(),
            name: record.name.clone(),
            image_id: record.image_id.clone(),
            image_name: record.config.image.clone(),
            command: command(record),
            created: created(record.created_at),
            tag: String::new(),
            hostname: hostname.to_owned(),
            extra: extra(record, options),
        };
        let template = options.get("tag").map_or("", String::as_str);
        facts.tag = tag::expand(if template.is_empty() { "{{.ID}}" } else { template }, &facts)?;
        Ok(facts)
    }

    /// The first digits of the id.
    pub fn short_id(&self) -> &str {
        short(&self.id)
    }
}

/// The labels and variables that the log's options select.
pub fn extra(record: &Record, options: &Options) -> BTreeMap<String, String> {
    let wanted = |names: &str, expression: &str| {
        let names: Vec<&str> = options.get(names).map(|text| text.split(',').collect()).unwrap_or_default();
        let expression = options.get(expression).and_then(|text| Regex::new(text).ok());
        move |key: &str| names.contains(&key) || expression.as_ref().is_some_and(|all| all.is_match(key))
    };
    let (label, variable) = (wanted("labels", "labels-regex"), wanted("env", "env-regex"));
    let labels = record.config.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let variables = record.config.env.iter().filter_map(|variable| variable.split_once('='));
    let labels = labels.filter(|(key, _)| label(key));
    let all = labels.chain(variables.filter(|(key, _)| variable(key)));
    all.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn command(record: &Record) -> String {
    let words = [&record.config.entrypoint, &record.config.cmd].into_iter().flatten();
    words.flatten().map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// Formats a time as Go does, without trailing zeros.
pub(super) fn created(nanoseconds: i64) -> String {
    let time =
        chrono::DateTime::from_timestamp_nanos(nanoseconds).format("%Y-%m-%dT%H:%M:%S%.9f").to_string();
    format!("{}Z", time.trim_end_matches('0').trim_end_matches('.'))
}
