//! Files of blobs and ingests.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use gantry_api::content::files::{Filler, Followed, Follower, Wanted};
use gantry_api::content::{Commit, Committed, Expected, Files, Store};
use gantry_rpc::{Code, Coded};
use gantry_types::Digest;

use super::{commit_as, digest_is, moby, name, owner, pattern, put, refused};
use crate::wait;

const NOW: Duration = Duration::ZERO;
const SOON: Duration = Duration::from_secs(10);

fn contents(file: &File, size: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(size).expect("a small file")];
    file.read_exact_at(&mut bytes, 0).expect("read");
    bytes
}

/// Opens an ingest; its last writer may not be dropped completely yet.
async fn fill<S: Files>(store: &S, reference: &str, expected: Expected) -> (S::Filler, File) {
    let (owner, reference) = (owner(), name(reference));
    let attempt = async || store.fill(&owner, &reference, expected.clone()).await;
    wait::until(attempt, |error| error.code() == Code::Unavailable).await.expect("opened")
}

/// Waits until a follower is told that `offset` bytes are written. The writer's reports have no response, and may
/// arrive after the follower has begun.
async fn told<F: Follower>(follower: &mut F, offset: u64) {
    loop {
        match follower.next().await.expect("told") {
            Followed::Available(available) if available < offset => {}
            Followed::Available(available) => return assert_eq!(available, offset),
            other => panic!("{other:?}"),
        }
    }
}

/// The bytes that were written to the file are the blob, and the blob's file has them.
pub async fn a_file_is_filled_and_lent<S: Store + Files>(store: &S) {
    let bytes = pattern(100_000);
    let expected = Expected { total: Some(100_000), digest: Some(Digest::sha256(&bytes)) };
    let (mut filler, file) = fill(store, "r", expected.clone()).await;
    refused(store.fill(&owner(), &name("r"), expected.clone()).await, Code::Unavailable);
    file.write_all_at(&bytes, 0).expect("written");
    filler.progress(100_000).await.expect("told");
    drop(file);
    let blob = filler.commit(commit_as(expected.clone())).await.expect("committed");
    assert_eq!(blob, Committed { digest: Digest::sha256(&bytes), size: 100_000 });
    let (file, size) = store.open_blob(&moby(), &blob.digest).await.expect("there");
    assert_eq!(contents(&file, size), bytes);
    for reader in 0..2 {
        let (mut file, _) = store.open_blob(&moby(), &blob.digest).await.expect("there");
        let mut read = Vec::new();
        file.read_to_end(&mut read).expect("read");
        assert!(read == bytes, "reader {reader} has an offset of its own");
    }
    refused(store.fill(&owner(), &name("again"), expected).await, Code::AlreadyExists);
    refused(store.open_blob(&moby(), &Digest::sha256(b"nowhere")).await, Code::NotFound);
}

/// The commit verifies all written bytes, whether or not their progress was reported.
pub async fn a_commit_takes_all_of_the_file<S: Store + Files>(store: &S) {
    let (mut filler, file) = fill(store, "r", Expected::default()).await;
    file.write_all_at(b"never told", 0).expect("written");
    drop(file);
    let blob = filler.commit(Commit::default()).await.expect("committed");
    assert_eq!(blob, Committed { digest: Digest::sha256(b"never told"), size: 10 });
}

/// The next writer begins at the last reported offset.
pub async fn what_is_written_behind_the_progress_does_not_count<S: Store + Files>(store: &S) {
    let (mut filler, file) = fill(store, "r", Expected::default()).await;
    file.write_all_at(b"told, and not", 0).expect("written");
    filler.progress(4).await.expect("told");
    drop((filler, file));
    let (mut filler, file) = fill(store, "r", Expected::default()).await;
    assert_eq!(filler.extent().0, 4);
    drop(file);
    let blob = filler.commit(Commit::default()).await.expect("committed");
    assert_eq!(blob, Committed { digest: Digest::sha256(b"told"), size: 4 });
}

