//! Namespaces, leases, and collecting.

use gantry_proto::containerd::services::leases::v1 as leases;
use gantry_proto::containerd::services::namespaces::v1 as namespaces;
use gantry_proto::gantry::gc::v1 as gc;
use tonic::Code;

use crate::world::{World, eventually, resource};

#[tokio::test]
async fn namespaces_are_those_made_and_those_used() {
    let world = World::new().await;
    let mut client = world.peers.namespaces();
    let create = |name: &str| namespaces::CreateNamespaceRequest {
        namespace: Some(namespaces::Namespace {
            name: name.into(),
            labels: [("a".into(), "1".into())].into(),
        }),
    };
    client.create(create("made")).await.unwrap();
    assert_eq!(client.create(create("made")).await.unwrap_err().code(), Code::AlreadyExists);
    assert_eq!(client.create(create("a/b")).await.unwrap_err().code(), Code::InvalidArgument);
    world.store.blobs.lock().push("sha256:a".into());
    assert_eq!(client.create(create("test")).await.unwrap_err().code(), Code::AlreadyExists);
    let listed =
        client.list(namespaces::ListNamespacesRequest::default()).await.unwrap().into_inner().namespaces;
    assert_eq!(listed.iter().map(|namespace| namespace.name.as_str()).collect::<Vec<_>>(), ["made", "test"]);

    let update = namespaces::UpdateNamespaceRequest {
        namespace: Some(namespaces::Namespace {
            name: "made".into(),
            labels: [("b".into(), "2".into())].into(),
        }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["labels.b".into(), "labels.a".into()] }),
    };
    let updated = client.update(update).await.unwrap().into_inner().namespace.unwrap();
    assert_eq!(updated.labels, [("b".to_owned(), "2".to_owned())].into());
    let replace = namespaces::UpdateNamespaceRequest {
        namespace: Some(namespaces::Namespace {
            name: "made".into(),
            labels: [("c".into(), "3".into()), ("d".into(), "".into())].into(),
        }),
        update_mask: None,
    };
    let replaced = client.update(replace).await.unwrap().into_inner().namespace.unwrap();
    assert_eq!(
        replaced.labels,
        [("c".to_owned(), "3".to_owned())].into(),
        "without a mask there is nothing to spare"
    );
    let get = namespaces::GetNamespaceRequest { name: "nowhere".into() };
    assert!(client.get(get).await.unwrap().into_inner().namespace.unwrap().labels.is_empty());

    let delete = |name: &str| namespaces::DeleteNamespaceRequest { name: name.into() };
    assert_eq!(client.delete(delete("test")).await.unwrap_err().code(), Code::FailedPrecondition);
    client.delete(delete("made")).await.unwrap();
    assert_eq!(client.delete(delete("made")).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn what_no_lease_keeps_is_collected() {
    let world = World::new().await;
    let mut client = world.peers.leases();
    let lease = client
        .create(world.request(leases::CreateRequest::default()))
        .await
        .unwrap()
        .into_inner()
        .lease
        .unwrap();
    assert!(lease.id.contains('-'));
    let add = |id: &str| leases::AddResourceRequest {
        id: lease.id.clone(),
        resource: Some(leases::Resource { id: id.into(), r#type: "content".into() }),
    };
    client.add_resource(world.request(add("kept"))).await.unwrap();
    world.store.blobs.lock().extend(["kept".to_owned(), "other".to_owned()]);
    let collect = gc::CollectRequest { namespace: "test".into() };
    let outcome = world.peers.gc().collect(collect).await.unwrap().into_inner();
    assert_eq!((outcome.removed, outcome.freed_bytes), (vec![resource("other")], 1));

    let hold = |key: &str| gc::HoldRequest { namespace: "test".into(), resources: vec![resource(key)] };
    world.peers.gc().hold(hold("kept")).await.unwrap();
    assert_eq!(world.peers.gc().hold(hold("other")).await.unwrap_err().code(), Code::NotFound);

    let listed = client
        .list_resources(world.request(leases::ListResourcesRequest { id: lease.id.clone() }))
        .await
        .unwrap();
    assert_eq!(listed.into_inner().resources.len(), 1);
    let delete = || leases::DeleteRequest { id: lease.id.clone(), sync: true };
    client.delete(world.request(delete())).await.unwrap();
    assert!(world.store.blobs.lock().is_empty(), "a sync delete has collected when it returns");
    assert_eq!(client.delete(world.request(delete())).await.unwrap_err().code(), Code::NotFound);
    let strays = world.peers.fsck("control").check(gc::FsckRequest::default()).await.unwrap();
    assert!(strays.into_inner().strays.is_empty());
}

#[tokio::test]
async fn a_deletion_somewhere_starts_a_collection() {
    let world = World::new().await;
    world.store.blobs.lock().push("unwanted".into());
    let event = gantry_proto::pack(&gantry_proto::containerd::events::ContainerDelete { id: "c".into() });
    let publish = gantry_proto::containerd::services::events::v1::PublishRequest {
        topic: "/containers/delete".into(),
        event: Some(event),
    };
    world.peers.events().publish(world.request(publish)).await.unwrap();
    eventually("the blob is collected", || world.store.blobs.lock().is_empty()).await;
}
