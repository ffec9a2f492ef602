//! Pulls and pushes through the service's socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use gantry_distribution::{Client, Credentials, Settings};
use gantry_proto::containerd::services::images::v1 as records;
use gantry_proto::containerd::services::leases::v1 as leases;
use gantry_proto::gantry::images::v1 as pb;
use gantry_proto::gantry::images::v1::layer_progress::State;
use gantry_proto::gantry::images::v1::pull_progress::Event;
use gantry_types::Digest;
use tonic::Code;

use crate::bundle::{Blob, Bundle};
use crate::liar::{Answer, Liar, honest};
use crate::peers::World;
use crate::registry::{Guard, Registry};

fn request(reference: &str) -> pb::PullRequest {
    pb::PullRequest { reference: reference.into(), ..Default::default() }
}

fn states(told: &[pb::PullProgress], digest: &Digest) -> Vec<State> {
    let mut states = Vec::new();
    for message in told {
        if let Some(Event::Layer(layer)) = &message.event
            && layer.digest == digest.as_str()
            && states.last() != Some(&layer.state())
        {
            states.push(layer.state());
        }
    }
    states
}

fn pulled(told: &[pb::PullProgress]) -> (String, bool) {
    match told.last().and_then(|message| message.event.clone()) {
        Some(Event::Pulled(pulled)) => (pulled.digest, pulled.up_to_date),
        other => panic!("the last message is {other:?}"),
    }
}

