//! What a crash leaves: the service is started on the files as they were at some moment of another one's life.

use std::collections::HashMap;
use std::os::unix::fs::FileExt;
use std::path::Path;

use gantry_api::ingest::Writer;
use gantry_types::Digest;

use crate::harness::*;

/// The state as it is now, in a root of its own, as if every process had been killed.
pub fn killed(content: &Content) -> tempfile::TempDir {
    let dir = tempfile::tempdir_in("/dev/shm").expect("a temporary root");
    copy(&content.dir.path().join("state"), &dir.path().join("state"));
    dir
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false if entry.file_name() == "LOCK" => {}
            false => drop(std::fs::copy(entry.path(), to).expect("copied")),
        }
    }
}

#[tokio::test]
async fn what_was_answered_survives() {
    let content = Content::start().await;
    let kept = content.put(&moby(), b"kept", &[("a", "1")]).await.unwrap();
    let gone = content.put(&moby(), b"gone", &[]).await.unwrap();
    content.delete(&moby(), &gone).await.unwrap();
    let after = Content::start_in(killed(&content)).await;
    assert_eq!(after.info(&moby(), &kept).await.unwrap(), content.info(&moby(), &kept).await.unwrap());
    assert_eq!(after.read(&moby(), &kept, 0, 0).await.unwrap(), b"kept");
    assert!(after.info(&moby(), &gone).await.is_err());
    let after = Content::start_in(content.stop().await).await;
    assert_eq!(after.read(&moby(), &kept, 0, 0).await.unwrap(), b"kept");
}

#[tokio::test]
async fn a_stream_of_writes_goes_on_after_the_kill() {
    let content = Content::start().await;
    let bytes = pattern(1_000_000);
    let mut stream = content.write(&moby(), None).await;
    stream.ask(stat("r")).await.unwrap();
    stream.ask(write(0, &bytes[..600_000])).await.unwrap();
    let after = Content::start_in(killed(&content)).await;

    let mut stream = after.write(&moby(), None).await;
    let resumed = stream.ask(stat("r")).await.unwrap();
    assert_eq!((resumed.offset, resumed.digest), (600_000, Digest::sha256(&bytes[..600_000]).to_string()));
    stream.ask(write(600_000, &bytes[600_000..])).await.unwrap();
    let digest = Digest::sha256(&bytes);
    stream.ask(commit(1_000_000, 1_000_000, Some(&digest))).await.unwrap();
    assert_eq!(after.read(&moby(), &digest, 0, 0).await.unwrap(), bytes);
}

#[tokio::test]
async fn a_descriptor_s_bytes_go_on_after_the_kill() {
    let content = Content::start().await;
    let bytes = pattern(1_000_000);
    let digest = Digest::sha256(&bytes);
    let mut writer = Writer::open(&content.peers, &owner(), "r", 1_000_000, Some(&digest)).await.unwrap();
    writer.file().write_all_at(&bytes[..700_000], 0).unwrap();
    writer.progress(500_000).await.unwrap();
    let after = Content::start_in(killed(&content)).await;

    let mut writer = Writer::open(&after.peers, &owner(), "r", 1_000_000, Some(&digest)).await.unwrap();
    // What was written but not yet reported is there as well.
    assert_eq!(writer.offset(), 700_000);
    writer.file().write_all_at(&bytes[700_000..], 700_000).unwrap();
    writer.commit(1_000_000, Some(&digest), HashMap::new()).await.unwrap();
    assert_eq!(after.read(&moby(), &digest, 0, 0).await.unwrap(), bytes);
}

