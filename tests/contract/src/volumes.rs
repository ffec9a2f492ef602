//! Volumes.

use gantry_api::engine::volumes::{Force, Service, Usage};
use gantry_api::engine::{Filter, Volume, VolumeSpec};
use gantry_rpc::{Code, Coded};

/// Tests of `gantry_api::engine::volumes::Service`, on an engine without volumes and containers.
#[macro_export]
macro_rules! volumes {
    ($world:expr) => {
        $crate::suite!(
            volumes,
            $world,
            [
                a_volume_is_there_from_its_creation_to_its_removal,
                what_is_there_is_found_and_not_made_anew,
                a_volume_without_a_name_gets_one,
                volumes_are_listed_by_the_filters,
                usage_is_told_to_who_asks_for_it,
                a_prune_spares_what_has_a_name,
                a_prune_spares_what_has_options,
            ]
        );
    };
}

#[track_caller]
fn refused<T, E: Coded>(outcome: Result<T, E>, code: Code) {
    match outcome {
        Ok(_) => panic!("it did not fail, but should have with {code:?}"),
        Err(error) => assert_eq!(error.code(), code, "{error}"),
    }
}

fn named(name: &str) -> VolumeSpec {
    VolumeSpec { name: name.to_owned(), ..VolumeSpec::default() }
}

fn labelled(name: &str, key: &str, value: &str) -> VolumeSpec {
    VolumeSpec { labels: [(key.to_owned(), value.to_owned())].into(), ..named(name) }
}

fn filter(key: &str, values: &[&str]) -> Filter {
    Filter { key: key.to_owned(), values: values.iter().map(|value| (*value).to_owned()).collect() }
}

async fn listed<S: Service>(service: &S, filters: &[Filter]) -> Vec<String> {
    let volumes = service.volumes(filters, Usage::Untold).await.expect("listed");
    let mut names: Vec<String> = volumes.into_iter().map(|volume| volume.name).collect();
    names.sort();
    names
}

/// With the requested parameters.
pub async fn a_volume_is_there_from_its_creation_to_its_removal<S: Service>(service: &S) {
    refused(service.volume("data").await, Code::NotFound);
    let made = service.create_volume(labelled("data", "a", "1")).await.expect("made");
    assert_eq!((made.name.as_str(), made.driver.as_str(), made.scope.as_str()), ("data", "local", "local"));
    assert_eq!(made.labels.get("a").map(String::as_str), Some("1"));
    assert!(made.created_at > 0 && !made.mountpoint.is_empty() && !made.anonymous);
    assert_eq!(service.volume("data").await.expect("there"), made);
    service.remove_volume("data", Force::No).await.expect("removed");
    refused(service.volume("data").await, Code::NotFound);
    refused(service.remove_volume("data", Force::No).await, Code::NotFound);
    refused(service.create_volume(named("in/valid")).await, Code::InvalidArgument);
}

/// A volume with other parameters is refused.
pub async fn what_is_there_is_found_and_not_made_anew<S: Service>(service: &S) {
    let made = service.create_volume(named("data")).await.expect("made");
    assert_eq!(service.create_volume(labelled("data", "b", "2")).await.expect("found"), made);
    let options = [("type", "tmpfs"), ("device", "tmpfs")];
    let options = options.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let other = VolumeSpec { driver_opts: options.into(), ..named("data") };
    refused(service.create_volume(other).await, Code::AlreadyExists);
}

/// Generated names differ.
pub async fn a_volume_without_a_name_gets_one<S: Service>(service: &S) {
    let one = service.create_volume(VolumeSpec::default()).await.expect("made");
    let two = service.create_volume(VolumeSpec::default()).await.expect("made");
    assert!(one.anonymous && !one.name.is_empty() && one.name != two.name, "{one:?} {two:?}");
}

/// Filters match names, labels and use.
pub async fn volumes_are_listed_by_the_filters<S: Service>(service: &S) {
    for (name, value) in [("one", "x"), ("two", "y"), ("twofold", "x")] {
        service.create_volume(labelled(name, "k", value)).await.expect("made");
    }
    assert_eq!(listed(service, &[]).await, ["one", "two", "twofold"]);
    assert_eq!(listed(service, &[filter("name", &["two"])]).await, ["two", "twofold"]);
    assert_eq!(listed(service, &[filter("label", &["k=x"])]).await, ["one", "twofold"]);
    assert_eq!(listed(service, &[filter("label", &["k=x"]), filter("name", &["two"])]).await, ["twofold"]);
    assert!(listed(service, &[filter("dangling", &["false"])]).await.is_empty());
    refused(service.volumes(&[filter("colour", &["red"])], Usage::Untold).await, Code::InvalidArgument);
}

/// Measuring it takes a while.
pub async fn usage_is_told_to_who_asks_for_it<S: Service>(service: &S) {
    service.create_volume(named("data")).await.expect("made");
    let use_of = |volume: &Volume| (volume.size >= 0, volume.ref_count);
    let untold = service.volumes(&[], Usage::Untold).await.expect("listed");
    assert_eq!(untold.iter().map(use_of).collect::<Vec<_>>(), [(false, -1)]);
    let told = service.volumes(&[], Usage::Measured).await.expect("listed");
    assert_eq!(told.iter().map(use_of).collect::<Vec<_>>(), [(true, 0)]);
}

/// The content of a volume with options is elsewhere: its removal would free no space, and the volume could not be
/// created again without its options.
pub async fn a_prune_spares_what_has_options<S: Service>(service: &S) {
    let driver_opts = [("type", "tmpfs"), ("device", "tmpfs")];
    let driver_opts = driver_opts.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    service.create_volume(VolumeSpec { driver_opts, ..named("memory") }).await.expect("made");
    let pruned = service.prune_volumes(&[filter("all", &["true"])]).await.expect("pruned");
    assert!(pruned.deleted.is_empty(), "{pruned:?}");
    service.volume("memory").await.expect("there");
}

/// Unless the filter `all` is set.
pub async fn a_prune_spares_what_has_a_name<S: Service>(service: &S) {
    let anonymous = service.create_volume(VolumeSpec::default()).await.expect("made").name;
    service.create_volume(named("data")).await.expect("made");
    assert_eq!(service.prune_volumes(&[]).await.expect("pruned").deleted, [anonymous]);
    let all = [filter("all", &["true"])];
    assert_eq!(service.prune_volumes(&all).await.expect("pruned").deleted, ["data"]);
    assert!(listed(service, &[]).await.is_empty());
    refused(service.prune_volumes(&[filter("name", &["x"])]).await, Code::InvalidArgument);
}
