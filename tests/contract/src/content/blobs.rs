//! Blobs.

use std::time::SystemTime;

use gantry_api::content::{Expected, Ingest, Owner, Range, Store, Writer};
use gantry_rpc::Code;
use gantry_types::{Digest, Labels, Relabel};

use super::{filters, moby, name, other, pattern, put, put_in, read, refused};

/// A committed blob has its bytes, its size and its labels.
pub async fn what_was_written_is_read<S: Store>(store: &S) {
    let bytes = pattern(300_000);
    let labels = Labels::from([("a", "1"), ("empty", "")]);
    let before = SystemTime::now();
    let blob = put_in(store, &moby(), &bytes, labels).await.expect("committed");
    assert_eq!((&blob.digest, blob.size), (&Digest::sha256(&bytes), 300_000));
    let info = store.info(&moby(), &blob.digest).await.expect("there");
    assert_eq!((&info.digest, info.size), (&blob.digest, blob.size));
    assert_eq!(info.labels, Labels::from([("a", "1")]), "a label without a value is none");
    assert!(before <= info.created_at && info.created_at <= SystemTime::now(), "{info:?}");
    assert_eq!(read(store, &moby(), &blob.digest, Range::ALL).await.expect("read"), bytes);
    let empty = put(store, b"").await;
    assert!(read(store, &moby(), &empty, Range::ALL).await.expect("read").is_empty());
}

/// A range that exceeds the blob is cut; one that begins behind its end is refused.
pub async fn ranges_are_read_as_far_as_they_go<S: Store>(store: &S) {
    let bytes = pattern(100_000);
    let digest = put(store, &bytes).await;
    for (start, length, expected) in [
        (0, Some(10), &bytes[..10]),
        (50_000, Some(40_000), &bytes[50_000..90_000]),
        (90_000, Some(20_000), &bytes[90_000..]),
        (99_999, None, &bytes[99_999..]),
        (100_000, None, &[]),
        (5, Some(0), &[]),
    ] {
        let range = Range { start, length };
        assert_eq!(read(store, &moby(), &digest, range).await.expect("read"), expected, "{range:?}");
    }
    let behind = Range { start: 100_001, length: None };
    refused(read(store, &moby(), &digest, behind).await, Code::OutOfRange);
}

/// No call succeeds for a missing blob or ingest.
pub async fn what_is_not_there_is_not_found<S: Store>(store: &S) {
    let digest = Digest::sha256(b"nowhere");
    let owner = Owner::of(&moby());
    refused(store.info(&moby(), &digest).await, Code::NotFound);
    refused(read(store, &moby(), &digest, Range::ALL).await, Code::NotFound);
    refused(store.update(&moby(), &digest, &Relabel::All(Labels::new())).await, Code::NotFound);
    refused(store.delete(&owner, &digest).await, Code::NotFound);
    refused(store.status(&moby(), &name("nowhere")).await, Code::NotFound);
    refused(store.abort(&owner, &name("nowhere")).await, Code::NotFound);
    assert!(store.walk(&moby(), &filters(&[])).await.expect("listed").is_empty());
}

/// An update changes the labels that it names, and no others.
pub async fn labels_are_changed_one_by_one_or_all<S: Store>(store: &S) {
    let labels = Labels::from([("a", "1"), ("b.c/d", "2")]);
    let digest = put_in(store, &moby(), b"labelled", labels).await.expect("committed").digest;
    let created = store.info(&moby(), &digest).await.expect("there");
    let each = Relabel::Each(Labels::from([("a", ""), ("e", "3"), ("none", "")]));
    let info = store.update(&moby(), &digest, &each).await.expect("changed");
    assert_eq!(info.labels, Labels::from([("b.c/d", "2"), ("e", "3")]));
    assert_eq!(info.created_at, created.created_at);
    assert!(info.updated_at >= created.updated_at);
    assert_eq!(store.info(&moby(), &digest).await.expect("there"), info);
    let all = Relabel::All(Labels::from([("x", "y"), ("z", "")]));
    let info = store.update(&moby(), &digest, &all).await.expect("changed");
    assert_eq!(info.labels, Labels::from([("x", "y")]));
}

