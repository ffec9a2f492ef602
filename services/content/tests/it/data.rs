//! The data socket: descriptors instead of messages.

use std::collections::HashMap;
use std::os::unix::fs::FileExt;

use gantry_api::ingest::{Followed, Follower, Writer, open_blob};
use gantry_types::Digest;
use tonic::Code;

use crate::harness::*;

#[tokio::test]
async fn bytes_are_written_followed_and_committed() {
    let content = Content::start().await;
    let bytes = pattern(300_000);
    let digest = Digest::sha256(&bytes);
    let peers = content.peers.clone();
    let following = tokio::spawn(async move {
        // Begins before there is anything to follow.
        let (mut follower, file) = Follower::open(&peers, &owner(), "layer", &digest, 5000).await.unwrap();
        let mut seen = Vec::new();
        loop {
            match follower.next().await.unwrap() {
                Followed::Available(offset) => {
                    let mut more = vec![0; offset as usize - seen.len()];
                    file.read_exact_at(&mut more, seen.len() as u64).unwrap();
                    seen.extend(more);
                }
                Followed::Committed { digest, size } => return (seen, digest, size),
                Followed::Aborted(reason) => panic!("{reason}"),
            }
        }
    });
    let digest = Digest::sha256(&bytes);
    let mut writer = Writer::open(&content.peers, &owner(), "layer", 300_000, Some(&digest)).await.unwrap();
    assert_eq!(writer.offset(), 0);
    for (n, piece) in bytes.chunks(100_000).enumerate() {
        writer.file().write_all_at(piece, n as u64 * 100_000).unwrap();
        writer.progress((n as u64 + 1) * 100_000).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let labels = HashMap::from([("l".to_owned(), "1".to_owned())]);
    let committed = writer.commit(300_000, Some(&digest), labels.clone()).await.unwrap();
    assert_eq!(committed.digest, digest.to_string());
    let (seen, of, size) = following.await.unwrap();
    assert_eq!((seen, of, size), (bytes.clone(), digest.to_string(), 300_000));
    assert_eq!(content.info(&moby(), &digest).await.unwrap().labels, labels);

    let (file, size) = open_blob(&content.peers, &moby(), &digest).await.unwrap();
    let mut all = vec![0; size as usize];
    file.read_exact_at(&mut all, 0).unwrap();
    assert_eq!(all, bytes);
    assert!(file.write_at(b"x", 0).is_err());
    assert_eq!(open_blob(&content.peers, &other(), &digest).await.unwrap_err().code(), Code::NotFound);

    // Who comes late follows the blob.
    let (mut late, _) = Follower::open(&content.peers, &owner(), "", &digest, 0).await.unwrap();
    assert_eq!(late.next().await.unwrap(), Followed::Available(300_000));
    assert_eq!(late.next().await.unwrap(), Followed::Committed { digest: digest.to_string(), size: 300_000 });
}

#[tokio::test]
async fn a_descriptor_kept_beyond_the_commit_changes_nothing() {
    let content = Content::start().await;
    let bytes = pattern(50_000);
    let digest = Digest::sha256(&bytes);
    let mut writer = Writer::open(&content.peers, &owner(), "r", 0, Some(&digest)).await.unwrap();
    let kept = writer.file().try_clone().unwrap();
    kept.write_all_at(&bytes, 0).unwrap();
    writer.commit(50_000, Some(&digest), HashMap::new()).await.unwrap();
    kept.write_all_at(b"evil", 0).unwrap();
    assert_eq!(content.read(&moby(), &digest, 0, 0).await.unwrap(), bytes);
}

#[tokio::test]
async fn bytes_changed_behind_the_progress_do_not_pass() {
    let content = Content::start().await;
    let digest = Digest::sha256(b"good");
    let mut writer = Writer::open(&content.peers, &owner(), "r", 4, Some(&digest)).await.unwrap();
    writer.file().write_all_at(b"good", 0).unwrap();
    writer.progress(4).await.unwrap();
    writer.file().write_all_at(b"evil", 0).unwrap();
    let refused = writer.commit(4, Some(&digest), HashMap::new()).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    // The same connection may begin anew.
    writer.truncate().await.unwrap();
    writer.file().write_all_at(b"good", 0).unwrap();
    writer.progress(4).await.unwrap();
    writer.commit(4, Some(&digest), HashMap::new()).await.unwrap();
}

#[tokio::test]
async fn a_writer_that_goes_away_leaves_what_it_reported() {
    let content = Content::start().await;
    let mut writer = Writer::open(&content.peers, &owner(), "r", 10, None).await.unwrap();
    writer.file().write_all_at(b"0123456789", 0).unwrap();
    writer.progress(6).await.unwrap();
    let locked = Writer::open(&content.peers, &owner(), "r", 10, None).await.unwrap_err();
    assert_eq!(locked.code(), Code::Unavailable);
    let digest = Digest::sha256(b"0123456789");
    let (mut follower, file) = Follower::open(&content.peers, &owner(), "r", &digest, 0).await.unwrap();
    assert_eq!(follower.next().await.unwrap(), Followed::Available(6));
    drop(writer);

    let mut writer = reopen(&content, "r").await;
    assert_eq!(writer.offset(), 6);
    assert_eq!(writer.file().metadata().unwrap().len(), 6);
    writer.file().write_all_at(b"6789", 6).unwrap();
    writer.progress(10).await.unwrap();
    // The follower was not disturbed.
    assert_eq!(follower.next().await.unwrap(), Followed::Available(10));
    writer.commit(10, Some(&digest), HashMap::new()).await.unwrap();
    assert_eq!(follower.next().await.unwrap(), Followed::Committed { digest: digest.to_string(), size: 10 });
    let mut seen = [0; 10];
    file.read_exact_at(&mut seen, 0).unwrap();
    assert_eq!(&seen, b"0123456789");
}

/// A dropped connection frees the ref when the service has seen its end.
async fn reopen(content: &Content, reference: &str) -> Writer {
    for _ in 0..500 {
        match Writer::open(&content.peers, &owner(), reference, 0, None).await {
            Ok(writer) => return writer,
            Err(status) if status.code() == Code::Unavailable => {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            Err(status) => panic!("{status}"),
        }
    }
    panic!("the ref is still locked");
}

#[tokio::test]
async fn followers_learn_of_the_end() {
    let content = Content::start().await;
    let digest = Digest::sha256(b"never");
    let none = Follower::open(&content.peers, &owner(), "r", &digest, 20).await.unwrap_err();
    assert_eq!(none.code(), Code::NotFound);

    let mut writer = Writer::open(&content.peers, &owner(), "r", 0, None).await.unwrap();
    writer.file().write_all_at(b"abc", 0).unwrap();
    writer.progress(3).await.unwrap();
    let (mut follower, _file) = Follower::open(&content.peers, &owner(), "r", &digest, 0).await.unwrap();
    assert_eq!(follower.next().await.unwrap(), Followed::Available(3));
    writer.truncate().await.unwrap();
    assert!(matches!(follower.next().await.unwrap(), Followed::Aborted(_)));

    let (mut follower, _file) = Follower::open(&content.peers, &owner(), "r", &digest, 0).await.unwrap();
    assert_eq!(follower.next().await.unwrap(), Followed::Available(0));
    writer.abort().await.unwrap();
    assert!(matches!(follower.next().await.unwrap(), Followed::Aborted(_)));
    assert!(content.files("ingest").is_empty());
}

#[tokio::test]
async fn a_writer_cannot_report_bytes_that_are_not_there() {
    let content = Content::start().await;
    let mut writer = Writer::open(&content.peers, &owner(), "r", 0, None).await.unwrap();
    writer.file().write_all_at(b"abc", 0).unwrap();
    writer.progress(4).await.unwrap();
    let refused = writer.commit(4, None, HashMap::new()).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);
}

#[tokio::test]
async fn a_blob_of_another_namespace_needs_no_bytes() {
    let content = Content::start().await;
    let digest = content.put(&other(), b"shared", &[]).await.unwrap();
    let mut writer = Writer::open(&content.peers, &owner(), "r", 6, Some(&digest)).await.unwrap();
    assert_eq!(writer.offset(), 6);
    let (mut follower, file) = Follower::open(&content.peers, &owner(), "r", &digest, 0).await.unwrap();
    assert_eq!(follower.next().await.unwrap(), Followed::Available(6));
    let mut seen = [0; 6];
    file.read_exact_at(&mut seen, 0).unwrap();
    assert_eq!(&seen, b"shared");
    writer.commit(6, Some(&digest), HashMap::new()).await.unwrap();
    assert_eq!(follower.next().await.unwrap(), Followed::Committed { digest: digest.to_string(), size: 6 });
    assert_eq!(content.read(&moby(), &digest, 0, 0).await.unwrap(), b"shared");
}

#[tokio::test]
async fn an_expected_blob_that_is_there_is_not_opened() {
    let content = Content::start().await;
    let digest = content.put(&moby(), b"there", &[]).await.unwrap();
    let refused = Writer::open(&content.peers, &owner(), "r", 5, Some(&digest)).await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists);
}
