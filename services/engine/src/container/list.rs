//! Lists containers with Docker's filters. Only sizes and images, if requested, need other services.

use std::ops::RangeInclusive;
use std::sync::Arc;

use gantry_api::engine::{Filter, ListQuery, Listing, Status};

use super::Container;
use super::port::Port;
use super::view::{sizes, summary};
use crate::containers::Containers;
use crate::error::{Error, Result};
use crate::filters::Filters;
use crate::peers::{Images, Snapshots};
use crate::record::{Record, Stage};

const KNOWN: [&str; 16] = [
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "label!",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];

/// The containers that match, newest first; or the answer that the client's list is still valid.
pub async fn list(
    containers: &Containers,
    images: &Images,
    snapshots: &Snapshots,
    request: &ListQuery,
) -> Result<Listing> {
    let filters = filters_of(&request.filters);
    if let Some(unknown) = filters.unknown(&KNOWN) {
        return Err(Error::Invalid(format!("invalid filter '{unknown}'")));
    }
    check_values(&filters)?;
    // Read before the containers are looked at, so that the list is never older than its generation.
    let generation =
        if request.size || filters.has("ancestor") { 0 } else { containers.index.generation().now() };
    if generation != 0 && generation == request.newer_than {
        return Ok(Listing { generation, unchanged: true, ..Listing::default() });
    }
    let all = request.all || request.limit > 0 || filters.has("status");
    let bound = |key: &str| -> Result<Option<i64>> {
        match filters.values(key).first() {
            Some(name) => Ok(Some(containers.find(name)?.record().created_at)),
            None => Ok(None),
        }
    };
    let (before, since) = (bound("before")?, bound("since")?);
    let ancestors = ancestors(images, &filters).await;
    let mut passing: Vec<Arc<Container>> = containers
        .all()
        .into_iter()
        .filter(|container| {
            let record = container.record();
            record.stage != Stage::Creating
                && (all || is_up(container.status()))
                && before.is_none_or(|bound| record.created_at < bound)
                && since.is_none_or(|bound| record.created_at > bound)
                && passes(container, &record, &filters)
                && (ancestors.is_empty() && !filters.has("ancestor") || ancestors.contains(&record.image_id))
        })
        .collect();
    passing.sort_by_cached_key(|container| std::cmp::Reverse(container.record().created_at));
    if let Ok(limit @ 1..) = usize::try_from(request.limit) {
        passing.truncate(limit);
    }
    let mut listed: Vec<_> = passing.iter().map(|container| summary(container)).collect();
    if request.size {
        for (container, one) in passing.iter().zip(&mut listed) {
            let sizes = sizes(snapshots, &container.record().snapshotter, container.id()).await;
            one.size_rw = sizes.as_ref().map(|sizes| sizes.own);
            one.size_root_fs = sizes.as_ref().map(|sizes| sizes.whole);
        }
    }
    Ok(Listing { containers: listed, generation, unchanged: false })
}

fn check_values(filters: &Filters) -> Result<()> {
    for (key, what, words) in [
        (
            "status",
            "state",
            &["created", "running", "paused", "restarting", "removing", "exited", "dead"][..],
        ),
        ("health", "health", &["none", "starting", "healthy", "unhealthy"]),
    ] {
        if let Some(bad) = filters.values(key).iter().find(|value| !words.contains(&value.as_str())) {
            return Err(Error::Invalid(format!(
                "invalid filter '{key}={bad}': invalid value for {what} ({bad}): must be one of {}",
                words.join(", ")
            )));
        }
    }
    if let Some(bad) = filters.values("exited").iter().find(|value| value.parse::<i32>().is_err()) {
        return Err(Error::Invalid(format!("invalid filter 'exited={bad}': not a number")));
    }
    for key in ["publish", "expose"] {
        if let Some(bad) = filters.values(key).iter().find(|value| port_range(value).is_none()) {
            return Err(Error::Invalid(format!("error while looking up for {key} {bad}: not a port")));
        }
    }
    filters
        .boolean("is-task")
        .map(drop)
        .map_err(|text| Error::Invalid(format!("invalid filter 'is-task=[{text}]'")))
}

/// Ids of the images that the filter names. An image that does not exist has no containers.
async fn ancestors(images: &Images, filters: &Filters) -> Vec<String> {
    let mut ids = Vec::new();
    for name in filters.values("ancestor") {
        match images.resolve(name, "").await {
            Ok(image) => ids.push(image.id().to_string()),
            Err(error) => {
                tracing::debug!(image = name, error = %gantry_rpc::chain(&error), "ancestor not found")
            }
        }
    }
    ids
}

/// Filters from the request.
pub fn filters_of(filters: &[Filter]) -> Filters {
    Filters::new(filters.iter().map(|filter| (filter.key.clone(), filter.values.clone())))
}

fn is_up(status: Status) -> bool {
    matches!(status, Status::Running | Status::Paused | Status::Restarting)
}

