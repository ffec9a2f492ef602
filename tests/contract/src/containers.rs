//! Containers: made, run, looked at, changed, removed.

mod changes;
mod lists;
mod lives;
mod names;
mod waits;

use gantry_api::engine::containers::{Inspect, Manage, Run, Sizes};
use gantry_api::engine::{
    Container, ContainerConfig, CreateSpec, Filter, ListQuery, RemoveSpec, Status, StopSpec,
};
use gantry_rpc::{Code, Coded};

pub use changes::*;
pub use lists::*;
pub use lives::*;
pub use names::*;
pub use waits::*;

/// Tests of `gantry_api::engine::containers`, where there are no containers; networks of which one is `bridge`; and an image
/// `busybox` whose command is `sh`. There `missing` is no program and `forbidden` one that may not be run; `false` ends at
/// once with 1. All others run until a signal ends them, as it ends what has no mind of its own.
#[macro_export]
macro_rules! containers {
    ($world:expr) => {
        $crate::suite!(
            containers,
            $world,
            [
                a_container_is_there_from_its_creation_to_its_removal,
                what_is_so_already_is_told,
                what_ends_by_itself_says_how,
                what_cannot_be_started_says_why,
                what_is_frozen_goes_on,
                what_is_frozen_is_killed,
                a_signal_is_named_or_numbered,
                a_stop_is_by_the_signal_that_is_asked_for,
                a_restart_is_a_stop_and_a_start,
                a_policy_starts_again_what_has_failed,
                what_is_stopped_by_hand_stays_so,
                what_removes_itself_has_an_end,
                what_runs_is_removed_by_force_only,
                a_name_is_one_containers,
                a_name_that_is_given_up_is_free,
                a_name_follows_rules,
                the_beginning_of_an_id_is_one_containers,
                what_is_not_there_is_not_found,
                what_cannot_be_is_refused,
                a_wait_hears_of_the_end,
                what_has_ended_is_not_waited_for,
                the_next_end_is_not_the_last_one,
                who_stops_waiting_changes_nothing,
                a_removal_is_the_end_of_every_wait,
                lists_have_a_generation_and_filters,
                lists_are_narrowed_by_what_containers_do,
                lists_are_narrowed_by_age,
                lists_refuse_what_they_do_not_know,
                a_prune_takes_what_has_ended,
                a_prune_takes_what_the_filters_choose,
                limits_are_changed_one_by_one,
                limits_that_cannot_be_change_nothing,
                a_policy_is_changed,
                what_runs_tells_its_processes,
                what_a_container_uses_is_sampled,
                a_network_is_joined_and_left,
                an_image_is_made_of_a_container,
            ]
        );
    };
}

#[track_caller]
pub(crate) fn refused<T, E: Coded>(outcome: Result<T, E>, code: Code) {
    match outcome {
        Ok(_) => panic!("it did not fail, but should have with {code:?}"),
        Err(error) => assert_eq!(error.code(), code, "{error}"),
    }
}

pub(crate) fn named(name: &str) -> CreateSpec {
    let labels = [("name".to_owned(), name.to_owned())].into();
    let config = ContainerConfig { image: "busybox".to_owned(), labels, ..Default::default() };
    CreateSpec { name: name.to_owned(), config, ..CreateSpec::default() }
}

/// That runs another program than its image's.
fn running(name: &str, program: &str) -> CreateSpec {
    let mut spec = named(name);
    spec.config.cmd = Some(vec![program.to_owned()]);
    spec
}

pub(crate) fn removal(name: &str, force: bool) -> RemoveSpec {
    RemoveSpec { container: name.to_owned(), force, ..RemoveSpec::default() }
}

pub(crate) fn stop(name: &str) -> StopSpec {
    StopSpec { container: name.to_owned(), ..StopSpec::default() }
}

fn filter(key: &str, value: &str) -> Filter {
    Filter { key: key.to_owned(), values: vec![value.to_owned()] }
}

fn all() -> ListQuery {
    ListQuery { all: true, ..ListQuery::default() }
}

async fn names<S: Inspect>(service: &S, query: ListQuery) -> Vec<String> {
    let listing = service.containers(query).await.unwrap_or_else(|error| panic!("listed: {error}"));
    listing.containers.into_iter().map(|one| one.name).collect()
}

async fn look<S: Inspect>(service: &S, name: &str) -> Container {
    service.container(name, Sizes::Untold).await.unwrap_or_else(|error| panic!("there: {error}"))
}

async fn status<S: Inspect>(service: &S, name: &str) -> Status {
    look(service, name).await.state.status
}

/// Waits until a container is as it should be.
async fn until<S: Inspect>(service: &S, name: &str, holds: impl Fn(&Container) -> bool) -> Container {
    let looking = async || match look(service, name).await {
        found if holds(&found) => Ok(found),
        other => Err(other),
    };
    crate::wait::until(looking, |_| true).await.unwrap_or_else(|last| panic!("at last: {:?}", last.state))
}

async fn run<S: Manage + Run>(service: &S, spec: CreateSpec) -> String {
    let name = spec.name.clone();
    let id = service.create_container(spec).await.unwrap_or_else(|error| panic!("made: {error}")).id;
    service.start_container(&name).await.unwrap_or_else(|error| panic!("started: {error}"));
    id
}
