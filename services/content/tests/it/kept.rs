//! Blobs whose bytes the store of another program keeps, and what may go wrong with it.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gantry_api::content::Inspect;
use gantry_api::ingest::{Follower, open_blob};
use gantry_daemon::{Context, Roots, Service as _};
use gantry_disk::Database;
use gantry_proto::containerd::services::content::v1 as pb;
use gantry_proto::containerd::services::introspection::v1::PluginsRequest;
use gantry_proto::containerd::services::introspection::v1::introspection_client::IntrospectionClient;
use gantry_proto::gantry::gc::v1 as gc;
use gantry_types::{Algorithm, Digest, Namespace};
use tonic::{Code, Status};

use crate::crash::killed;
use crate::far::{Far, How, Process, there};
use crate::harness::*;

const ROOT: &str = "containerd.io/gc.root";

async fn near(far: &Far, cache: &str) -> Content {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    Content::start_with(dir, &far.settings(cache)).await
}

/// Its patience with the store ends soon.
async fn hasty(far: &Far, cache: &str) -> Content {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    Content::start_with(dir, &in_haste(far.settings(cache))).await
}

fn in_haste(settings: String) -> String {
    settings.replace("10s", "1s")
}

async fn read(content: &Content, digest: &Digest) -> Result<Vec<u8>, Status> {
    content.read(&moby(), digest, 0, 0).await
}

/// The files of blobs, and what they take.
fn cached(content: &Content) -> (usize, u64) {
    let files = content.files("blobs");
    let sizes = files.iter().filter_map(|path| std::fs::metadata(path).ok()).map(|meta| meta.len());
    (files.len(), sizes.sum())
}

