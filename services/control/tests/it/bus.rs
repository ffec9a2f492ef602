//! Events.

use std::time::Duration;

use gantry_proto::containerd::events::{NamespaceCreate, TaskOom};
use gantry_proto::containerd::services::events::v1 as pb;
use gantry_proto::containerd::services::namespaces::v1::{CreateNamespaceRequest, Namespace};
use gantry_proto::containerd::types::Envelope;
use tokio_stream::StreamExt;
use tonic::{Code, Request};

use crate::world::World;

#[tokio::test]
async fn subscribers_get_what_they_asked_for() {
    let world = World::new().await;
    let mut events = world.peers.events();
    let filters = vec![r#"namespace==test,topic~="^/tasks/""#.into(), "topic==/namespaces/create".into()];
    let mut stream = events.subscribe(pb::SubscribeRequest { filters }).await.unwrap().into_inner();
    let oom = gantry_proto::pack(&TaskOom { container_id: "c".into() });
    let publish = |topic: &str| pb::PublishRequest { topic: topic.into(), event: Some(oom.clone()) };
    events.publish(world.request(publish("/other/topic"))).await.unwrap();
    events.publish(world.request(publish("/tasks/oom"))).await.unwrap();
    let unnamed = events.publish(Request::new(publish("/tasks/oom"))).await.unwrap_err();
    assert_eq!(unnamed.code(), Code::FailedPrecondition);
    let odd = events.publish(world.request(publish("tasks"))).await.unwrap_err();
    assert_eq!(odd.code(), Code::InvalidArgument);
    let envelope = Envelope {
        namespace: "elsewhere".into(),
        topic: "/tasks/oom".into(),
        event: Some(oom.clone()),
        timestamp: None,
    };
    events.forward(pb::ForwardRequest { envelope: Some(envelope) }).await.unwrap();
    let namespace = Some(Namespace { name: "made".into(), ..Default::default() });
    world.peers.namespaces().create(CreateNamespaceRequest { namespace }).await.unwrap();

    let first = stream.next().await.unwrap().unwrap();
    assert_eq!((first.namespace.as_str(), first.topic.as_str()), ("test", "/tasks/oom"));
    let second = stream.next().await.unwrap().unwrap();
    let made: NamespaceCreate = gantry_proto::unpack(second.event.as_ref().unwrap()).unwrap().unwrap();
    assert_eq!((second.namespace.as_str(), made.name.as_str()), ("made", "made"));
    assert!(tokio::time::timeout(Duration::from_millis(30), stream.next()).await.is_err());
    let refused = events.subscribe(pb::SubscribeRequest { filters: vec!["a=".into()] }).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}
