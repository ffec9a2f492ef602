//! The stream of writes: locks, offsets, commits.

use gantry_proto::containerd::services::content::v1 as pb;
use gantry_rpc::context;
use gantry_types::Digest;
use tonic::Code;

use crate::harness::*;

#[tokio::test]
async fn a_write_is_resumed_where_it_ended() {
    let content = Content::start().await;
    let bytes = pattern(100_000);
    let mut stream = content.write(&moby(), None).await;
    let first = stream.ask(pb::WriteContentRequest { total: 100_000, ..stat("r") }).await.unwrap();
    assert_eq!((first.offset, first.total, first.digest), (0, 100_000, Digest::sha256(b"").to_string()));
    for part in [0..40_000, 40_000..50_000] {
        let answer = stream.ask(write(part.start as i64, &bytes[part.clone()])).await.unwrap();
        let so_far = Digest::sha256(&bytes[..part.end]).to_string();
        assert_eq!((answer.offset, answer.digest), (part.end as i64, so_far));
    }
    stream.close().await;

    let statuses = content.statuses(&moby()).await;
    assert_eq!((statuses[0].r#ref.as_str(), statuses[0].offset, statuses[0].total), ("r", 50_000, 100_000));
    assert!(content.statuses(&other()).await.is_empty());

    let mut stream = content.write(&moby(), None).await;
    let resumed = stream.ask(stat("r")).await.unwrap();
    assert_eq!((resumed.offset, resumed.digest), (50_000, Digest::sha256(&bytes[..50_000]).to_string()));
    stream.ask(write(50_000, &bytes[50_000..])).await.unwrap();
    let digest = Digest::sha256(&bytes);
    let done = stream.ask(commit(100_000, 100_000, Some(&digest))).await.unwrap();
    assert_eq!(done.digest, digest.to_string());
    assert_eq!(content.read(&moby(), &digest, 0, 0).await.unwrap(), bytes);
    assert!(content.statuses(&moby()).await.is_empty());
}

#[tokio::test]
async fn a_ref_has_one_writer_at_a_time() {
    let content = Content::start().await;
    let mut first = content.write(&moby(), None).await;
    first.ask(stat("r")).await.unwrap();
    let mut second = content.write(&moby(), None).await;
    let locked = second.ask(stat("r")).await.unwrap_err();
    assert_eq!(locked.code(), Code::Unavailable);
    assert!(locked.message().contains("locked"), "{locked}");
    // Other refs, and the same one of another namespace, are free.
    content.write(&moby(), None).await.ask(stat("other")).await.unwrap();
    content.write(&other(), None).await.ask(stat("r")).await.unwrap();
    first.close().await;
    content.write(&moby(), None).await.ask(stat("r")).await.unwrap();
}

#[tokio::test]
async fn an_offset_must_be_the_current_one_and_zero_begins_anew() {
    let content = Content::start().await;
    let mut stream = content.write(&moby(), None).await;
    stream.ask(stat("r")).await.unwrap();
    stream.ask(write(0, b"abc")).await.unwrap();
    assert_eq!(stream.ask(write(0, b"12345")).await.unwrap().offset, 5);
    assert_eq!(stream.ask(stat("")).await.unwrap().digest, Digest::sha256(b"12345").to_string());
    for offset in [3, 6] {
        let mut stream = content.write(&moby(), None).await;
        let reference = format!("r{offset}");
        stream.ask(stat(&reference)).await.unwrap();
        stream.ask(write(0, b"12345")).await.unwrap();
        let refused = stream.ask(write(offset, b"x")).await.unwrap_err();
        assert_eq!(refused.code(), Code::OutOfRange);
        let status = context::with_namespace(pb::StatusRequest { r#ref: reference }, &moby());
        assert_eq!(content.client().status(status).await.unwrap().into_inner().status.unwrap().offset, 5);
    }
}

#[tokio::test]
async fn a_mismatch_fails_and_keeps_the_ingest() {
    let content = Content::start().await;
    let wrong = Digest::sha256(b"something else");
    for request in [commit(5, 5, Some(&wrong)), commit(5, 4, None), commit(5, 6, None)] {
        let mut stream = content.write(&moby(), None).await;
        let status = stream.ask(stat("r")).await.unwrap();
        if status.offset == 0 {
            stream.ask(write(0, b"12345")).await.unwrap();
        }
        let refused = stream.ask(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
    }
    // Free, and whole.
    let mut stream = content.write(&moby(), None).await;
    assert_eq!(stream.ask(stat("r")).await.unwrap().offset, 5);
    stream.ask(commit(5, 5, Some(&Digest::sha256(b"12345")))).await.unwrap();
}

#[tokio::test]
async fn an_expected_blob_that_is_there_ends_the_ingest() {
    let content = Content::start().await;
    let digest = content.put(&moby(), b"there", &[]).await.unwrap();
    let again = content.put(&moby(), b"there", &[]).await.unwrap_err();
    assert_eq!(again.code(), Code::AlreadyExists);
    let mut stream = content.write(&moby(), Some(LEASE)).await;
    stream.ask(stat("late")).await.unwrap();
    let late =
        stream.ask(pb::WriteContentRequest { expected: digest.to_string(), ..stat("") }).await.unwrap_err();
    assert_eq!(late.code(), Code::AlreadyExists);
    let mut stream = content.write(&moby(), None).await;
    stream.ask(stat("silent")).await.unwrap();
    stream.ask(write(0, b"there")).await.unwrap();
    let silent = stream.ask(commit(5, 5, None)).await.unwrap_err();
    assert_eq!(silent.code(), Code::AlreadyExists);
    assert!(content.statuses(&moby()).await.is_empty());
    assert!(content.files("ingest").is_empty());
    // Told that it is there, the client relies on it: the lease has it.
    let leased = content.control.leased();
    assert_eq!(
        leased,
        [("content".to_owned(), digest.to_string()), ("ingests".to_owned(), "late".to_owned())]
    );
}

#[tokio::test]
async fn of_two_commits_of_one_blob_one_wins() {
    let content = Content::start().await;
    let bytes = pattern(200_000);
    let digest = Digest::sha256(&bytes);
    let mut streams = Vec::new();
    for n in 0..8 {
        let mut stream = content.write(&moby(), None).await;
        stream.ask(stat(&format!("r{n}"))).await.unwrap();
        stream.ask(write(0, &bytes)).await.unwrap();
        streams.push(stream);
    }
    let commits = streams.iter_mut().map(|stream| stream.ask(commit(200_000, 200_000, Some(&digest))));
    let outcomes = futures::future::join_all(commits).await;
    let codes: Vec<_> =
        outcomes.iter().filter_map(|o| o.as_ref().err()).map(|status| status.code()).collect();
    assert_eq!(codes, [Code::AlreadyExists; 7]);
    assert_eq!(content.read(&moby(), &digest, 0, 0).await.unwrap(), bytes);
    assert!(content.files("ingest").is_empty());
    assert_eq!(content.files("blobs").len(), 1);
}

#[tokio::test]
async fn an_abort_ends_the_ingest_even_under_its_writer() {
    let content = Content::start().await;
    let abort =
        |reference: &str| context::with_namespace(pb::AbortRequest { r#ref: reference.into() }, &moby());
    assert_eq!(content.client().abort(abort("none")).await.unwrap_err().code(), Code::NotFound);
    let mut stream = content.write(&moby(), None).await;
    stream.ask(stat("r")).await.unwrap();
    stream.ask(write(0, b"abc")).await.unwrap();
    content.client().abort(abort("r")).await.unwrap();
    assert!(content.statuses(&moby()).await.is_empty());
    assert!(content.files("ingest").is_empty());
    assert_eq!(stream.ask(write(3, b"d")).await.unwrap_err().code(), Code::Aborted);
    assert_eq!(content.write(&moby(), None).await.ask(stat("r")).await.unwrap().offset, 0);
}

#[tokio::test]
async fn what_is_written_under_a_lease_is_leased_and_the_lease_must_exist() {
    let content = Content::start().await;
    let mut stream = content.write(&moby(), Some(LEASE)).await;
    stream.ask(stat("r")).await.unwrap();
    stream.ask(pb::WriteContentRequest { data: b"leased"[..].into(), ..commit(0, 6, None) }).await.unwrap();
    let digest = Digest::sha256(b"leased");
    // The ingest is no more: the lease names what became of it.
    let expected = [("content".to_owned(), digest.to_string())];
    assert_eq!(content.control.leased(), expected);
    let refused = content.write(&moby(), Some("no-lease")).await.ask(stat("r")).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    assert!(content.statuses(&moby()).await.is_empty());
    assert!(content.files("ingest").is_empty());
}

#[tokio::test]
async fn malformed_writes_are_refused() {
    let content = Content::start().await;
    for request in [
        stat(""),
        pb::WriteContentRequest { expected: "sha256:zz".into(), ..stat("r") },
        pb::WriteContentRequest { total: -1, ..stat("r") },
        pb::WriteContentRequest { action: 9, ..stat("r") },
        pb::WriteContentRequest { r#ref: "r".into(), ..write(-1, b"x") },
    ] {
        let refused = content.write(&moby(), None).await.ask(request.clone()).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{request:?}");
    }
    let label = [("k".to_owned(), "v".repeat(4096))];
    let long = pb::WriteContentRequest { labels: label.into(), ..commit(0, 0, None) };
    let mut stream = content.write(&moby(), None).await;
    stream.ask(stat("long")).await.unwrap();
    assert_eq!(stream.ask(long).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn other_algorithms_are_verified_too() {
    let content = Content::start().await;
    let mut hasher = gantry_types::Algorithm::Sha512.hasher();
    hasher.update(b"long hash");
    let digest = hasher.finish();
    let mut stream = content.write(&moby(), None).await;
    stream.ask(stat("r")).await.unwrap();
    stream.ask(write(0, b"long hash")).await.unwrap();
    stream.ask(commit(9, 9, Some(&digest))).await.unwrap();
    assert_eq!(content.read(&moby(), &digest, 0, 0).await.unwrap(), b"long hash");
}