/// A follower is told of the progress of each writer, and of the end.
pub async fn a_follower_reads_what_arrives<S: Store + Files>(store: &S) {
    let (mut filler, file) = fill(store, "r", Expected::default()).await;
    file.write_all_at(b"first", 0).expect("written");
    filler.progress(5).await.expect("told");
    let (mut follower, read) =
        store.follow(&moby(), &Wanted::Ingest(name("r")), NOW).await.expect("followed");
    assert!(follower.begun_at().0 <= 5 && follower.begun_at().1.is_none());
    told(&mut follower, 5).await;
    assert_eq!(contents(&read, 5), b"first");
    drop((filler, file));
    let (mut filler, file) = fill(store, "r", Expected::default()).await;
    file.write_all_at(b"second", 5).expect("written");
    filler.progress(11).await.expect("told");
    told(&mut follower, 11).await;
    drop(file);
    let blob = filler.commit(Commit::default()).await.expect("committed");
    assert_eq!(follower.next().await.expect("told"), Followed::Committed(blob.clone()));
    assert_eq!(contents(&read, 11), b"firstsecond");
    let (mut follower, read) =
        store.follow(&moby(), &Wanted::Blob(blob.digest.clone()), NOW).await.expect("followed");
    assert_eq!(follower.next().await.expect("told"), Followed::Available(11));
    assert_eq!(follower.next().await.expect("told"), Followed::Committed(blob));
    assert_eq!(contents(&read, 11), b"firstsecond");
}

/// A follower that comes first waits, but not longer than it said.
pub async fn a_follower_waits_for_what_is_to_come<S: Store + Files>(store: &S) {
    let wanted = Wanted::Either(name("r"), Digest::sha256(b"to come"));
    refused(store.follow(&moby(), &wanted, NOW).await, Code::NotFound);
    let namespace = moby();
    let waiting = store.follow(&namespace, &wanted, SOON);
    let beginning = async {
        tokio::task::yield_now().await;
        fill(store, "r", Expected::default()).await
    };
    let (followed, (_filler, _file)) = tokio::join!(waiting, beginning);
    followed.expect("an ingest came");
    let digest = Digest::sha256(b"by another way");
    let wanted = Wanted::Blob(digest.clone());
    let (followed, put) =
        tokio::join!(store.follow(&namespace, &wanted, SOON), put(store, b"by another way"));
    followed.expect("a blob came");
    assert_eq!(put, digest);
}

/// A follower is told when its bytes were truncated or their ingest aborted.
pub async fn a_follower_learns_that_its_bytes_are_worthless<S: Store + Files>(store: &S) {
    for reference in ["truncated", "aborted"] {
        let (mut filler, file) = fill(store, reference, Expected::default()).await;
        file.write_all_at(b"mistake", 0).expect("written");
        filler.progress(7).await.expect("told");
        let wanted = Wanted::Ingest(name(reference));
        let (mut follower, _read) = store.follow(&moby(), &wanted, NOW).await.expect("followed");
        told(&mut follower, 7).await;
        match reference {
            "truncated" => filler.truncate().await.expect("truncated"),
            _ => filler.abort().await.expect("aborted"),
        }
        let news = follower.next().await.expect("told");
        assert!(matches!(news, Followed::Aborted(_)), "{reference}: {news:?}");
    }
}

/// After a failed commit the ingest stays, and can be truncated and filled again.
pub async fn a_commit_that_failed_may_be_filled_anew<S: Store + Files>(store: &S) {
    let right = digest_is(&Digest::sha256(b"right"));
    let (mut filler, file) = fill(store, "r", right.clone()).await;
    file.write_all_at(b"wrong", 0).expect("written");
    filler.progress(5).await.expect("told");
    drop(file);
    refused(filler.commit(commit_as(right.clone())).await, Code::FailedPrecondition);
    filler.truncate().await.expect("truncated");
    drop(filler);
    let (mut filler, file) = fill(store, "r", right.clone()).await;
    assert_eq!(filler.extent().0, 0);
    file.write_all_at(b"right", 0).expect("written");
    filler.progress(5).await.expect("told");
    drop(file);
    filler.commit(commit_as(right)).await.expect("committed");
}
