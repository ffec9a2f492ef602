//! Networks: the predefined ones, and their filters.

use gantry_api::network::Network;
use prost_types::Timestamp;

use crate::filters::has_label;
use crate::{Filters, moment};

/// The networks that always exist.
const PREDEFINED: [&str; 3] = ["bridge", "host", "none"];
/// The filters of lists.
pub const LIST_FILTERS: [&str; 7] = ["dangling", "driver", "id", "label", "name", "scope", "type"];
/// The filters of prunes.
pub const PRUNE_FILTERS: [&str; 3] = ["label", "label!", "until"];

/// Whether the network always exists.
pub fn is_predefined(name: &str) -> bool {
    PREDEFINED.contains(&name)
}

/// An invalid value of the filter `type`.
pub fn unknown_type(filters: &Filters) -> Option<&str> {
    let kinds = filters.values("type").iter().map(String::as_str);
    kinds.into_iter().find(|kind| !matches!(*kind, "custom" | "builtin"))
}

/// Whether a network matches the filters of a list; `dangling` is the value of that filter.
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
        && filters.values("label").iter().all(|label| has_label(&of.labels, label))
}

/// Whether a network is unused and matches the filters.
pub fn is_prunable(of: &Network, filters: &Filters, until: Option<&Timestamp>) -> bool {
    let made = moment::unix_nanos(Some(&of.created_at.into()));
    let old = until.is_none_or(|until| made < moment::unix_nanos(Some(until)));
    let labelled = filters.values("label").iter().all(|label| has_label(&of.labels, label))
        && !filters.values("label!").iter().any(|label| has_label(&of.labels, label));
    !is_predefined(&of.name) && of.endpoints.is_empty() && old && labelled
}

#[cfg(test)]
mod tests {
    use gantry_api::network::NetworkSpec;

    use super::*;

    fn named(name: &str) -> Network {
        let labels = [("team".to_owned(), "a".to_owned())].into();
        let spec = NetworkSpec { name: name.into(), labels, ..NetworkSpec::default() };
        Network { id: "abcdef".into(), ..gantry_fakes::network(spec) }
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
            assert_eq!(matches(&named("web_front"), &filters, dangling), expected, "{text}");
        }
    }

    #[test]
    fn predefined_networks_never_dangle() {
        let host = named("host");
        let none = Filters::default();
        assert!(!matches(&host, &none, Some(true)) && matches(&host, &none, Some(false)));
    }
}
