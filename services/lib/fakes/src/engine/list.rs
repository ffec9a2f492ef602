//! Filters of the fake engine's container lists.

use gantry_api::engine::{Filter, ListQuery, Status};
use gantry_rpc::Code;

use super::container::{Container, Phase};
use super::state::State;
use crate::Refused;

const KNOWN: [&str; 10] =
    ["ancestor", "before", "exited", "id", "label", "label!", "name", "network", "since", "status"];
/// Filters of the engine about properties that fake containers do not have.
const ABSENT: [&str; 6] = ["expose", "health", "is-task", "isolation", "publish", "volume"];
const STATES: [&str; 7] = ["created", "running", "paused", "restarting", "removing", "exited", "dead"];

fn invalid<T>(text: &str, reason: &'static str) -> Result<T, Refused> {
    Err(Refused::new(Code::InvalidArgument, text, reason))
}

fn has_label(container: &Container, wanted: &str) -> bool {
    let labels = &container.spec.config.labels;
    match wanted.split_once('=') {
        Some((key, value)) => labels.get(key).is_some_and(|label| label == value),
        None => labels.contains_key(wanted),
    }
}

/// Whether labels match a filter; `None` if it is not about labels.
pub(super) fn by_label(filter: &Filter, container: &Container) -> Option<bool> {
    let has = |value: &String| has_label(container, value);
    match filter.key.as_str() {
        "label" => Some(filter.values.iter().all(has)),
        "label!" => Some(!filter.values.iter().any(has)),
        _ => None,
    }
}

/// The ids of the containers that match a query, newest first.
pub(super) fn chosen(state: &mut State, query: &ListQuery) -> Result<Vec<String>, Refused> {
    let mut bounds = Vec::new();
    let mut ancestors = Vec::new();
    for filter in &query.filters {
        match filter.key.as_str() {
            odd if ABSENT.contains(&odd) => {
                return Err(Refused::new(Code::Unimplemented, odd, "no filter of a fake"));
            }
            odd if !KNOWN.contains(&odd) => return invalid(odd, "no such filter"),
            "status" if filter.values.iter().any(|value| !STATES.contains(&value.as_str())) => {
                return invalid("status", "no such state");
            }
            "exited" if filter.values.iter().any(|value| value.parse::<i32>().is_err()) => {
                return invalid("exited", "not a number");
            }
            "before" | "since" => {
                for value in filter.values.iter().take(1) {
                    bounds.push((filter.key == "before", state.find(value)?.created_at));
                }
            }
            "ancestor" => ancestors.extend(filter.values.iter().filter_map(|value| state.image(value).ok())),
            _ => {}
        }
    }
    let has = |key: &str| query.filters.iter().any(|filter| filter.key == key);
    let all = query.all || query.limit > 0 || has("status");
    let by_ancestor = has("ancestor");
    let passes = |container: &&Container| {
        let bounded = |(before, bound): &(bool, i64)| match before {
            true => container.created_at < *bound,
            false => container.created_at > *bound,
        };
        (all || matches!(container.status(), Status::Running | Status::Paused))
            && bounds.iter().all(bounded)
            && (!by_ancestor || ancestors.contains(&container.image_id))
            && query.filters.iter().all(|filter| matches(filter, container))
    };
    let limit = usize::try_from(query.limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let passing = state.containers.iter().rev().filter(passes);
    Ok(passing.take(limit).map(|container| container.id.clone()).collect())
}

fn matches(filter: &Filter, container: &Container) -> bool {
    let any = |is: &dyn Fn(&str) -> bool| filter.values.iter().any(|value| is(value));
    match filter.key.as_str() {
        "id" => any(&|value| container.id.starts_with(value)),
        "name" => any(&|value| format!("/{}", container.name).contains(value)),
        "network" => any(&|value| container.networks.contains_key(value)),
        "status" => any(&|value| container.status().name() == value),
        "exited" => {
            any(&|value| container.phase == Phase::Exited && value.parse() == Ok(container.exit_code))
        }
        _ => by_label(filter, container).unwrap_or(true),
    }
}
