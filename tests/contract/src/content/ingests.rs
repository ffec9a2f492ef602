//! Ingests.

use bytes::Bytes;
use gantry_api::content::{Expected, Owner, Range, Store, Writer};
use gantry_rpc::Code;
use gantry_types::{Algorithm, Digest};

use super::{
    commit_as, digest_is, filters, moby, name, open, other, owner, pattern, put, put_in, read, refused,
};

/// A writer goes on where the one before it ended.
pub async fn an_ingest_is_resumed_by_its_ref<S: Store>(store: &S) {
    let bytes = pattern(100_000);
    let expected = Expected { total: Some(100_000), digest: None };
    let mut writer = open(store, "r", expected.clone()).await.expect("begun");
    assert_eq!((writer.status().offset, writer.status().expected), (0, expected));
    writer.write(Bytes::copy_from_slice(&bytes[..40_000])).await.expect("written");
    drop(writer);

    let status = store.status(&moby(), &name("r")).await.expect("there");
    assert_eq!((status.offset, status.expected.total), (40_000, Some(100_000)));
    refused(store.status(&other(), &name("r")).await, Code::NotFound);

    let mut writer = open(store, "r", Expected::default()).await.expect("resumed");
    let resumed = writer.status();
    assert_eq!((resumed.offset, resumed.expected.total), (40_000, Some(100_000)));
    assert_eq!(resumed.started_at, status.started_at);
    writer.write(Bytes::copy_from_slice(&bytes[40_000..])).await.expect("written");
    let blob = writer.commit(commit_as(digest_is(&Digest::sha256(&bytes)))).await.expect("committed");
    assert_eq!(read(store, &moby(), &blob.digest, Range::ALL).await.expect("read"), bytes);
    refused(store.status(&moby(), &name("r")).await, Code::NotFound);
}

/// A second writer is refused. Other refs, and the same ref in another namespace, are free.
pub async fn an_ingest_has_one_writer<S: Store>(store: &S) {
    let first = store.open(&owner(), &name("r"), Expected::default()).await.expect("begun");
    refused(store.open(&owner(), &name("r"), Expected::default()).await, Code::Unavailable);
    drop(store.open(&owner(), &name("s"), Expected::default()).await.expect("another ref"));
    let elsewhere = store.open(&Owner::of(&other()), &name("r"), Expected::default()).await;
    drop(elsewhere.expect("another namespace"));
    drop(first);
    open(store, "r", Expected::default()).await.expect("free again");
}

/// Bytes with another digest do not become a blob, and stay.
pub async fn a_wrong_digest_leaves_the_ingest<S: Store>(store: &S) {
    let wrong = Digest::sha256(b"something else");
    let mut writer = open(store, "r", Expected::default()).await.expect("begun");
    writer.write(Bytes::from_static(b"12345")).await.expect("written");
    refused(writer.commit(commit_as(digest_is(&wrong))).await, Code::FailedPrecondition);
    drop(writer);
    refused(store.info(&moby(), &wrong).await, Code::NotFound);
    refused(store.info(&moby(), &Digest::sha256(b"12345")).await, Code::NotFound);

    // The digest is checked in its own algorithm.
    let mut hasher = Algorithm::Sha512.hasher();
    hasher.update(b"12345");
    let right = hasher.finish();
    let mut writer = open(store, "r2", Expected::default()).await.expect("begun");
    writer.write(Bytes::from_static(b"12345")).await.expect("written");
    let blob = writer.commit(commit_as(digest_is(&right))).await.expect("committed");
    assert_eq!((blob.digest, blob.size), (right, 5));
    assert_eq!(store.status(&moby(), &name("r")).await.expect("it stayed").offset, 5);
}

/// Bytes of another size do not become a blob, and stay.
pub async fn a_wrong_size_leaves_the_ingest<S: Store>(store: &S) {
    for total in [4, 6] {
        let mut writer = open(store, "r", Expected::default()).await.expect("begun");
        if writer.status().offset == 0 {
            writer.write(Bytes::from_static(b"12345")).await.expect("written");
        }
        let expected = Expected { total: Some(total), digest: None };
        refused(writer.commit(commit_as(expected)).await, Code::FailedPrecondition);
    }
    let mut writer = open(store, "r", Expected::default()).await.expect("resumed");
    assert_eq!(writer.status().offset, 5);
    let right = Expected { total: Some(5), digest: Some(Digest::sha256(b"12345")) };
    writer.commit(commit_as(right)).await.expect("committed");
}

