//! Content: blobs by digest, and the ingests that become blobs.

mod blobs;
mod files;
mod ingests;

use bytes::Bytes;
use gantry_api::content::{
    Commit, Committed, Expected, Ingest, IngestRef, Owner, Provide, Range, Reader, Store, Writer,
};
use gantry_rpc::{Code, Coded};
use gantry_types::filter::FilterSet;
use gantry_types::{Digest, Labels, Namespace};

pub use blobs::*;
pub use files::*;
pub use ingests::*;

use crate::wait;

/// Tests of `gantry_api::content::Store`.
#[macro_export]
macro_rules! content {
    ($world:expr) => {
        $crate::suite!(
            content,
            $world,
            [
                what_was_written_is_read,
                ranges_are_read_as_far_as_they_go,
                what_is_not_there_is_not_found,
                labels_are_changed_one_by_one_or_all,
                a_label_has_its_limit,
                a_walk_passes_what_the_filters_do,
                a_deleted_blob_is_gone_and_can_come_again,
                namespaces_see_their_own_and_share_the_bytes,
                an_ingest_is_resumed_by_its_ref,
                an_ingest_has_one_writer,
                a_wrong_digest_leaves_the_ingest,
                a_wrong_size_leaves_the_ingest,
                a_blob_that_is_there_ends_the_ingest,
                of_two_commits_one_wins,
                an_abort_ends_an_ingest_under_its_writer,
                ingests_are_listed_by_ref,
                truncated_bytes_are_written_anew,
                the_digest_is_told_while_bytes_come,
            ]
        );
    };
}

/// Tests of `gantry_api::content::Files` on a store that implements both traits.
#[macro_export]
macro_rules! content_files {
    ($world:expr) => {
        $crate::suite!(
            content,
            $world,
            [
                a_file_is_filled_and_lent,
                a_commit_takes_all_of_the_file,
                what_is_written_behind_the_progress_does_not_count,
                a_follower_reads_what_arrives,
                a_follower_waits_for_what_is_to_come,
                a_follower_learns_that_its_bytes_are_worthless,
                a_commit_that_failed_may_be_filled_anew,
            ]
        );
    };
}

fn moby() -> Namespace {
    Namespace::moby()
}

fn other() -> Namespace {
    "other".parse().expect("an identifier")
}

fn owner() -> Owner {
    Owner::of(&moby())
}

fn name(text: &str) -> IngestRef {
    text.parse().expect("a ref")
}

/// Bytes without repetition.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n / 7 + n / 4096) as u8).collect()
}

fn filters(texts: &[&str]) -> FilterSet {
    FilterSet::parse(texts).expect("filters")
}

fn digest_is(digest: &Digest) -> Expected {
    Expected { total: None, digest: Some(digest.clone()) }
}

fn commit_as(expected: Expected) -> Commit {
    Commit { expected, labels: Labels::new() }
}

/// Asserts that a call failed with this code.
#[track_caller]
fn refused<T, E: Coded>(outcome: Result<T, E>, code: Code) {
    match outcome {
        Ok(_) => panic!("it did not fail, but should have with {code:?}"),
        Err(error) => assert_eq!(error.code(), code, "{error}"),
    }
}

/// Opens an ingest; its last writer may not be dropped completely yet.
async fn open<S: Ingest>(store: &S, reference: &str, expected: Expected) -> Result<S::Writer, S::Error> {
    let (owner, reference) = (owner(), name(reference));
    let attempt = async || store.open(&owner, &reference, expected.clone()).await;
    wait::until(attempt, |error| error.code() == Code::Unavailable).await
}

/// Writes and commits bytes in a namespace.
async fn put_in<S: Store>(
    store: &S,
    namespace: &Namespace,
    bytes: &[u8],
    labels: Labels,
) -> Result<Committed, S::Error> {
    let digest = Digest::sha256(bytes);
    let expected = Expected { total: Some(bytes.len() as u64), digest: Some(digest.clone()) };
    let owner = Owner::of(namespace);
    let mut writer = store.open(&owner, &name(&format!("put-{digest}")), expected.clone()).await?;
    if writer.status().offset == 0 {
        writer.write(Bytes::copy_from_slice(bytes)).await?;
    }
    writer.commit(Commit { expected, labels }).await
}

async fn put<S: Store>(store: &S, bytes: &[u8]) -> Digest {
    put_in(store, &moby(), bytes, Labels::new()).await.expect("committed").digest
}

async fn read<S: Provide>(
    store: &S,
    namespace: &Namespace,
    digest: &Digest,
    range: Range,
) -> Result<Vec<u8>, S::Error> {
    let mut reader = store.read(namespace, digest, range).await?;
    let mut bytes = Vec::new();
    while let Some(piece) = reader.next().await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}