#[tokio::test]
async fn a_commit_cut_before_its_record_is_repeated_without_its_bytes() {
    let content = Content::start().await;
    let bytes = pattern(100_000);
    let digest = Digest::sha256(&bytes);
    let mut stream = content.write(&moby(), None).await;
    stream.ask(stat("r")).await.unwrap();
    stream.ask(write(0, &bytes)).await.unwrap();
    let dir = killed(&content);
    // The blob had its name already, the database knows nothing.
    let state = dir.path().join("state/content");
    let data = files(&state.join("ingest")).pop().unwrap();
    std::fs::hard_link(data, state.join("blobs/sha256").join(digest.hex())).unwrap();

    let after = Content::start_in(dir).await;
    assert!(after.files("blobs").is_empty());
    assert!(after.info(&moby(), &digest).await.is_err());
    let mut stream = after.write(&moby(), None).await;
    assert_eq!(stream.ask(stat("r")).await.unwrap().offset, 100_000);
    stream.ask(commit(100_000, 100_000, Some(&digest))).await.unwrap();
    assert_eq!(after.read(&moby(), &digest, 0, 0).await.unwrap(), bytes);
}

#[tokio::test]
async fn strays_are_removed_and_missing_bytes_are_not_claimed() {
    let content = Content::start().await;
    let whole = content.put(&moby(), b"whole", &[]).await.unwrap();
    let missing = content.put(&moby(), b"missing", &[]).await.unwrap();
    let short = content.put(&moby(), b"short", &[]).await.unwrap();
    let dir = content.stop().await;
    let state = dir.path().join("state/content");
    let blob = |digest: &Digest| state.join("blobs/sha256").join(digest.hex());
    std::fs::remove_file(blob(&missing)).unwrap();
    std::fs::remove_file(blob(&short)).unwrap();
    std::fs::write(blob(&short), "sh").unwrap();
    std::fs::write(blob(&Digest::sha256(b"stray")), "stray").unwrap();
    std::fs::create_dir(state.join("ingest/00000000000000aa")).unwrap();
    std::fs::write(state.join("ingest/00000000000000aa/data"), "stray").unwrap();

    let after = Content::start_in(dir).await;
    let left: Vec<_> = after.list(&moby()).await.unwrap().into_iter().map(|info| info.digest).collect();
    assert_eq!(left, [whole.to_string()]);
    assert_eq!(after.files("blobs").len(), 1);
    assert!(after.files("ingest").is_empty());
    after.put(&moby(), b"missing", &[]).await.unwrap();
}

#[tokio::test]
async fn an_ingest_whose_bytes_are_missing_begins_anew() {
    let content = Content::start().await;
    let mut stream = content.write(&moby(), None).await;
    stream.ask(stat("r")).await.unwrap();
    stream.ask(write(0, b"abc")).await.unwrap();
    let dir = killed(&content);
    std::fs::remove_dir_all(dir.path().join("state/content/ingest")).unwrap();
    let after = Content::start_in(dir).await;
    assert!(after.statuses(&moby()).await.is_empty());
    assert_eq!(after.write(&moby(), None).await.ask(stat("r")).await.unwrap().offset, 0);
}

#[tokio::test]
async fn an_old_ingest_expires() {
    let content = Content::start().await;
    content.write(&moby(), None).await.ask(stat("old")).await.unwrap();
    content.write(&moby(), Some(LEASE)).await.ask(stat("leased")).await.unwrap();
    content.write(&moby(), None).await.ask(stat("young")).await.unwrap();
    let dir = killed(&content);
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(25 * 3600);
    let ids = |content: &Content| content.files("ingest");
    for file in files(&dir.path().join("state/content/ingest")) {
        // All but the youngest, whose directory's name is the greatest.
        if file.rsplit('/').nth(1) != ids(&content).iter().filter_map(|f| f.rsplit('/').nth(1)).max() {
            std::fs::File::options().write(true).open(file).unwrap().set_modified(long_ago).unwrap();
        }
    }
    let after = Content::start_in(dir).await;
    for _ in 0..500 {
        let left: Vec<_> = after.statuses(&moby()).await.into_iter().map(|status| status.r#ref).collect();
        if left == ["leased", "young"] {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{:?}", after.statuses(&moby()).await);
}