fn passes(container: &Container, record: &Record, filters: &Filters) -> bool {
    let life = container.life();
    let status = life.status();
    let health = life.health.as_ref().map_or("none", |health| health.status.as_str());
    let stopped = matches!(status, Status::Exited | Status::Dead);
    let published = life.netns().into_iter().flat_map(|netns| &netns.ports);
    let networks = &record.networks;
    // Unlike all other keys, these two are alternatives of each other.
    let ports = ["expose", "publish"];
    let is_open = |key: &str, wanted: &str| match key {
        "publish" => {
            published.clone().any(|port| port_matches(port.host_port.into(), port.protocol.name(), wanted))
        }
        _ => {
            let exposed = record.config.exposed_ports.iter().filter_map(|port| port.parse::<Port>().ok());
            is_up(status) && { exposed }
                .any(|port| port_matches(port.number.into(), port.protocol.as_str(), wanted))
        }
    };
    filters.matches("id", &record.id)
        && (filters.matches("name", &record.name) || filters.matches("name", &format!("/{}", record.name)))
        && filters.labels("label", &record.config.labels)
        && filters.labels_absent("label!", &record.config.labels)
        && filters.any_of("status", |value| value == status.name())
        && filters.any_of("exited", |value| {
            stopped && life.past().started_at != 0 && value.parse() == Ok(life.past().exit_code)
        })
        && filters.any_of("health", |value| value == health)
        && filters.any_of("network", |value| {
            networks.iter().any(|(name, settings)| {
                let id = life.network_id(name, settings);
                name == value || (crate::names::is_id_prefix(value) && id.starts_with(value))
            })
        })
        && filters.any_of("volume", |value| {
            record.mounts.iter().any(|mount| {
                mount.point.name == value || mount.point.destination == value || mount.point.source == value
            })
        })
        && (ports.iter().all(|key| !filters.has(key))
            || ports.iter().any(|key| filters.has(key) && filters.any_of(key, |value| is_open(key, value))))
        && filters.any_of("is-task", |value| matches!(value, "false" | "False" | "FALSE" | "0"))
}

fn port_matches(number: u32, protocol: &str, wanted: &str) -> bool {
    port_range(wanted).is_some_and(|(range, wanted)| protocol == wanted && range.contains(&number))
}

/// Reads `80`, `80/tcp` or `8000-8010/tcp`.
fn port_range(text: &str) -> Option<(RangeInclusive<u32>, &str)> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then(|| (u32::from(first)..=u32::from(last), protocol))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::life::{Life, Past, Phase, Running};
    use crate::generation::Generation;

    /// A container in a phase, with a run in the past.
    fn container(phase: Phase) -> Container {
        let mut record = Record { id: "a".repeat(64), name: "web".to_owned(), ..Default::default() };
        record.config.exposed_ports = vec!["80/tcp".to_owned()];
        let past = Past { exit_code: 3, started_at: 1, ..Past::default() };
        Container::new(record, Life::at(phase, past), &Arc::default()).expect("an id")
    }

    fn pass(key: &str, value: &str) -> bool {
        pass_as(Phase::Exited, key, value)
    }

    fn pass_as(phase: Phase, key: &str, value: &str) -> bool {
        let container = container(phase);
        let filters = Filters::new([(key.to_owned(), vec![value.to_owned()])]);
        passes(&container, &container.record(), &filters)
    }

    #[test]
    fn whatever_lists_show_begins_a_generation() {
        let generation = Arc::new(Generation::default());
        let (record, life) =
            (Record { id: "c".to_owned(), ..Record::default() }, Life::at(Phase::Created, Past::default()));
        let container = Container::new(record, life, &generation).expect("an id");
        let mut before = generation.now();
        let mut begins = |what: &str, change: &dyn Fn()| {
            change();
            assert!(generation.now() > before, "{what}");
            before = generation.now();
        };
        begins("a new record", &|| container.set_record(Record::default()));
        begins("another state", &|| {
            container.change(Life::remove).expect("at rest");
        });
        begins("a lost name", &|| container.set_image_name_lost(true));
        container.set_image_name_lost(true);
        container.set_further_names(Vec::new());
        assert_eq!(generation.now(), before, "nothing is different");
    }

    #[test]
    fn each_filter_says_yes_and_no() {
        for (key, yes, no) in [
            ("id", "aaa", "b"),
            ("name", "^/?web$", "db"),
            ("status", "exited", "running"),
            ("exited", "3", "0"),
            ("health", "none", "healthy"),
            ("is-task", "false", "true"),
        ] {
            assert!(pass(key, yes), "{key}={yes}");
            assert!(!pass(key, no), "{key}={no}");
        }
    }

    #[test]
    fn ports_are_open_while_it_runs() {
        assert!(pass_as(Phase::Running(Running::default()), "expose", "79-81"));
        assert!(!pass_as(Phase::Running(Running::default()), "expose", "80/udp"));
        assert!(!pass_as(Phase::Exited, "expose", "80"));
        // An exposed port is not a published one.
        assert!(!pass_as(Phase::Running(Running::default()), "publish", "80"));
    }

    #[tokio::test]
    async fn who_has_the_newest_list_is_told_so_and_odd_filters_are_refused() {
        let stage = crate::stage::Stage::new();
        stage.made("web").await;
        stage.running("db").await;
        let ask = async |query: ListQuery| {
            list(&stage.containers, &stage.peers.images, &stage.peers.snapshots, &query).await
        };
        let filter = |key: &str, value: &str| Filter { key: key.to_owned(), values: vec![value.to_owned()] };
        let up = ask(ListQuery::default()).await.expect("listed");
        let names: Vec<_> = up.containers.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["db"], "what does not run is not asked for");
        let query = ListQuery { newer_than: up.generation, ..ListQuery::default() };
        assert!(ask(query.clone()).await.expect("listed").unchanged);
        stage.made("front").await;
        assert!(!ask(query).await.expect("listed").unchanged);
        let of =
            |key, value| ListQuery { filters: vec![filter(key, value)], all: true, ..ListQuery::default() };
        for (key, value) in [("colour", "red"), ("status", "odd"), ("exited", "x"), ("before", "nobody")] {
            ask(of(key, value)).await.map(|listing| listing.containers.len()).expect_err(key);
        }
        // Without the images service, no container is known to be made from the image.
        assert!(ask(of("ancestor", "busybox")).await.expect("listed").containers.is_empty());
    }
}
