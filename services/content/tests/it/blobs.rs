//! Committed blobs.

use gantry_proto::containerd::services::content::v1 as pb;
use gantry_rpc::context;
use gantry_types::Digest;
use tonic::{Code, Request};

use crate::harness::*;

#[tokio::test]
async fn what_is_put_is_there_with_its_labels_and_bytes() {
    let content = Content::start().await;
    let bytes = pattern(3 << 20);
    let digest = content.put(&moby(), &bytes, &[("a", "1"), ("empty", "")]).await.unwrap();

    let info = content.info(&moby(), &digest).await.unwrap();
    assert_eq!(info.size, bytes.len() as i64);
    assert_eq!(info.labels, [("a".to_owned(), "1".to_owned())].into());
    assert_eq!(content.read(&moby(), &digest, 0, 0).await.unwrap(), bytes);
    let middle = content.read(&moby(), &digest, 1_000_000, 1_500_000).await.unwrap();
    assert_eq!(middle, bytes[1_000_000..2_500_000]);
    assert_eq!(content.read(&moby(), &digest, bytes.len() as i64, 0).await.unwrap(), b"");
    let past = content.read(&moby(), &digest, bytes.len() as i64 + 1, 0).await.unwrap_err();
    assert_eq!(past.code(), Code::OutOfRange);

    let path = content.state().join("blobs/sha256").join(digest.hex());
    assert!(std::fs::metadata(path).unwrap().permissions().readonly());
    assert!(content.files("ingest").is_empty());
    assert_eq!(content.control.topics(1).await, ["/content/create"]);
}

#[tokio::test]
async fn other_namespaces_do_not_see_it_but_need_not_write_it_again() {
    let content = Content::start().await;
    let digest = content.put(&moby(), b"shared", &[]).await.unwrap();
    assert_eq!(content.info(&other(), &digest).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(content.read(&other(), &digest, 0, 0).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(content.delete(&other(), &digest).await.unwrap_err().code(), Code::NotFound);

    let mut stream = content.write(&other(), None).await;
    let open = pb::WriteContentRequest { expected: digest.to_string(), total: 6, ..stat("r") };
    let status = stream.ask(open).await.unwrap();
    assert_eq!((status.offset, status.digest), (6, digest.to_string()));
    stream.ask(commit(6, 6, Some(&digest))).await.unwrap();
    assert_eq!(content.read(&other(), &digest, 0, 0).await.unwrap(), b"shared");

    // The bytes stay as long as one namespace has them.
    content.delete(&moby(), &digest).await.unwrap();
    assert_eq!(content.read(&other(), &digest, 0, 0).await.unwrap(), b"shared");
    assert_eq!(content.files("blobs").len(), 1);
    content.delete(&other(), &digest).await.unwrap();
    assert!(content.files("blobs").is_empty());
    let topics = content.control.topics(4).await;
    assert_eq!(topics, ["/content/create", "/content/create", "/content/delete", "/content/delete"]);
}

#[tokio::test]
async fn a_shared_blob_can_still_be_written_from_the_start() {
    let content = Content::start().await;
    let digest = content.put(&moby(), b"shared", &[]).await.unwrap();
    let mut stream = content.write(&other(), None).await;
    stream.ask(pb::WriteContentRequest { expected: digest.to_string(), ..stat("r") }).await.unwrap();
    let answer = stream.ask(write(0, b"sha")).await.unwrap();
    assert_eq!(answer.offset, 3);
    stream.ask(pb::WriteContentRequest { data: b"red"[..].into(), ..commit(3, 6, None) }).await.unwrap();
    assert_eq!(content.read(&other(), &digest, 0, 0).await.unwrap(), b"shared");
}

#[tokio::test]
async fn labels_are_updated_by_mask() {
    let content = Content::start().await;
    let digest = content.put(&moby(), b"x", &[("a", "1"), ("b", "2")]).await.unwrap();
    let before = content.info(&moby(), &digest).await.unwrap();
    let update = |labels: &[(&str, &str)], paths: &[&str]| pb::UpdateRequest {
        info: Some(pb::Info {
            digest: digest.to_string(),
            labels: labels.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask { paths: paths.iter().map(ToString::to_string).collect() }),
    };
    let mut client = content.client();
    let request = update(&[("a", ""), ("c.d", "3")], &["labels.a", "labels.c.d"]);
    let answer = client.update(context::with_namespace(request, &moby())).await.unwrap().into_inner();
    let info = answer.info.unwrap();
    assert_eq!(info.labels, [("b".to_owned(), "2".to_owned()), ("c.d".to_owned(), "3".to_owned())].into());
    assert_eq!(info.created_at, before.created_at);
    assert_ne!(info.updated_at, before.updated_at);

    let all = update(&[("z", "9")], &[]);
    client.update(context::with_namespace(all, &moby())).await.unwrap();
    let info = content.info(&moby(), &digest).await.unwrap();
    assert_eq!(info.labels, [("z".to_owned(), "9".to_owned())].into());

    let size = update(&[], &["size"]);
    let refused = client.update(context::with_namespace(size, &moby())).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let long = "v".repeat(4096);
    let too_long = update(&[("k", &long)], &[]);
    let refused = client.update(context::with_namespace(too_long, &moby())).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn lists_are_filtered() {
    let content = Content::start().await;
    for n in 0..250 {
        content.put(&moby(), format!("blob {n}").as_bytes(), &[("n", &n.to_string())]).await.unwrap();
    }
    assert_eq!(content.list(&moby()).await.unwrap().len(), 250);
    assert!(content.list(&other()).await.unwrap().is_empty());
    let found = content.list_filtered(&moby(), &["labels.n==7", "labels.n~=^24\\d$"]).await.unwrap();
    assert_eq!(found.len(), 11);
    let by_digest = format!("digest=={}", Digest::sha256(b"blob 3"));
    assert_eq!(content.list_filtered(&moby(), &[&by_digest]).await.unwrap().len(), 1);
    let refused = content.list_filtered(&moby(), &["digest="]).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn bad_requests_are_refused() {
    let content = Content::start().await;
    let without = content.client().info(Request::new(pb::InfoRequest::default())).await.unwrap_err();
    assert_eq!(without.code(), Code::FailedPrecondition);
    for bad in ["", "sha256:..", "sha256:../../../etc/passwd", "md5:00"] {
        let request = pb::InfoRequest { digest: bad.into() };
        let refused = content.client().info(context::with_namespace(request, &moby())).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{bad}");
    }
}
