//! Container records.

use gantry_proto::containerd::services::containers::v1 as pb;
use gantry_proto::containerd::services::introspection::v1::PluginInfoRequest;
use gantry_proto::containerd::types::{RuntimeInfo, RuntimeRequest};
use prost::Message;
use tonic::{Code, Request};

use crate::world::{World, container};

#[tokio::test]
async fn records_are_kept_filtered_changed_and_removed() {
    let mut world = World::new().await;
    let mut client = world.peers.container_records();
    let mut first = container("one");
    first.labels.insert("app.name/x".into(), "web".into());
    first.image = "docker.io/library/x:1".into();
    let create = |container: pb::Container| pb::CreateContainerRequest { container: Some(container) };
    let stored =
        client.create(world.request(create(first.clone()))).await.unwrap().into_inner().container.unwrap();
    assert!(stored.created_at.is_some());
    world.container("two").await;
    let again = client.create(world.request(create(first))).await.unwrap_err();
    assert_eq!(again.code(), Code::AlreadyExists);
    let unnamed = client.create(Request::new(create(container("three")))).await.unwrap_err();
    assert_eq!(unnamed.code(), Code::FailedPrecondition);
    let odd = client.create(world.request(create(container("a b")))).await.unwrap_err();
    assert_eq!(odd.code(), Code::InvalidArgument);
    // As with containerd, a record may come before its snapshot.
    let mut early = container("three");
    (early.snapshotter, early.snapshot_key) = ("overlayfs".into(), "gone".into());
    client.create(world.request(create(early))).await.unwrap();

    for (filter, found) in [
        (r#"labels."app.name/x"==web"#, vec!["one"]),
        ("id~=^t", vec!["three", "two"]),
        ("", vec!["one", "three", "two"]),
    ] {
        let request = world.request(pb::ListContainersRequest { filters: vec![filter.into()] });
        let listed = client.list(request).await.unwrap().into_inner().containers;
        assert_eq!(
            listed.iter().map(|container| container.id.as_str()).collect::<Vec<_>>(),
            found,
            "{filter}"
        );
    }

    let mut update = container("one");
    update.image = "other".into();
    let mask = Some(prost_types::FieldMask { paths: vec!["image".into()] });
    let request = world.request(pb::UpdateContainerRequest { container: Some(update), update_mask: mask });
    let updated = client.update(request).await.unwrap().into_inner().container.unwrap();
    assert_eq!((updated.image.as_str(), updated.labels.len()), ("other", 1));

    world.stop_service().await;
    world.start_service().await;
    let get = || world.request(pb::GetContainerRequest { id: "one".into() });
    assert_eq!(client.get(get()).await.unwrap().into_inner().container.unwrap().image, "other");
    client.delete(world.request(pb::DeleteContainerRequest { id: "one".into() })).await.unwrap();
    assert_eq!(client.get(get()).await.unwrap_err().code(), Code::NotFound);
    let events = world.events(5).await;
    assert!(events[..3].iter().all(|topic| topic == "/containers/create"), "{events:?}");
    assert_eq!(events[3..], ["/containers/update", "/containers/delete"]);
}

#[tokio::test]
async fn records_may_be_as_long_as_containerds() {
    let world = World::new().await;
    let mut long = container("long");
    long.spec.as_mut().expect("a spec").value = vec![b' '; 9 << 20];
    let create = pb::CreateContainerRequest { container: Some(long) };
    world.peers.container_records().create(world.request(create)).await.unwrap();
    let get = pb::GetContainerRequest { id: "long".into() };
    let found = world.peers.container_records().get(world.request(get)).await.unwrap().into_inner();
    assert_eq!(found.container.unwrap().spec.unwrap().value.len(), 9 << 20);
}

#[tokio::test]
async fn a_runtime_says_what_it_is() {
    let world = World::new().await;
    let info = RuntimeInfo { name: "io.containerd.told.v2".into(), ..Default::default() };
    let said: String = info.encode_to_vec().iter().map(|byte| format!("\\{byte:03o}")).collect();
    world.shim_script("told", &format!("#!/bin/sh\n[ \"$1\" = -info ] && printf '{said}'\n"));
    let ask = |runtime: &str| PluginInfoRequest {
        options: Some(gantry_proto::pack(&RuntimeRequest { runtime_path: runtime.into(), options: None })),
        ..Default::default()
    };
    let answer = world.peers.runtimes().plugin_info(ask("io.containerd.told.v2")).await.unwrap().into_inner();
    let told = gantry_proto::unpack::<RuntimeInfo>(&answer.extra.unwrap()).unwrap().unwrap();
    assert_eq!(told, info);
    let missing = world.peers.runtimes().plugin_info(ask("io.containerd.untold.v2")).await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    let odd = PluginInfoRequest { options: Some(Default::default()), ..Default::default() };
    assert_eq!(world.peers.runtimes().plugin_info(odd).await.unwrap_err().code(), Code::Unimplemented);
}
