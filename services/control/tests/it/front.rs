//! The front socket.

use std::sync::Arc;
use std::time::Duration;

use gantry_proto::containerd::services::content::v1 as pb;
use gantry_proto::containerd::services::content::v1::content_client::ContentClient;
use gantry_proto::containerd::services::introspection::v1::introspection_client::IntrospectionClient;
use gantry_proto::containerd::services::version::v1::version_client::VersionClient;
use tokio_stream::StreamExt;
use tonic::Code;

use crate::world::{World, eventually};

fn read(size: i64) -> pb::ReadContentRequest {
    pb::ReadContentRequest { size, ..Default::default() }
}

#[tokio::test]
async fn calls_reach_their_service_with_metadata_and_status() {
    let world = World::new().await;
    let mut content = ContentClient::new(world.front_channel());
    let status = content.info(world.request(pb::InfoRequest { digest: "x".into() })).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "blob x in test: not found"));
    let mut version = VersionClient::new(world.front_channel());
    assert!(version.version(()).await.unwrap().into_inner().version.starts_with("v2."));
    let mut introspection = IntrospectionClient::new(world.front_channel());
    assert_eq!(introspection.server(()).await.unwrap().into_inner().uuid.len(), 36);
    let health = tonic::codegen::http::uri::PathAndQuery::from_static("/runtime.v1.RuntimeService/Version");
    let mut unknown = tonic::client::Grpc::new(world.front_channel());
    unknown.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let status = unknown.unary(tonic::Request::new(()), health, codec).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
}

#[tokio::test]
async fn streams_flow_both_ways() {
    let world = World::new().await;
    let mut content = ContentClient::new(world.front_channel()).max_decoding_message_size(16 << 20);
    let mut blocks = content.read(world.request(read(64 << 20))).await.unwrap().into_inner();
    let mut total = 0;
    while let Some(block) = blocks.next().await {
        total += block.unwrap().data.len();
    }
    assert_eq!(total, 64 << 20);

    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let requests = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut answers = content.write(world.request(requests)).await.unwrap().into_inner();
    for round in 1..=40 {
        let data = vec![1; 1 << 20].into();
        sender.send(pb::WriteContentRequest { data, ..Default::default() }).await.unwrap();
        assert_eq!(answers.next().await.unwrap().unwrap().offset, round << 20);
    }
    drop(sender);
    assert!(answers.next().await.is_none());
}

#[tokio::test]
async fn a_reader_that_stops_holds_up_nobody_and_one_that_leaves_ends_its_call() {
    let world = World::new().await;
    let mut content = ContentClient::new(world.front_channel());
    let idle = Arc::strong_count(&world.store.reading);
    let mut stalled = Vec::new();
    for _ in 0..20 {
        let mut client = ContentClient::new(world.front_channel());
        stalled.push(client.read(world.request(read(0))).await.unwrap().into_inner());
    }
    eventually("the reads begin", || Arc::strong_count(&world.store.reading) == idle + 20).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let call = content.info(world.request(pb::InfoRequest::default()));
    let status = tokio::time::timeout(Duration::from_secs(5), call).await.expect("an answer").unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    drop(stalled);
    eventually("the reads end", || Arc::strong_count(&world.store.reading) == idle).await;
}

#[tokio::test]
async fn a_service_that_goes_is_named_and_found_again() {
    let mut world = World::new().await;
    let mut content = ContentClient::new(world.front_channel());
    let mut open = content.read(world.request(read(0))).await.unwrap().into_inner();
    open.next().await.unwrap().unwrap();
    world.stop_stores();
    let broken = loop {
        match open.next().await.expect("a status, not just an end") {
            Ok(_) => {}
            Err(status) => break status,
        }
    };
    assert_eq!(broken.code(), Code::Unavailable, "{broken}");
    let away = content.info(world.request(pb::InfoRequest::default())).await.unwrap_err();
    assert_eq!(away.code(), Code::Unavailable);
    assert!(away.message().contains("content"), "{away}");
    world.start_stores();
    let back = content.info(world.request(pb::InfoRequest::default())).await.unwrap_err();
    assert_eq!(back.code(), Code::NotFound, "{back}");
}