fn name(registry: &str, rest: &str) -> String {
    format!("{registry}/team/app{rest}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_brings_a_whole_image_and_a_push_takes_it_back() {
    let (world, registry) = (World::start().await, Registry::start(Guard::Password));
    let bundle = Bundle::new(1, 300_000);
    let ada = Credentials::Basic { username: "ada".into(), password: "lovelace".into() };
    let remote = Client::new(Settings::default());
    bundle.push(&remote, &registry.domain(), "team/app", "1", ada).await;
    let domain = registry.domain();
    let host = domain.split(':').next().expect("a host");
    let auth = Some(pb::Auth { username: "ada".into(), password: "lovelace".into(), ..Default::default() });

    let error = world.pull(request(&name(&domain, ":1"))).await.expect_err("not let in");
    // A client that is told to authenticate would prompt for a user name, even without a user at the terminal.
    assert_eq!(error.code(), Code::Internal);
    assert!(error.message().contains("no basic auth credentials"), "{}", error.message());
    let wrong = pb::Auth { username: "ada".into(), password: "x".into(), ..Default::default() };
    let wrong = pb::PullRequest { auth: Some(wrong), ..request(&name(&domain, ":1")) };
    let error = world.pull(wrong).await.expect_err("not let in");
    assert_eq!(error.code(), Code::NotFound);
    assert!(error.message().contains("pull access denied for"), "{}", error.message());

    let told = world
        .pull(pb::PullRequest { auth: auth.clone(), ..request(&name(&domain, ":1")) })
        .await
        .expect("pulled");
    assert_eq!(pulled(&told), (bundle.manifest.digest().to_string(), false));
    for layer in &bundle.layers {
        let states = states(&told, &layer.digest());
        assert_eq!(
            (states.first(), states.last()),
            (Some(&State::Pulling), Some(&State::Complete)),
            "{states:?}"
        );
        let labels = world.content.labels(&world.namespace, &layer.digest());
        assert!(labels.contains_key("containerd.io/uncompressed"), "{labels:?}");
        assert_eq!(labels[&format!("containerd.io/distribution.source.{host}")], "team/app");
    }
    let labels = world.content.labels(&world.namespace, &bundle.manifest.digest());
    assert_eq!(labels["containerd.io/gc.ref.content.config"], bundle.config.digest().to_string());
    assert_eq!(labels["containerd.io/gc.ref.content.l.2"], bundle.layers[2].digest().to_string());
    assert!(
        world
            .content
            .labels(&world.namespace, &bundle.config.digest())
            .contains_key("containerd.io/gc.ref.snapshot.overlayfs")
    );
    assert_eq!(
        (world.control.leases(), world.content.ingests(&world.namespace).len()),
        (0, 0),
        "nothing is left behind"
    );

    let image = world.resolve(&bundle.manifest.digest().hex()[..12]).await.expect("by its id");
    assert_eq!(image.names, [name(&domain, ":1")]);
    assert!(image.unpacked && image.size > image.content_size && image.layers.len() == 3);
    assert_eq!(image.labels["seed"], "1");

    let told = world
        .pull(pb::PullRequest { auth: auth.clone(), ..request(&name(&domain, ":1")) })
        .await
        .expect("there");
    assert_eq!(pulled(&told), (bundle.manifest.digest().to_string(), true));

    let tag = pb::TagRequest { source: name(&domain, ":1"), target: format!("{domain}/other/app:2") };
    world.peers.images().tag(world.ask(tag)).await.expect("tagged");
    let push = pb::PushRequest {
        reference: format!("{domain}/other/app:2"),
        auth: auth.clone(),
        ..Default::default()
    };
    let mut stream = world.peers.images().push(world.ask(push)).await.expect("begun").into_inner();
    let mut mounted = 0;
    let mut last = None;
    while let Some(message) = stream.message().await.expect("pushed") {
        if let Some(pb::push_progress::Event::Layer(layer)) = &message.event {
            mounted += usize::from(layer.state() == pb::push_progress::push_layer::State::Mounted);
        }
        last = message.event;
    }
    assert_eq!(mounted, 3, "layers are mounted from the repository that they came from");
    let Some(pb::push_progress::Event::Pushed(pushed)) = last else { panic!("{last:?}") };
    assert_eq!((pushed.tag.as_str(), pushed.digest), ("2", bundle.manifest.digest().to_string()));
    let told = world
        .pull(pb::PullRequest { auth, ..request(&format!("{domain}/other/app:2")) })
        .await
        .expect("there");
    assert_eq!(pulled(&told).0, bundle.manifest.digest().to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_gives_the_hosts_image_by_tag_and_by_digest() {
    let world = World::start().await;
    let bundle = Bundle::new(2, 1000);
    let liar = Liar::start(honest(std::slice::from_ref(&bundle))).await;
    let index = bundle.index().digest();
    for reference in [name(&liar.domain(), ":index0"), name(&liar.domain(), &format!("@{index}"))] {
        let told = world.pull(request(&reference)).await.expect("pulled");
        assert_eq!(pulled(&told).0, index.to_string());
        let image = world.resolve(&reference).await.expect("there");
        assert_eq!(
            (image.id, image.manifest.map(|m| m.digest)),
            (index.to_string(), Some(bundle.manifest.digest().to_string()))
        );
    }
    assert_eq!(
        world.content.labels(&world.namespace, &index)["containerd.io/gc.ref.content.m.1"],
        bundle.manifest.digest().to_string()
    );
    let other =
        pb::PullRequest { platform: "linux/riscv64".into(), ..request(&name(&liar.domain(), ":index0")) };
    let error = world.pull(other).await.expect_err("not built for it");
    assert_eq!(error.code(), Code::NotFound);
    assert!(error.message().contains("no matching manifest for linux/riscv64"), "{}", error.message());
    let ask = pb::ResolveRequest {
        reference: name(&liar.domain(), ":index0"),
        platform: "linux/s390x".into(),
        ..Default::default()
    };
    let error = world.peers.images().resolve(world.ask(ask)).await.expect_err("not here");
    assert!(error.message().contains("does not match the specified platform"), "{}", error.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_pull_goes_on_after_a_restart() {
    let mut world = World::start().await;
    let bundle = Bundle::new(3, 3_000_000);
    let honest = honest(std::slice::from_ref(&bundle));
    let slow = Arc::new(AtomicBool::new(true));
    let (flag, first) = (Arc::clone(&slow), bundle.layers[0].digest().to_string());
    let liar = Liar::start(move |asked| {
        let answer = honest(asked);
        match flag.load(Ordering::Relaxed) && asked.path.contains(&first) {
            // Two million bytes, and then nothing more for now.
            true if asked.headers.contains_key("range") => Answer::hang(),
            true => answer.cut(2_000_000),
            false => answer,
        }
    })
    .await;
    let reference = name(&liar.domain(), ":0");
    let mut stream =
        world.peers.images().pull(world.ask(request(&reference))).await.expect("begun").into_inner();
    let other = bundle.layers[1].digest();
    let ingest = format!("layer-{}", bundle.layers[0].digest());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while world.content.ingests(&world.namespace).get(&ingest).is_none_or(|written| *written < 2_000_000)
        || !world.content.has(&world.namespace, &other)
    {
        assert!(std::time::Instant::now() < deadline, "{:?}", world.content.ingests(&world.namespace));
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    world.restart().await;
    while let Ok(told) = stream.message().await {
        assert!(told.is_some(), "the call broke, and did not end well");
    }
    slow.store(false, Ordering::Relaxed);
    let told = world.pull(request(&reference)).await.expect("pulled");
    assert_eq!(pulled(&told).0, bundle.manifest.digest().to_string());
    let asked = liar.asked.lock().clone();
    let of = |digest: &Digest| {
        asked.iter().filter(|asked| asked.path.contains(digest.as_str())).cloned().collect::<Vec<_>>()
    };
    let last = of(&bundle.layers[0].digest()).pop().expect("asked");
    assert_eq!(last.headers.get("range").map(String::as_str), Some("bytes=2000000-"), "from the last byte");
    assert_eq!(of(&other).len(), 1, "finished bytes are not fetched again");
    assert_eq!(
        (world.control.leases(), world.content.ingests(&world.namespace).len()),
        (0, 0),
        "nothing is left behind"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_ends_the_leases_that_nobody_goes_on_with() {
    let mut world = World::start().await;
    let bundles = [Bundle::new(7, 1000), Bundle::new(8, 1000)];
    let (honest, stuck) = (honest(&bundles), bundles[1].layers[0].digest().to_string());
    let liar = Liar::start(move |asked| match asked.path.contains(&stuck) {
        true => Answer::hang(),
        false => honest(asked),
    })
    .await;
    let (done, cut) = (name(&liar.domain(), ":0"), name(&liar.domain(), ":1"));
    world.control.stall(true);
    let load = leases::CreateRequest {
        id: "load".into(),
        labels: [("gantry.io/images.purpose".to_owned(), "load".to_owned())].into(),
    };
    world.peers.leases().create(world.ask(load)).await.expect("made");
    let mut streams = Vec::new();
    for reference in [&done, &cut] {
        streams.push(world.peers.images().pull(world.ask(request(reference))).await.expect("begun"));
    }
    let other = bundles[1].layers[1].digest();
    world
        .until("one is named, one is on its way", async || {
            world.resolve(&done).await.is_ok() && world.content.has(&world.namespace, &other)
        })
        .await;
    assert_eq!(world.control.leases(), 3);
    world.restart().await;
    world.control.stall(false);
    world.until("the others have ended", async || world.control.leases() == 1).await;
    assert_eq!(world.control.purposes(), [format!("pull {cut}")], "what has arrived of it is kept");
    assert!(world.resolve(&done).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_at_the_end_leaves_no_lease() {
    let world = World::start().await;
    let bundle = Bundle::new(9, 1000);
    let liar = Liar::start(honest(std::slice::from_ref(&bundle))).await;
    let reference = name(&liar.domain(), ":0");
    world.control.stall(true);
    let stream = world.peers.images().pull(world.ask(request(&reference))).await.expect("begun");
    world.until("it is named", async || world.resolve(&reference).await.is_ok()).await;
    drop(stream);
    // Until the service has seen that.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    world.control.stall(false);
    world.until("its lease has ended", async || world.control.leases() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_pulls_fetch_a_layer_once() {
    let world = World::start().await;
    let bundle = Bundle::new(4, 2_000_000);
    let liar = Liar::start(honest(std::slice::from_ref(&bundle))).await;
    let (one, two) = (name(&liar.domain(), ":0"), format!("{}/team/other:0", liar.domain()));
    let (one, two) = tokio::join!(world.pull(request(&one)), world.pull(request(&two)));
    assert_eq!(pulled(&one.expect("pulled")).0, pulled(&two.expect("pulled")).0);
    for layer in &bundle.layers {
        assert_eq!(liar.count("GET", layer.digest().as_str()), 1, "{}", layer.digest());
    }
    assert_eq!(world.snapshots.names().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_unpacked_is_unpacked_under_a_lease() {
    let world = World::start().await;
    let bundle = Bundle::new(10, 1000);
    let liar = Liar::start(honest(std::slice::from_ref(&bundle))).await;
    let reference = name(&liar.domain(), ":0");
    world.pull(request(&reference)).await.expect("pulled");
    world.snapshots.clear();
    assert!(!world.resolve(&reference).await.expect("there").unpacked);
    let ask = pb::EnsureUnpackedRequest { reference, ..Default::default() };
    let answer = world.peers.images().ensure_unpacked(world.ask(ask)).await.expect("unpacked");
    assert!(answer.into_inner().image.expect("an image").unpacked);
    assert_eq!(world.control.leases(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_bytes_leave_nothing_behind() {
    let world = World::start().await;
    let bundle = Bundle::new(5, 100_000);
    let honest_one = honest(std::slice::from_ref(&bundle));
    let mode = Arc::new(AtomicUsize::new(0));
    let (script, layer) = (Arc::clone(&mode), bundle.layers[1].digest().to_string());
    let liar = Liar::start(move |asked| {
        let mut answer = honest_one(asked);
        if asked.path.contains(&layer) {
            match script.load(Ordering::Relaxed) {
                0 => answer.body[500] ^= 1,
                1 => answer.body.truncate(1000),
                _ => {}
            }
        }
        answer
    })
    .await;
    let reference = name(&liar.domain(), ":0");
    for expected in ["is not what its digest says", "has the wrong size"] {
        let error = world.pull(request(&reference)).await.expect_err("wrong");
        assert_eq!(error.code(), Code::FailedPrecondition, "{}", error.message());
        assert!(error.message().contains(expected), "{}", error.message());
        assert_eq!(world.control.leases(), 0);
        assert!(world.resolve(&reference).await.is_err(), "no broken image");
        mode.fetch_add(1, Ordering::Relaxed);
    }
    assert!(world.control.collections() >= 2, "what came is freed");
    world.pull(request(&reference)).await.expect("right at last");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_diff_id_that_lies_is_found_out() {
    let world = World::start().await;
    let good = Bundle::new(6, 1000);
    let lies: Vec<String> = (0..3).map(|_| Digest::sha256(b"else").to_string()).collect();
    let bundle = Bundle::of(good.layers.clone(), &lies, 6);
    let short = Bundle::of(good.layers.clone(), &lies[..1], 6);
    let liar = Liar::start(honest(&[bundle, short])).await;
    let error = world.pull(request(&name(&liar.domain(), ":0"))).await.expect_err("a lie");
    assert_eq!(error.code(), Code::FailedPrecondition, "{}", error.message());
    let error = world.pull(request(&name(&liar.domain(), ":1"))).await.expect_err("a lie");
    assert!(error.message().contains("3 layers and the config 1 diff-ids"), "{}", error.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_taken_back_when_its_target_is_gone() {
    let world = World::start().await;
    let blob = Blob::new(gantry_types::media_type::OCI_MANIFEST, "never stored");
    let target = gantry_proto::containerd::types::Descriptor {
        media_type: blob.media_type.clone(),
        digest: blob.digest().to_string(),
        size: 12,
        ..Default::default()
    };
    let image = records::Image { name: "x".into(), target: Some(target), ..Default::default() };
    let create = records::CreateImageRequest { image: Some(image), source_date_epoch: None };
    world.peers.image_records().create(world.ask(create)).await.expect("a client may");
    let tag = pb::TagRequest { source: "x".into(), target: "y:1".into() };
    let error = world.peers.images().tag(world.ask(tag)).await.expect_err("this service may not");
    assert_eq!(error.code(), Code::NotFound);
    let list = records::ListImagesRequest::default();
    let images = world.peers.image_records().list(world.ask(list)).await.expect("listed").into_inner().images;
    assert_eq!(images.iter().map(|image| image.name.as_str()).collect::<Vec<_>>(), ["x"]);
    let plain = tonic::Request::new(records::ListImagesRequest::default());
    let error = world.peers.image_records().list(plain).await.expect_err("no namespace");
    assert_eq!(error.code(), Code::FailedPrecondition);
}