#[track_caller]
fn names_far<T: std::fmt::Debug>(outcome: Result<T, Status>, code: Code) {
    let status = outcome.unwrap_err();
    assert!(status.code() == code && status.message().contains("far"), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_at_the_store_and_records_here() {
    let far = Far::start();
    let content = near(&far, "1MiB").await;
    let bytes = pattern(300_000);
    let digest = content.put(&moby(), &bytes, &[("a", "1")]).await.unwrap();
    let labels = far.labels(&digest).await.unwrap();
    assert!(labels.len() == 1 && labels[ROOT].starts_with("gantry-"), "{labels:?}");
    assert_eq!(cached(&content), (1, 300_000));
    assert!(!content.state().join("fetch").exists(), "nothing was fetched");

    // A service that has lost its cache fetches the bytes for whoever needs them.
    let dir = content.stop().await;
    for file in files(&dir.path().join("state/content/blobs")) {
        std::fs::remove_file(file).unwrap();
    }
    let content = Content::start_with(dir, &far.settings("1MiB")).await;
    assert_eq!(content.info(&moby(), &digest).await.unwrap().labels["a"], "1");
    assert_eq!(content.read(&moby(), &digest, 100_000, 50).await.unwrap(), bytes[100_000..100_050]);
    assert_eq!(cached(&content), (1, 300_000));
    far.behaves(How::Damages);
    let (file, size) = open_blob(&content.peers, &moby(), &digest).await.unwrap();
    let mut all = vec![0; size as usize];
    file.read_exact_at(&mut all, 0).unwrap();
    assert_eq!(all, bytes, "it is lent from the cache");
    assert!(file.write_at(b"x", 0).is_err());
    far.behaves(How::Well);
    assert!(files(&content.state().join("fetch")).is_empty());

    // The bytes go with the last record.
    let mut stream = content.write(&other(), None).await;
    let whole = commit(300_000, 300_000, Some(&digest));
    stream.ask(pb::WriteContentRequest { r#ref: "r".into(), ..whole }).await.unwrap();
    content.delete(&moby(), &digest).await.unwrap();
    assert_eq!(content.read(&other(), &digest, 0, 0).await.unwrap(), bytes);
    assert!(far.has(&digest).await);
    content.delete(&other(), &digest).await.unwrap();
    far.comes_to(false, &digest).await;
    assert_eq!(cached(&content), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_with_files_of_its_own_makes_no_folder_for_others() {
    let content = Content::start().await;
    let digest = content.put(&moby(), b"x", &[]).await.unwrap();
    assert_eq!(read(&content, &digest).await.unwrap(), b"x");
    let mut names: Vec<_> = std::fs::read_dir(content.state())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["blobs", "db", "db.copy", "ingest"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_have_put_there_is_verified_and_stays() {
    let far = Far::start();
    let content = near(&far, "1MiB").await;
    let bytes = pattern(100_000);
    let digest = far.put(&bytes).await;
    let stranger = far.put(b"of no concern").await;
    far.behaves(How::Damages);
    let refused = content.put(&moby(), &bytes, &[]).await;
    names_far(refused, Code::DataLoss);
    assert_eq!(content.info(&moby(), &digest).await.unwrap_err().code(), Code::NotFound);
    far.behaves(How::Well);
    let before = far.store.written.load(Ordering::Relaxed);
    content.put(&moby(), &bytes, &[]).await.unwrap();
    assert_eq!(far.store.written.load(Ordering::Relaxed), before, "nothing was sent");
    // While we need it, nobody collects it.
    assert!(far.labels(&digest).await.unwrap().contains_key(ROOT));
    assert_eq!(read(&content, &digest).await.unwrap(), bytes);
    content.delete(&moby(), &digest).await.unwrap();
    for _ in 0..1000 {
        if !far.labels(&digest).await.unwrap().contains_key(ROOT) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(far.labels(&digest).await.unwrap(), [("theirs", "yes")].into());
    // Nor does a start or a collection touch what has no record here.
    let content = Content::start_with(content.stop().await, &far.settings("1MiB")).await;
    let gone = content.put(&moby(), b"gone", &[]).await.unwrap();
    content.delete(&moby(), &gone).await.unwrap();
    far.comes_to(false, &gone).await;
    assert!(far.has(&stranger).await && far.has(&digest).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_or_stopped_costs_its_callers_little() {
    let mut far = Process::start();
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let content = Content::start_with(dir, &in_haste(far.settings("150KiB"))).await;
    let bytes = |n: u8| [&[n], &pattern(100_000)[..]].concat();
    let mut digests = Vec::new();
    for n in 0..2 {
        let put = async || content.put(&moby(), &bytes(n), &[]).await;
        let digest = loop {
            match put().await {
                // It is not there yet.
                Err(status) if status.code() == Code::Unavailable => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                outcome => break outcome.unwrap(),
            }
        };
        digests.push(digest);
    }
    for (action, code) in [("STOP", Code::DeadlineExceeded), ("KILL", Code::Unavailable)] {
        match action {
            "STOP" => far.signal("STOP"),
            _ => far.kill(),
        }
        let begun = Instant::now();
        names_far(content.put(&moby(), b"new", &[]).await, code);
        names_far(read(&content, &digests[0]).await, code);
        names_far(open_blob(&content.peers, &moby(), &digests[0]).await, code);
        let following = Follower::open(&content.peers, &owner(), "", &digests[0], 0).await;
        names_far(following.map(drop), code);
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        // What is here is lent, and records are changed.
        assert_eq!(read(&content, &digests[1]).await.unwrap(), bytes(1));
        assert_eq!(content.list(&moby()).await.unwrap().len(), 2);
        if action == "STOP" {
            far.signal("CONT");
        } else {
            content.delete(&moby(), &digests[1]).await.unwrap();
            far.run();
        }
        for _ in 0..200 {
            if read(&content, &digests[0]).await.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(read(&content, &digests[0]).await.unwrap(), bytes(0));
        // The cache has room for one: the next round begins with the other one in it.
        if action == "STOP" {
            assert_eq!(read(&content, &digests[1]).await.unwrap(), bytes(1));
        }
    }
    let new = content.put(&moby(), b"new", &[]).await.unwrap();

    // What was deleted while the store was away is removed there at the next start.
    let content = Content::start_with(content.stop().await, &far.settings("150KiB")).await;
    let there_still = async |digest: &Digest| {
        let peers = gantry_api::Peers::new(&far.dir.path().join("run"));
        gantry_api::content::Client::new(&peers).info(&there(), digest).await.is_ok()
    };
    for _ in 0..500 {
        if !there_still(&digests[1]).await {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!there_still(&digests[1]).await && there_still(&new).await && there_still(&digests[0]).await);
    assert_eq!(read(&content, &new).await.unwrap(), b"new");
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_bytes_are_never_lent() {
    let far = Far::start();
    let content = near(&far, "0B").await;
    let bytes = pattern(100_000);
    let digest = content.put(&moby(), &bytes, &[]).await.unwrap();
    far.behaves(How::Damages);
    names_far(read(&content, &digest).await, Code::DataLoss);
    names_far(open_blob(&content.peers, &moby(), &digest).await, Code::DataLoss);
    assert!(content.files("blobs").is_empty() && content.files("fetch").is_empty());
    far.behaves(How::Well);
    assert_eq!(read(&content, &digest).await.unwrap(), bytes);
    assert!(content.files("blobs").is_empty(), "the cache is empty");

    // The check finds it, and clears the way for the next pull.
    far.behaves(How::Damages);
    let mut fsck = content.peers.fsck("content");
    let mut check = async |repair| {
        fsck.check(gc::FsckRequest { repair, quick: false }).await.unwrap().into_inner().strays
    };
    assert!(matches!(&check(false).await[..], [stray] if stray.kind == "blob" && !stray.repaired));
    assert!(matches!(&check(true).await[..], [stray] if stray.repaired));
    far.comes_to(false, &digest).await;
    assert!(content.files("fetch").is_empty());
    far.behaves(How::Well);
    assert!(check(false).await.is_empty());
    content.put(&moby(), &bytes, &[]).await.unwrap();
    assert_eq!(read(&content, &digest).await.unwrap(), bytes);

    // A blob that is gone there is not found missing in silence.
    let labels = far.labels(&digest).await.unwrap();
    assert!(labels.contains_key(ROOT));
    gantry_api::content::Manage::delete(&far.store, &gantry_api::Owner::of(&there()), &digest).await.unwrap();
    let content = Content::start_with(content.stop().await, &far.settings("0B")).await;
    names_far(read(&content, &digest).await, Code::DataLoss);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_trickles_does_not_go_on_for_ever() {
    let far = Far::start();
    let content = hasty(&far, "0B").await;
    let digest = content.put(&moby(), &pattern(1000), &[]).await.unwrap();
    far.behaves(How::Trickles(Duration::from_millis(300)));
    let begun = Instant::now();
    names_far(read(&content, &digest).await, Code::DeadlineExceeded);
    let took = begun.elapsed();
    assert!((Duration::from_secs(5)..Duration::from_secs(30)).contains(&took), "{took:?}");
    assert!(content.files("fetch").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_the_two_commits_leaves_nothing_there() {
    let far = Far::start();
    let content = hasty(&far, "1MiB").await;
    let bytes = pattern(100_000);
    let digest = Digest::sha256(&bytes);
    far.behaves(How::CommitsSilently);
    let mut stream = content.write(&moby(), None).await;
    stream.ask(stat("r")).await.unwrap();
    stream.ask(write(0, &bytes)).await.unwrap();
    let committing = stream.ask(commit(100_000, 100_000, Some(&digest)));
    let killing = async {
        far.comes_to(true, &digest).await;
        killed(&content)
    };
    let (refused, dir) = tokio::join!(committing, killing);
    names_far(refused, Code::DeadlineExceeded);
    assert_eq!(content.info(&moby(), &digest).await.unwrap_err().code(), Code::NotFound);
    drop(content);

    far.behaves(How::Well);
    let after = Content::start_with(dir, &far.settings("1MiB")).await;
    far.comes_to(false, &digest).await;
    assert!(after.files("blobs").is_empty());
    let mut stream = after.write(&moby(), None).await;
    assert_eq!(stream.ask(stat("r")).await.unwrap().offset, 100_000, "the ingest goes on");
    stream.ask(commit(100_000, 100_000, Some(&digest))).await.unwrap();
    assert_eq!(read(&after, &digest).await.unwrap(), bytes);
    assert!(far.has(&digest).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_was_lost_is_repeated() {
    let far = Far::start();
    let content = hasty(&far, "1MiB").await;
    let bytes = pattern(100_000);
    far.behaves(How::CommitsSilently);
    names_far(content.put(&moby(), &bytes, &[]).await, Code::DeadlineExceeded);
    far.behaves(How::Well);
    let digest = content.put(&moby(), &bytes, &[]).await.unwrap();
    // It was ours before, and is removed with its record.
    content.delete(&moby(), &digest).await.unwrap();
    far.comes_to(false, &digest).await;

    // Unless somebody else has put it there meanwhile.
    far.behaves(How::StuckAt(0));
    names_far(content.put(&moby(), &bytes, &[]).await, Code::DeadlineExceeded);
    far.behaves(How::Well);
    far.put(&bytes).await;
    content.put(&moby(), &bytes, &[]).await.unwrap();
    assert!(far.labels(&digest).await.unwrap().contains_key(ROOT), "nobody collects it");
    content.delete(&moby(), &digest).await.unwrap();
    let theirs = [("theirs", "yes")].into();
    for _ in 0..500 {
        if far.labels(&digest).await == Some(&theirs).cloned() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(far.labels(&digest).await, Some(theirs));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_big_upload_is_resumed_and_committed_slowly() {
    let far = Far::start();
    let content = hasty(&far, "0B").await;
    const SIZE: usize = 64 << 20;
    let bytes = pattern(SIZE);
    let digest = Digest::sha256(&bytes);
    let mut stream = content.write(&moby(), None).await;
    stream.ask(stat("big")).await.unwrap();
    for (n, piece) in bytes.chunks(4 << 20).enumerate() {
        stream.ask(write((n * (4 << 20)) as i64, piece)).await.unwrap();
    }
    stream.close().await;
    let attempt = async || {
        let mut stream = content.write(&moby(), None).await;
        let request = commit(SIZE as i64, SIZE as i64, Some(&digest));
        stream.ask(pb::WriteContentRequest { r#ref: "big".into(), ..request }).await
    };
    far.behaves(How::StuckAt(48 << 20));
    names_far(attempt().await, Code::DeadlineExceeded);
    // Longer than a step may take; for so many bytes a commit has two seconds more.
    far.behaves(How::CommitsSlowly(Duration::from_millis(1800)));
    for _ in 0..100 {
        match attempt().await {
            // The one that was stuck has the lock there for a while.
            Err(status) if status.code() == Code::Unavailable => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            outcome => {
                outcome.unwrap();
                break;
            }
        }
    }
    assert_eq!(far.store.written.load(Ordering::Relaxed), SIZE as u64, "no byte was sent twice");
    let mut all = Vec::new();
    for offset in (0..SIZE).step_by(16 << 20) {
        all.extend(content.read(&moby(), &digest, offset as i64, 16 << 20).await.unwrap());
    }
    assert!(all == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_lacks_an_algorithm_is_named() {
    let far = Far::start();
    let content = near(&far, "1MiB").await;
    let mut hasher = Algorithm::Sha512.hasher();
    hasher.update(b"bytes");
    let digest = hasher.finish();
    let attempt = async |reference: &str| {
        let mut stream = content.write(&moby(), None).await;
        stream.ask(stat(reference)).await.unwrap();
        stream.ask(write(0, b"bytes")).await.unwrap();
        stream.ask(commit(5, 5, Some(&digest))).await
    };
    far.behaves(How::Sha256Only);
    let refused = attempt("r").await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    assert!(refused.message().contains("store far cannot keep blobs with sha512 digests"), "{refused:?}");
    assert_eq!(content.info(&moby(), &digest).await.unwrap_err().code(), Code::NotFound);
    far.behaves(How::Well);
    attempt("s").await.unwrap();
    assert_eq!(read(&content, &digest).await.unwrap(), b"bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_keeps_its_limit_under_readers() {
    const SIZE: usize = 100_000;
    let far = Far::start();
    let content = Arc::new(near(&far, "400KiB").await);
    let bytes = |n: usize| [&[n as u8], &pattern(SIZE)[1..]].concat();
    let mut digests = Vec::new();
    for n in 0..10 {
        digests.push(content.put(&moby(), &bytes(n), &[]).await.unwrap());
        assert!(cached(&content).1 <= 400 << 10);
    }
    assert_eq!(cached(&content).0, 4, "as many as there is room for");
    // One that is in use stays, however old.
    let (lent, _) = open_blob(&content.peers, &moby(), &digests[9]).await.unwrap();
    let mut readers = tokio::task::JoinSet::new();
    for reader in 0..6 {
        let (content, digests) = (content.clone(), digests.clone());
        readers.spawn(async move {
            for round in 0..15 {
                let n = (reader * 3 + round * 7) % 9;
                assert_eq!(read(&content, &digests[n]).await.unwrap(), bytes(n), "{n}");
            }
        });
    }
    let mut most = 0;
    while !readers.is_empty() {
        most = most.max(cached(&content).1);
        if let Ok(Some(done)) = tokio::time::timeout(Duration::from_millis(2), readers.join_next()).await {
            done.unwrap();
        }
    }
    assert!((1..=400 << 10).contains(&most), "{most}");
    let file = content.state().join("blobs/sha256").join(digests[9].hex());
    assert!(file.exists());
    let mut all = vec![0; SIZE];
    lent.read_exact_at(&mut all, 0).unwrap();
    assert_eq!(all, bytes(9));
    drop(lent);
    for digest in &digests[..9] {
        read(&content, digest).await.unwrap();
    }
    assert!(!file.exists(), "the oldest goes, once nobody has it open");
    // A smaller limit holds from the next start on.
    let content = Arc::into_inner(content).unwrap();
    let content = Content::start_with(content.stop().await, &far.settings("150KiB")).await;
    assert_eq!(cached(&content).0, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_is_read_by_small_reads_is_fetched_once() {
    let far = Far::start();
    let content = near(&far, "10KiB").await;
    let bytes = pattern(100_000);
    let digest = content.put(&moby(), &bytes, &[]).await.unwrap();
    for offset in (0..100_000).step_by(5000) {
        let read = content.read(&moby(), &digest, offset as i64, 5000).await.unwrap();
        assert_eq!(read, bytes[offset..offset + 5000]);
    }
    assert_eq!(far.store.reads.load(Ordering::Relaxed), 1);
    assert_eq!((content.files("blobs").len(), content.files("fetch").len()), (0, 1));
    let begun = Instant::now();
    while !content.files("fetch").is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it does not linger for ever");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(begun.elapsed() > Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_is_at_it_at_once_the_store_has_what_has_a_record() {
    let far = Far::start();
    let content = Arc::new(near(&far, "250KiB").await);
    let bytes = |n: usize| [&[n as u8], &pattern(100_000)[1..]].concat();
    let namespaces = [moby(), other(), "third".parse().unwrap()];
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..6 {
        let (content, namespaces) = (content.clone(), namespaces.clone());
        clients.spawn(async move {
            for step in 0..30 {
                let (n, namespace) = ((client + step) % 3, &namespaces[(client * 5 + step / 3) % 3]);
                let digest = Digest::sha256(&bytes(n));
                let outcome = match (client * 7 + step * 11) % 5 {
                    0 | 1 => content.put(namespace, &bytes(n), &[]).await.map(drop),
                    2 | 3 => content.delete(namespace, &digest).await,
                    _ => content.read(namespace, &digest, 0, 0).await.map(|read| assert_eq!(read, bytes(n))),
                };
                let code = outcome.err().map(|status| (status.code(), status));
                // Others had the ref, were first, or have removed the blob.
                let fine = [Code::Unavailable, Code::AlreadyExists, Code::NotFound, Code::Aborted];
                assert!(code.as_ref().is_none_or(|(code, _)| fine.contains(code)), "{code:?}");
            }
        });
    }
    while let Some(done) = clients.join_next().await {
        done.unwrap();
    }
    for n in 0..3 {
        let digest = Digest::sha256(&bytes(n));
        let mut is_held = false;
        for namespace in &namespaces {
            if content.info(namespace, &digest).await.is_ok() {
                is_held = true;
                assert_eq!(content.read(namespace, &digest, 0, 0).await.unwrap(), bytes(n));
            }
        }
        far.comes_to(is_held, &digest).await;
    }
    assert!(cached(&content).1 <= 250 << 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_stay_where_they_are_when_settings_change() {
    let far = Far::start();
    let content = Content::start().await;
    let own = content.put(&moby(), b"own", &[]).await.unwrap();
    let content = Content::start_with(content.stop().await, &far.settings("0B")).await;
    let theirs = content.put(&moby(), b"theirs", &[]).await.unwrap();
    assert_eq!(read(&content, &own).await.unwrap(), b"own");
    assert!(!far.has(&own).await && far.has(&theirs).await);

    // A store that is only named is asked for what it keeps.
    let named = far.settings("0B").replace("store = \"far\"", "store = \"local\"");
    let content = Content::start_with(content.stop().await, &named).await;
    assert_eq!(read(&content, &theirs).await.unwrap(), b"theirs");
    let new = content.put(&moby(), b"new", &[]).await.unwrap();
    assert!(!far.has(&new).await);
    let content = Content::start_in(content.stop().await).await;
    let refused = read(&content, &theirs).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("far"), "{refused:?}");
    content.delete(&moby(), &theirs).await.unwrap();
    let content = Content::start_with(content.stop().await, &named).await;
    far.comes_to(false, &theirs).await;
    assert_eq!(read(&content, &own).await.unwrap(), b"own");
}

#[tokio::test(flavor = "multi_thread")]
async fn gantry_is_no_store_of_its_own() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let roots = Roots { state: dir.path().join("state"), run: dir.path().join("run") };
    std::fs::create_dir_all(roots.state_of("content")).unwrap();
    std::fs::create_dir_all(&roots.run).unwrap();
    for socket in ["content.sock", "containerd.sock"] {
        let settings = crate::far::settings(&roots.run.join(socket), "0B");
        let context = Context::for_test("content", roots.clone()).with_settings(&settings);
        let refused = gantry_content::Service::run(context).await.unwrap_err();
        assert!(refused.to_string().contains("of this Gantry itself"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn introspection_tells_of_the_stores() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let settings = crate::far::settings(Path::new("/nowhere/far.sock"), "0B");
    let content = Content::start_with(dir, &settings).await;
    let mut client = IntrospectionClient::new(content.peers.channel("content"));
    let plugins = client.plugins(PluginsRequest::default()).await.unwrap().into_inner().plugins;
    let told: Vec<_> = plugins.iter().map(|plugin| (&plugin.r#type[..], &plugin.id[..])).collect();
    assert_eq!(told, [("io.containerd.content.v1", "far")]);
    assert_eq!(plugins[0].capabilities, ["odd"]);
}

/// Records as schema 1 has them.
mod first {
    use std::collections::BTreeMap;

    use prost_types::Timestamp;

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Blob {
        #[prost(uint64, tag = "1")]
        pub size: u64,
        #[prost(message, optional, tag = "2")]
        pub created_at: Option<Timestamp>,
        #[prost(message, optional, tag = "3")]
        pub updated_at: Option<Timestamp>,
        #[prost(btree_map = "string, string", tag = "4")]
        pub labels: BTreeMap<String, String>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Holder {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_schema_1_is_brought_to_the_present_one() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let state = dir.path().join("state/content");
    let digest = Digest::sha256(b"of old");
    std::fs::create_dir_all(&state).unwrap();
    {
        let database = Database::open(state.join("db"), &["blobs", "holders", "ingests"]).unwrap();
        let blobs = database.table::<(Namespace, Digest), first::Blob>("blobs");
        let holders = database.table::<(Digest, Namespace), first::Holder>("holders");
        let now = Some(std::time::SystemTime::now().into());
        let labels = [("a".to_owned(), "1".to_owned())].into();
        let blob = first::Blob { size: 6, created_at: now, updated_at: now, labels };
        let mut batch = database.batch();
        batch.put(&blobs, &(moby(), digest.clone()), &blob);
        batch.put(&holders, &(digest.clone(), moby()), &first::Holder {});
        batch.commit().await.unwrap();
    }
    std::fs::create_dir_all(state.join("blobs/sha256")).unwrap();
    std::fs::write(state.join("blobs/sha256").join(digest.hex()), "of old").unwrap();

    let content = Content::start_in(dir).await;
    assert_eq!(content.info(&moby(), &digest).await.unwrap().labels["a"], "1");
    assert_eq!(read(&content, &digest).await.unwrap(), b"of old");
    // Who knows schema 1 only would drop the records of blobs without files: it is refused.
    let dir = content.stop().await;
    let state = dir.path().join("state/content/db");
    let refused = Database::open(state, &["blobs", "holders", "ingests"]).map(drop).unwrap_err();
    assert!(matches!(refused, gantry_disk::Error::NewerSchema { found: 2, .. }), "{refused}");
}
