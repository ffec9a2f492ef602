use std::time::Duration;

use gantry_types::Namespace;

use super::*;
use crate::stage::{Parts, Stage, VOLUME};
use crate::volumes::serve;

#[tokio::test]
async fn a_volume_is_held_until_the_last_of_its_users_has_left() {
    let stage = Stage::new();
    let parts = Parts::on(&stage).await;
    let container = parts.startable(&stage, "web").await;
    let store = &stage.containers.store;
    parts.runs.start("web").await.expect("started");
    let copy = parts.mounts.hold_for_now(&container.record().mounts).await.expect("held");
    assert_eq!(parts.plugin.users().len(), 2, "the container and the copy");
    assert_eq!(store.all_held().await.expect("readable").len(), 2, "a new engine would know of both");
    let placed = parts.mounts.placed_in(container.record());
    assert_eq!(placed.mounts[0].source(), stage.folder(), "the plugin says where it is");

    let mut watch = container.watch();
    stage.tasks.end(&Namespace::moby(), &container.init(), 0);
    let ended = watch.wait_for(|life| !life.has_process());
    tokio::time::timeout(Duration::from_secs(10), ended).await.expect("in time").expect("it lives");
    // The end is taken in under the container's turn.
    drop(container.operate().await);
    let left = parts.plugin.users();
    assert!(left.len() == 1 && left[0] != container.id(), "the copy still reads: {left:?}");
    assert_eq!(parts.mounts.placed_in(container.record()).mounts[0].source(), stage.folder());

    drop(copy);
    let released = async {
        while !store.all_held().await.expect("readable").is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), released).await.expect("in time");
    assert!(parts.plugin.users().is_empty());
    assert!(parts.volumes.users.is_none(VOLUME));
}

#[tokio::test]
async fn a_volume_stays_as_long_as_a_container_has_it() {
    let stage = Stage::new();
    let parts = Parts::on(&stage).await;
    let container = parts.startable(&stage, "web").await;
    let remove = async || serve::remove(&parts.volumes, &stage.containers, &stage.events, VOLUME, true).await;
    match remove().await {
        Err(Error::VolumeInUse { users, .. }) => assert_eq!(users, container.id(), "it need not run"),
        other => panic!("{other:?}"),
    }
    stage.containers.index.remove(container.id());
    remove().await.expect("nobody has it");
    assert!(parts.volumes.get(VOLUME).is_err());
}

#[tokio::test]
async fn a_plugin_hears_of_users_that_a_dead_engine_has_left() {
    let stage = Stage::new();
    let parts = Parts::on(&stage).await;
    let container = parts.startable(&stage, "web").await;
    let lost = parts.mounts.hold(container.record()).await.expect("held");
    // The users in memory die with their engine.
    parts.volumes.users.remove(VOLUME, container.id());
    parts.volumes.end_strays(|user| user == lost.id).await.expect("told");
    assert_eq!(parts.plugin.users(), [container.id()], "it runs");
    parts.volumes.end_strays(|_| false).await.expect("told");
    assert!(parts.plugin.users().is_empty());
}
