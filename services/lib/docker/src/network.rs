//! Networks: which of them are always there, and which a filter chooses.

use gantry_proto::gantry::network::v1::Network;
use prost_types::Timestamp;

use crate::{Filters, moment};

/// These exist always and can neither be made nor removed.
const PREDEFINED: [&str; 3] = ["bridge", "host", "none"];
/// What lists are narrowed by.
pub const LIST_FILTERS: [&str; 7] = ["dangling", "driver", "id", "label", "name", "scope", "type"];
/// What prunings are narrowed by.
pub const PRUNE_FILTERS: [&str; 3] = ["label", "label!", "until"];

/// Whether a network of this name is always there.
pub fn is_predefined(name: &str) -> bool {
    PREDEFINED.contains(&name)
}

/// A value of the filter `type` that is none.
pub fn unknown_type(filters: &Filters) -> Option<&str> {
    let kinds = filters.values("type").iter().map(String::as_str);
    kinds.into_iter().find(|kind| !matches!(*kind, "custom" | "builtin"))
}

/// Whether a network passes the filters of a list; `dangling` is the truth of the filter of that name.
pub fn matches(of: &Network, filters: &Filters, dangling: Option<bool>) -> bool {
    let predefined = is_predefined(&of.name);
    let any = |key: &str, test: &dyn Fn(&str) -> bool| {
        let values = filters.values(key);
        values.is_empty() || values.iter().any(|value| test(value))
    };
    dangling.is_none_or(|dangling| (!predefined && of.endpoints.is_empty()) == dangling)
        && any("driver", &|driver| of.driver == driver)
        && filters.matches("id", &of.id)
        && filters.matches("name", &of.name)
        && any("scope", &|scope| of.scope == scope)
        && any("type", &|kind| (kind == "builtin") == predefined)
        && filters.values("label").iter().all(|label| has_label(of, label))
}

/// `key` or `key=value`
fn has_label(of: &Network, label: &str) -> bool {
    match label.split_once('=') {
        Some((key, value)) => of.labels.get(key).is_some_and(|found| found == value),
        None => of.labels.contains_key(label),
    }
}

/// Whether nobody uses a network, and the filters choose it.
pub fn is_prunable(of: &Network, filters: &Filters, until: Option<&Timestamp>) -> bool {
    let old = until
        .is_none_or(|until| moment::unix_nanos(of.created_at.as_ref()) < moment::unix_nanos(Some(until)));
    let labelled = filters.values("label").iter().all(|label| has_label(of, label))
        && !filters.values("label!").iter().any(|label| has_label(of, label));
    !is_predefined(&of.name) && of.endpoints.is_empty() && old && labelled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web() -> Network {
        Network {
            id: "abcdef".into(),
            name: "web_front".into(),
            driver: "bridge".into(),
            scope: "local".into(),
            labels: [("team".to_owned(), "a".to_owned())].into(),
            ..Network::default()
        }
    }

    #[test]
    fn filters_choose_networks() {
        let rows = [
            (r#"{"name":["front"]}"#, true),
            (r#"{"name":["other"]}"#, false),
            (r#"{"name":["other","web"]}"#, true),
            (r#"{"id":["abc"]}"#, true),
            (r#"{"name":["^web_front$"]}"#, true),
            (r#"{"name":["^front"]}"#, false),
            (r#"{"id":["^bc"]}"#, false),
            (r#"{"driver":["host"]}"#, false),
            (r#"{"label":["team"]}"#, true),
            (r#"{"label":["team=a"]}"#, true),
            (r#"{"label":["team=a","x"]}"#, false),
            (r#"{"type":["custom"]}"#, true),
            (r#"{"type":["builtin"]}"#, false),
            (r#"{"dangling":["true"]}"#, true),
            (r#"{"dangling":["false"]}"#, false),
            ("", true),
        ];
        for (text, expected) in rows {
            let filters = Filters::parse_any(text).expect(text);
            let dangling = filters.flag("dangling").expect(text);
            assert_eq!(matches(&web(), &filters, dangling), expected, "{text}");
        }
    }

    #[test]
    fn predefined_networks_never_dangle() {
        let host = Network { name: "host".into(), ..Network::default() };
        let none = Filters::default();
        assert!(!matches(&host, &none, Some(true)) && matches(&host, &none, Some(false)));
    }
}
