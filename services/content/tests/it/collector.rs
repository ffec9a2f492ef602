//! What the garbage collector sees and does, and the consistency check.

use gantry_proto::gantry::gc::v1 as pb;
use gantry_types::Digest;

use crate::harness::*;

fn blob(digest: &Digest) -> pb::Resource {
    pb::Resource { r#type: "content".into(), key: digest.to_string() }
}

async fn begin(content: &Content) -> u64 {
    let request = pb::BeginRequest { namespace: "moby".into() };
    content.peers.collector("content").begin(request).await.unwrap().into_inner().mark
}

async fn sweep(content: &Content, mark: u64, resources: Vec<pb::Resource>) -> pb::SweepResponse {
    let request = pb::SweepRequest { namespace: "moby".into(), mark, resources };
    content.peers.collector("content").sweep(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_scan_tells_roots_and_references() {
    let content = Content::start().await;
    let child = content.put(&moby(), b"child", &[("containerd.io/gc.root", "now")]).await.unwrap();
    let labels = [
        ("containerd.io/gc.ref.content.l.0", child.as_str()),
        ("containerd.io/gc.ref.snapshot.overlayfs", "top"),
        ("containerd.io/gc.bref.container", "c1"),
    ];
    let parent = content.put(&moby(), b"parent", &labels).await.unwrap();
    content.put(&other(), b"elsewhere", &[]).await.unwrap();
    content.write(&moby(), None).await.ask(stat("ingest")).await.unwrap();

    let mut collector = content.peers.collector("content");
    let request = pb::ScanRequest { namespace: "moby".into() };
    let mut stream = collector.scan(request).await.unwrap().into_inner();
    let mut nodes = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        nodes.extend(message.nodes);
    }
    let node = |key: &str| nodes.iter().find(|n| n.resource.as_ref().is_some_and(|r| r.key == key)).unwrap();
    assert_eq!(nodes.len(), 3);
    assert!(node(child.as_str()).root);
    assert!(!node(parent.as_str()).root);
    let snapshot = pb::Resource { r#type: "snapshots/overlayfs".into(), key: "top".into() };
    assert_eq!(node(parent.as_str()).references, [blob(&child), snapshot]);
    assert_eq!(
        node(parent.as_str()).kept_by,
        [pb::Resource { r#type: "containers".into(), key: "c1".into() }]
    );
    assert!(node("ingest").root);
    let namespaces = collector.namespaces(pb::NamespacesRequest {}).await.unwrap().into_inner().namespaces;
    assert_eq!(namespaces, ["moby", "other"]);
}

#[tokio::test]
async fn a_sweep_spares_what_was_used_since_its_mark() {
    let content = Content::start().await;
    let mut digests = Vec::new();
    for name in ["old", "touched", "labelled", "wanted", "referenced"] {
        digests.push(content.put(&moby(), name.as_bytes(), &[]).await.unwrap());
    }
    let mark = begin(&content).await;
    let touch = pb::TouchRequest {
        namespace: "moby".into(),
        resources: vec![blob(&digests[1]), blob(&Digest::sha256(b"?"))],
    };
    let missing = content.peers.collector("content").touch(touch).await.unwrap().into_inner().missing;
    assert_eq!(missing, [blob(&Digest::sha256(b"?"))]);
    content
        .client()
        .update(gantry_rpc::context::with_namespace(
            gantry_proto::containerd::services::content::v1::UpdateRequest {
                info: Some(gantry_proto::containerd::services::content::v1::Info {
                    digest: digests[2].to_string(),
                    labels: [("containerd.io/gc.ref.content.0".to_owned(), digests[4].to_string())].into(),
                    ..Default::default()
                }),
                update_mask: None,
            },
            &moby(),
        ))
        .await
        .unwrap();
    content.put(&moby(), b"wanted", &[]).await.unwrap_err();
    let new = content.put(&moby(), b"new", &[]).await.unwrap();

    let all = digests.iter().chain([&new]).map(blob).collect();
    let swept = sweep(&content, mark, all).await;
    assert_eq!(swept.removed, [blob(&digests[0])]);
    assert_eq!(swept.freed_bytes, 3);
    assert_eq!(content.list(&moby()).await.unwrap().len(), 5);

    let mark = begin(&content).await;
    let swept = sweep(&content, mark, digests.iter().map(blob).collect()).await;
    assert_eq!(swept.removed.len(), 4);
    assert_eq!(content.files("blobs").len(), 1);
}

#[tokio::test]
async fn a_leased_ingest_goes_with_its_lease_and_another_stays_its_time() {
    let content = Content::start().await;
    let mut held = None;
    for (reference, lease) in [("leased", Some(LEASE)), ("free", None), ("in use", Some(LEASE))] {
        let mut stream = content.write(&moby(), lease).await;
        stream.ask(stat(reference)).await.unwrap();
        if reference != "in use" {
            stream.close().await;
        } else {
            held = Some(stream);
        }
    }
    let request = pb::ScanRequest { namespace: "moby".into() };
    let mut stream = content.peers.collector("content").scan(request).await.unwrap().into_inner();
    let nodes = stream.message().await.unwrap().unwrap().nodes;
    let roots = nodes.into_iter().filter(|node| node.root).map(|node| node.resource.unwrap().key);
    assert_eq!(roots.collect::<Vec<_>>(), ["free"]);

    // As when nothing reaches them: the lease is gone.
    let mark = begin(&content).await;
    let ingest = |key: &str| pb::Resource { r#type: "ingests".into(), key: key.into() };
    let swept = sweep(&content, mark, ["leased", "free", "in use"].map(ingest).to_vec()).await;
    assert_eq!(swept.removed, [ingest("leased")]);
    drop(held);
}

#[tokio::test]
async fn a_lease_does_not_name_what_has_ended() {
    let content = Content::start().await;
    let blob = |digest: &Digest| ("content".to_owned(), digest.to_string());
    let mut stream = content.write(&moby(), Some(LEASE)).await;
    stream.ask(stat("r")).await.unwrap();
    assert_eq!(content.control.leased(), [("ingests".to_owned(), "r".to_owned())]);
    stream.ask(write(0, b"x")).await.unwrap();
    let digest = Digest::sha256(b"x");
    stream.ask(commit(1, 1, Some(&digest))).await.unwrap();
    assert_eq!(content.control.leased(), [blob(&digest)]);
}

#[tokio::test]
async fn a_mark_of_an_earlier_life_sweeps_nothing() {
    let content = Content::start().await;
    let digest = content.put(&moby(), b"x", &[]).await.unwrap();
    let mark = begin(&content).await;
    let content = Content::start_in(content.stop().await).await;
    assert!(sweep(&content, mark, vec![blob(&digest)]).await.removed.is_empty());
}

#[tokio::test]
async fn the_check_finds_strays_and_removes_them_on_request() {
    let content = Content::start().await;
    let digest = content.put(&moby(), b"x", &[]).await.unwrap();
    content.write(&moby(), None).await.ask(stat("busy")).await.unwrap();
    let mut fsck = content.peers.fsck("content");
    let check = |repair| pb::FsckRequest { repair, ..Default::default() };
    assert!(fsck.check(check(false)).await.unwrap().into_inner().strays.is_empty());

    let stray = Digest::sha256(b"stray");
    std::fs::write(content.state().join("blobs/sha256").join(stray.hex()), "stray").unwrap();
    std::fs::create_dir(content.state().join("ingest/00000000000000aa")).unwrap();
    let found = fsck.check(check(false)).await.unwrap().into_inner().strays;
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|stray| !stray.repaired));
    let found = fsck.check(check(true)).await.unwrap().into_inner().strays;
    assert!(found.len() == 2 && found.iter().all(|stray| stray.repaired));
    assert!(fsck.check(check(false)).await.unwrap().into_inner().strays.is_empty());
    assert_eq!(content.read(&moby(), &digest, 0, 0).await.unwrap(), b"x");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_reads_blobs_and_sets_damaged_ones_aside() {
    let content = Content::start().await;
    let digest = content.put(&moby(), b"the right bytes", &[]).await.unwrap();
    let path = content.state().join("blobs/sha256").join(digest.hex());
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "the wrong bytes").unwrap();
    let mut fsck = content.peers.fsck("content");
    let mut check = async |repair, quick| {
        fsck.check(pb::FsckRequest { repair, quick }).await.unwrap().into_inner().strays
    };
    assert!(check(true, true).await.is_empty());
    assert!(matches!(&check(false, false).await[..], [stray] if stray.kind == "blob" && !stray.repaired));
    assert!(matches!(&check(true, false).await[..], [stray] if stray.repaired));
    assert!(check(true, false).await.is_empty());
    assert_eq!(std::fs::read_to_string(path.with_extension("damaged")).unwrap(), "the wrong bytes");
    assert_eq!(content.put(&moby(), b"the right bytes", &[]).await.unwrap(), digest);
}