/// A label that is too long is refused, and nothing changes.
pub async fn a_label_has_its_limit<S: Store>(store: &S) {
    let digest = put_in(store, &moby(), b"x", Labels::from([("a", "1")])).await.expect("committed").digest;
    let long = Labels::from([("k".to_owned(), "v".repeat(Labels::MAX_BYTES))]);
    refused(store.update(&moby(), &digest, &Relabel::Each(long.clone())).await, Code::InvalidArgument);
    assert_eq!(store.info(&moby(), &digest).await.expect("there").labels, Labels::from([("a", "1")]));
    refused(put_in(store, &moby(), b"y", long).await, Code::InvalidArgument);
    refused(store.info(&moby(), &Digest::sha256(b"y")).await, Code::NotFound);
}

/// Filters match digests and labels; a walk is sorted by digest.
pub async fn a_walk_passes_what_the_filters_do<S: Store>(store: &S) {
    let mut digests = Vec::new();
    for n in 0..250 {
        let labels = Labels::from([("n", (n % 2).to_string()), ("gc.ref/x", n.to_string())]);
        digests.push(put_in(store, &moby(), &[n as u8, 1], labels).await.expect("committed").digest);
    }
    put_in(store, &other(), b"elsewhere", Labels::new()).await.expect("committed");
    let walk = async |texts: &[&str]| -> Vec<Digest> {
        let found = store.walk(&moby(), &filters(texts)).await.expect("listed");
        found.into_iter().map(|info| info.digest).collect()
    };
    let first = format!("digest=={}", digests[0]);
    assert_eq!(walk(&[&first]).await, [digests[0].clone()]);
    assert_eq!(walk(&["labels.n==0"]).await.len(), 125);
    let mut two = vec![digests[0].clone(), digests[9].clone()];
    two.sort();
    assert_eq!(walk(&[&first, "labels.n==1,labels.\"gc.ref/x\"==9"]).await, two);
    assert!(walk(&["labels.missing"]).await.is_empty());
    digests.sort();
    assert_eq!(walk(&[]).await, digests);
}

/// A deleted blob is gone until a client writes it again.
pub async fn a_deleted_blob_is_gone_and_can_come_again<S: Store>(store: &S) {
    let labels = Labels::from([("a", "1")]);
    let digest = put_in(store, &moby(), b"here today", labels).await.expect("committed").digest;
    store.delete(&Owner::of(&moby()), &digest).await.expect("deleted");
    refused(store.info(&moby(), &digest).await, Code::NotFound);
    refused(read(store, &moby(), &digest, Range::ALL).await, Code::NotFound);
    refused(store.delete(&Owner::of(&moby()), &digest).await, Code::NotFound);
    assert_eq!(put(store, b"here today").await, digest);
    assert!(store.info(&moby(), &digest).await.expect("there").labels.is_empty());
}

/// A namespace does not see another's blobs and labels, and need not write bytes that another has.
pub async fn namespaces_see_their_own_and_share_the_bytes<S: Store>(store: &S) {
    let bytes = pattern(10_000);
    let labels = Labels::from([("whose", "moby's")]);
    let digest = put_in(store, &moby(), &bytes, labels).await.expect("committed").digest;
    refused(store.info(&other(), &digest).await, Code::NotFound);
    refused(read(store, &other(), &digest, Range::ALL).await, Code::NotFound);

    let expected = Expected { total: None, digest: Some(digest.clone()) };
    let mut writer =
        store.open(&Owner::of(&other()), &name("shared"), expected.clone()).await.expect("opened");
    assert_eq!(writer.status().offset, 10_000, "the bytes are there");
    let blob = writer.commit(super::commit_as(expected)).await.expect("committed");
    assert_eq!((&blob.digest, blob.size), (&digest, 10_000));
    assert!(store.info(&other(), &digest).await.expect("there").labels.is_empty());

    store.delete(&Owner::of(&moby()), &digest).await.expect("deleted");
    assert_eq!(read(store, &other(), &digest, Range::ALL).await.expect("still there"), bytes);
    store.delete(&Owner::of(&other()), &digest).await.expect("deleted");
    let writer = Ingest::open(store, &Owner::of(&moby()), &name("again"), super::digest_is(&digest)).await;
    assert_eq!(writer.expect("opened").status().offset, 0, "nobody has the bytes");
}