/// An ingest for a blob that exists, from its beginning or since, need not be finished.
pub async fn a_blob_that_is_there_ends_the_ingest<S: Store>(store: &S) {
    let digest = put(store, b"there").await;
    refused(put_in(store, &moby(), b"there", Default::default()).await, Code::AlreadyExists);
    let mut writer = open(store, "late", Expected::default()).await.expect("begun");
    refused(writer.expect(digest_is(&digest)).await, Code::AlreadyExists);
    let mut writer = open(store, "silent", Expected::default()).await.expect("begun");
    writer.write(Bytes::from_static(b"there")).await.expect("written");
    refused(writer.commit(commit_as(Expected::default())).await, Code::AlreadyExists);
    assert!(store.statuses(&moby(), &filters(&[])).await.expect("listed").is_empty());
}

/// The bytes are stored once, whichever commit is first.
pub async fn of_two_commits_one_wins<S: Store>(store: &S) {
    let bytes = pattern(50_000);
    let expected = digest_is(&Digest::sha256(&bytes));
    let mut writers = Vec::new();
    for reference in ["one", "two"] {
        let mut writer = open(store, reference, Expected::default()).await.expect("begun");
        writer.write(Bytes::copy_from_slice(&bytes)).await.expect("written");
        writers.push(writer);
    }
    let [one, two] = &mut writers[..] else { unreachable!("there are two") };
    let (one, two) = tokio::join!(one.commit(commit_as(expected.clone())), two.commit(commit_as(expected)));
    let (won, lost) = if one.is_ok() { (one, two) } else { (two, one) };
    refused(lost, Code::AlreadyExists);
    let blob = won.expect("committed");
    assert_eq!(read(store, &moby(), &blob.digest, Range::ALL).await.expect("read"), bytes);
    assert!(store.statuses(&moby(), &filters(&[])).await.expect("listed").is_empty());
}

/// An abort needs no writer; a writer learns of it.
pub async fn an_abort_ends_an_ingest_under_its_writer<S: Store>(store: &S) {
    let mut writer = open(store, "r", Expected::default()).await.expect("begun");
    writer.write(Bytes::from_static(b"abc")).await.expect("written");
    store.abort(&owner(), &name("r")).await.expect("aborted");
    refused(store.status(&moby(), &name("r")).await, Code::NotFound);
    refused(writer.write(Bytes::from_static(b"d")).await, Code::Aborted);
    let anew = open(store, "r", Expected::default()).await.expect("begun anew");
    assert_eq!(anew.status().offset, 0);
}

/// Filters match refs.
pub async fn ingests_are_listed_by_ref<S: Store>(store: &S) {
    for reference in ["b", "a", "c"] {
        drop(open(store, reference, Expected::default()).await.expect("begun"));
    }
    let list = async |texts: &[&str]| -> Vec<String> {
        let found = store.statuses(&moby(), &filters(texts)).await.expect("listed");
        found.into_iter().map(|status| status.reference.to_string()).collect()
    };
    assert_eq!(list(&[]).await, ["a", "b", "c"]);
    assert_eq!(list(&["ref~=^[bc]$"]).await, ["b", "c"]);
    assert!(store.statuses(&other(), &filters(&[])).await.expect("listed").is_empty());
}

/// Truncated bytes are not part of the blob.
pub async fn truncated_bytes_are_written_anew<S: Store>(store: &S) {
    let mut writer = open(store, "r", Expected::default()).await.expect("begun");
    writer.write(Bytes::from_static(b"a long mistake")).await.expect("written");
    writer.truncate().await.expect("truncated");
    assert_eq!(writer.status().offset, 0);
    writer.write(Bytes::from_static(b"right")).await.expect("written");
    let blob = writer.commit(commit_as(Expected::default())).await.expect("committed");
    assert_eq!((blob.digest, blob.size), (Digest::sha256(b"right"), 5));
}

/// The digest is always that of the bytes written so far.
pub async fn the_digest_is_told_while_bytes_come<S: Store>(store: &S) {
    let mut writer = open(store, "r", Expected::default()).await.expect("begun");
    assert_eq!(writer.digest().await.expect("told"), Digest::sha256(b""));
    writer.write(Bytes::from_static(b"one")).await.expect("written");
    assert_eq!(writer.digest().await.expect("told"), Digest::sha256(b"one"));
    writer.write(Bytes::from_static(b"two")).await.expect("written");
    assert_eq!(writer.digest().await.expect("told"), Digest::sha256(b"onetwo"));
}
