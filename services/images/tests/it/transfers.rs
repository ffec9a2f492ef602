//! containerd's transfers, driven as its client drives them: streams first, then the call, with the messages that ctr
//! 2.1 sends.

use std::collections::BTreeMap;
use std::io::Read;

use gantry_distribution::{Client, Credentials, Settings};
use gantry_proto::containerd::services::images::v1 as images;
use gantry_proto::containerd::services::streaming::v1::StreamInit;
use gantry_proto::containerd::services::transfer::v1 as api;
use gantry_proto::containerd::types;
use gantry_proto::containerd::types::transfer as pb;
use gantry_types::{Platform, media_type};
use prost::Name;
use prost_types::Any;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::bundle::{Blob, Bundle};
use crate::liar::{Answer, Liar, honest};
use crate::peers::World;
use crate::registry::{Guard, Registry};

/// A stream that is there.
struct Stream {
    to: mpsc::Sender<Any>,
    from: Streaming<Any>,
}

impl Stream {
    async fn open(world: &World, id: &str) -> Result<Self, Status> {
        let (to, messages) = mpsc::channel(4);
        to.send(gantry_proto::pack(&StreamInit { id: id.into() })).await.expect("room for one");
        let request = world.ask(ReceiverStream::new(messages));
        let mut from = world.peers.streaming().stream(request).await?.into_inner();
        let there = from.message().await?.expect("an answer");
        assert_eq!(there.type_url, "google.protobuf.Empty");
        Ok(Self { to, from })
    }

    async fn next<M: Name + Default>(&mut self) -> Option<M> {
        let message = self.from.message().await.expect("a good end")?;
        Some(gantry_proto::unpack(&message).expect("the type that is awaited").expect("whole"))
    }

    async fn send<M: Name>(&self, message: &M) {
        self.to.send(gantry_proto::pack(message)).await.expect("heard");
    }
}

async fn transfer(
    world: &World,
    source: &impl Name,
    destination: &impl Name,
    progress_stream: &str,
) -> Result<(), Status> {
    let request = api::TransferRequest {
        source: Some(gantry_proto::pack(source)),
        destination: Some(gantry_proto::pack(destination)),
        options: Some(api::TransferOptions { progress_stream: progress_stream.into() }),
    };
    world.peers.transfers().transfer(world.ask(request)).await.map(drop)
}

/// Does a transfer; what was told, by event, name and parents.
async fn told(
    world: &World,
    source: &impl Name,
    destination: &impl Name,
) -> Result<Vec<(String, String, String)>, Status> {
    let mut stream = Stream::open(world, "progress").await.expect("opened");
    transfer(world, source, destination, "progress").await?;
    let mut told = Vec::new();
    while let Some(pb::Progress { event, name, parents, .. }) = stream.next().await {
        told.push((event, name, parents.join(" ")));
    }
    Ok(told)
}

fn host() -> types::Platform {
    let host = Platform::host();
    let (os, architecture) = (host.os().to_owned(), host.architecture().to_owned());
    types::Platform { os, architecture, ..Default::default() }
}

fn at(registry: &str, rest: &str, auth_stream: &str) -> pb::OciRegistry {
    let resolver = pb::RegistryResolver {
        auth_stream: auth_stream.into(),
        default_scheme: "http".into(),
        ..Default::default()
    };
    pb::OciRegistry { reference: format!("{registry}/{rest}"), resolver: Some(resolver) }
}

/// As ctr asks for one platform, unpacked.
fn here(name: &str) -> pb::ImageStore {
    pb::ImageStore {
        name: name.into(),
        platforms: vec![host()],
        unpacks: vec![pb::UnpackConfiguration { platform: Some(host()), snapshotter: String::new() }],
        ..Default::default()
    }
}

fn named(name: &str) -> pb::ImageStore {
    pb::ImageStore { name: name.into(), ..Default::default() }
}

async fn image(world: &World, name: &str) -> Result<images::Image, Status> {
    let request = world.ask(images::GetImageRequest { name: name.into() });
    Ok(world.peers.image_records().get(request).await?.into_inner().image.expect("an image"))
}

async fn published(guard: Guard, credentials: Credentials) -> (Registry, Bundle, Blob) {
    let (registry, bundle) = (Registry::start(guard), Bundle::new(1, 200_000));
    let remote = Client::new(Settings::default());
    bundle.push(&remote, &registry.domain(), "team/app", "1", credentials.clone()).await;
    let mut entry = bundle.manifest.descriptor();
    entry["platform"] = serde_json::json!({"os": "linux", "architecture": Platform::host().architecture()});
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [entry],
    });
    let index = Blob::json(media_type::OCI_INDEX, &index);
    let access = gantry_distribution::Access::Push;
    let repository = remote.repository(&registry.domain(), "team/app", credentials, access);
    let put = repository.expect("an address");
    put.put_manifest("1", &index.media_type, index.bytes.clone()).await.expect("put");
    (registry, bundle, index)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_is_told_in_containerds_words() {
    let world = World::start().await;
    let (registry, bundle, index) = published(Guard::Open, Credentials::Anonymous).await;
    let name = format!("{}/team/app:1", registry.domain());
    let store = pb::ImageStore {
        all_metadata: true,
        labels: [("a".to_owned(), "b".to_owned())].into(),
        ..here(&name)
    };
    let told = told(&world, &at(&registry.domain(), "team/app:1", ""), &store).await.expect("pulled");

    let text = |text: &str| text.to_owned();
    let registry_name = format!("OCI Registry ({name})");
    let whole: Vec<&str> = told.iter().map(|(event, ..)| event.as_str()).collect();
    assert_eq!(whole[0], format!("Resolving from {registry_name}"));
    assert_eq!(whole[1], format!("Pulling from {registry_name}"));
    assert_eq!(told[2], (text("fetching image content"), name.clone(), String::new()));
    assert_eq!(told[told.len() - 2], (text("saved"), name.clone(), String::new()));
    assert_eq!(whole[whole.len() - 1], format!("Completed pull from {registry_name}"));
    let part = |kind: &str, blob: &Blob| format!("{kind}-{}", blob.digest());
    let manifest = part("manifest", &bundle.manifest);
    let mut parts = vec![
        (part("index", &index), name.clone()),
        (manifest.clone(), part("index", &index)),
        (part("config", &bundle.config), manifest.clone()),
    ];
    parts.extend(bundle.layers.iter().map(|layer| (part("layer", layer), manifest.clone())));
    for (part, parent) in parts {
        let states: Vec<(&str, &str)> = told
            .iter()
            .filter(|(event, name, _)| *name == part && event != "downloading")
            .map(|(event, _, parents)| (event.as_str(), parents.as_str()))
            .collect();
        assert_eq!(states, [("waiting", parent.as_str()), ("complete", parent.as_str())], "{part}");
    }

    let image = image(&world, &name).await.expect("named");
    assert_eq!(image.target.expect("a target").digest, index.digest().to_string());
    assert_eq!(image.labels["a"], "b");
    assert!(world.resolve(&name).await.expect("whole").unpacked);
    assert_eq!(
        (world.control.leases(), world.content.ingests(&world.namespace).len()),
        (0, 0),
        "nothing is left behind"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_is_said_to_be_there_and_an_old_name_leaves_nothing() {
    let world = World::start().await;
    let (registry, bundle, index) = published(Guard::Open, Credentials::Anonymous).await;
    let name = format!("{}/team/app:1", registry.domain());
    let source = at(&registry.domain(), "team/app:1", "");
    told(&world, &source, &here(&name)).await.expect("pulled");
    let again = told(&world, &source, &here(&name)).await.expect("pulled");
    let layer = format!("layer-{}", bundle.layers[0].digest());
    let states: Vec<&str> =
        again.iter().filter(|(_, name, _)| *name == layer).map(|(event, ..)| event.as_str()).collect();
    assert_eq!(states, ["waiting", "already exists"]);

    let other = Bundle::new(2, 1000);
    other
        .push(&Client::new(Settings::default()), &registry.domain(), "team/app", "1", Credentials::Anonymous)
        .await;
    told(&world, &source, &here(&name)).await.expect("pulled");
    let list = world.ask(images::ListImagesRequest::default());
    let all = world.peers.image_records().list(list).await.expect("listed").into_inner().images;
    let targets: Vec<String> = all.into_iter().map(|image| image.target.expect("a target").digest).collect();
    assert_eq!(targets, [other.manifest.digest().to_string()], "{} has no name", index.digest());
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_asked_for_when_a_registry_wants_some() {
    let world = World::start().await;
    let ada = Credentials::Basic { username: "ada".into(), password: "lovelace".into() };
    let (registry, _, _) = published(Guard::Password, ada).await;
    let name = format!("{}/team/app:1", registry.domain());
    for (id, password, code) in
        [("right", "lovelace", None), ("wrong", "byron", Some(Code::NotFound)), ("none", "", None)]
    {
        let mut stream = Stream::open(&world, id).await.expect("opened");
        let answering = async {
            let mut asked = 0;
            while let Some(question) = stream.next::<pb::AuthRequest>().await {
                assert_eq!((question.host, &question.reference), (registry.domain(), &name));
                asked += 1;
                let answer = match password {
                    "" => pb::AuthResponse { auth_type: pb::AuthType::Refresh.into(), ..Default::default() },
                    password => pb::AuthResponse {
                        auth_type: pb::AuthType::Credentials.into(),
                        username: "ada".into(),
                        secret: password.into(),
                        ..Default::default()
                    },
                };
                stream.send(&answer).await;
            }
            asked
        };
        let (source, destination) = (at(&registry.domain(), "team/app:1", id), here(&name));
        let pulling = transfer(&world, &source, &destination, "");
        let (asked, pulled) = tokio::join!(answering, pulling);
        assert_eq!(asked, 1, "{id}");
        match (password, code) {
            ("lovelace", _) => pulled.expect("let in"),
            ("", _) => assert_eq!(pulled.expect_err("not let in").code(), Code::Internal),
            (_, code) => assert_eq!(Some(pulled.expect_err("not let in").code()), code),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_tagged_pushed_exported_and_imported() {
    let world = World::start().await;
    let (registry, bundle, index) = published(Guard::Open, Credentials::Anonymous).await;
    let domain = registry.domain();
    let name = format!("{domain}/team/app:1");
    transfer(&world, &at(&domain, "team/app:1", ""), &here(&name), "").await.expect("pulled");

    transfer(&world, &named(&name), &named("Any Name"), "").await.expect("tagged");
    transfer(&world, &named(&name), &named("Any Name"), "").await.expect("tagged again");
    let tagged = image(&world, "Any Name").await.expect("named").target.expect("a target");
    assert_eq!(tagged.digest, index.digest().to_string());
    let error = transfer(&world, &named("nothing"), &named("x"), "").await.expect_err("not there");
    assert_eq!((error.code(), error.message()), (Code::NotFound, r#"image "nothing": not found"#));

    let pushed = told(&world, &named("Any Name"), &at(&domain, "other/app:2", "")).await.expect("pushed");
    let events: Vec<&str> = pushed.iter().map(|(event, ..)| event.as_str()).collect();
    assert_eq!(events[0], format!("Pushing to OCI Registry ({domain}/other/app:2)"));
    assert_eq!(events[events.len() - 1], format!("Completed push to OCI Registry ({domain}/other/app:2)"));
    assert!(events.contains(&"pushing content") && events.contains(&"pushed content"), "{events:?}");
    let back = transfer(&world, &at(&domain, "other/app:2", ""), &here("back"), "").await;
    back.expect("it is whole at the registry");

    let archive = export(&world, &[&name, "Any Name"]).await.expect("exported");
    let (listing, files) = unpack(&archive);
    let blob = |blob: &Blob| format!("blobs/sha256/{}", blob.digest().hex());
    let mut blobs: Vec<String> = bundle.blobs().chain([&bundle.manifest, &index]).map(blob).collect();
    blobs.sort();
    let mut expected = vec!["d755 blobs/".to_owned(), "d755 blobs/sha256/".to_owned()];
    expected.extend(blobs.iter().map(|blob| format!("-444 {blob}")));
    expected.extend(["-644 index.json", "-644 manifest.json", "-444 oci-layout"].map(str::to_owned));
    assert_eq!(listing, expected);
    let written: serde_json::Value = serde_json::from_slice(&files["index.json"]).expect("JSON");
    let entry = &written["manifests"][0];
    assert_eq!(entry["annotations"]["io.containerd.image.name"], name);
    assert_eq!(entry["annotations"]["org.opencontainers.image.ref.name"], "1");
    assert_eq!(written["manifests"][1]["annotations"]["io.containerd.image.name"], "Any Name");
    let docker: serde_json::Value = serde_json::from_slice(&files["manifest.json"]).expect("JSON");
    assert_eq!(docker[0]["RepoTags"], serde_json::json!([name]));
    assert_eq!(docker[0]["Config"], blob(&bundle.config));

    for known in [&name, "Any Name", "back"] {
        let request = images::DeleteImageRequest { name: known.into(), ..Default::default() };
        world.peers.image_records().delete(world.ask(request)).await.expect("removed");
    }
    world.snapshots.clear();
    // As ctr asks: any name that the archive states.
    let prefix = |name: &str, allow_overwrite, add_digest| pb::ImageStore {
        name: String::new(),
        extra_references: vec![pb::ImageReference {
            name: name.into(),
            is_prefix: true,
            allow_overwrite,
            add_digest,
            skip_named_digest: add_digest,
        }],
        ..here("")
    };
    let imported =
        import(&world, &archive, &prefix("import-2026-11-29", true, false)).await.expect("imported");
    let text = |event: &str, name: &str| (event.to_owned(), name.to_owned(), String::new());
    assert_eq!(
        imported,
        [text("Importing", ""), text("saved", &name), text("Completed import", "")],
        "\"Any Name\" is no whole name"
    );
    assert!(world.resolve(&name).await.expect("whole").unpacked);
    let imported = import(&world, &archive, &prefix("foo/bar", false, true)).await.expect("imported");
    let by_digest = format!("foo/bar@{}", index.digest());
    assert_eq!(imported[1], text("saved", &by_digest));
    let error = import(&world, b"root:x:0:0::/:/bin/sh\n", &prefix("x", true, false)).await;
    assert_eq!(error.expect_err("no archive").code(), Code::InvalidArgument);
    assert_eq!(world.control.leases(), 0, "nothing is left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_not_complete_is_neither_pushed_nor_exported() {
    let world = World::start().await;
    let (registry, _, _) = published(Guard::Open, Credentials::Anonymous).await;
    let name = format!("{}/team/app:1", registry.domain());
    transfer(&world, &at(&registry.domain(), "team/app:1", ""), &here(&name), "").await.expect("pulled");
    let elsewhere =
        types::Platform { os: "linux".into(), architecture: "s390x".into(), ..Default::default() };
    let store = pb::ImageStore { platforms: vec![elsewhere], ..named(&name) };
    let error = transfer(&world, &store, &at(&registry.domain(), "other/app:2", ""), "").await;
    assert_eq!(error.expect_err("no such platform").code(), Code::NotFound);
    assert_eq!(export(&world, &["nothing"]).await.expect_err("not there").code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_not_shared() {
    let world = World::start().await;
    let _first = Stream::open(&world, "s").await.expect("opened");
    let second = Stream::open(&world, "s").await.map(drop);
    assert_eq!(second.expect_err("taken").code(), Code::AlreadyExists);
    let error = transfer(&world, &named("a"), &named("b"), "nowhere").await.expect_err("not there");
    assert_eq!((error.code(), error.message()), (Code::NotFound, r#"stream "nowhere" not found"#));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_answers_get_alone_and_calls_all_blobs_bytes_is_pulled_from() {
    let world = World::start().await;
    let mut bundle = Bundle::new(3, 10_000);
    for layer in &mut bundle.layers {
        layer.media_type = media_type::OCTET_STREAM.into();
    }
    let diff_ids = diff_ids(&bundle);
    let bundle = Bundle::of(bundle.layers, &diff_ids, 3);
    let honest = honest(std::slice::from_ref(&bundle));
    let liar = Liar::start(move |request| match request.method.as_str() {
        "HEAD" => Answer::new(404, ""),
        _ => honest(request),
    })
    .await;
    let name = format!("{}/team/app:0", liar.domain());
    transfer(&world, &at(&liar.domain(), "team/app:0", ""), &here(&name), "").await.expect("pulled");
    assert!(world.resolve(&name).await.expect("whole").unpacked);
}

fn diff_ids(bundle: &Bundle) -> Vec<String> {
    let config: serde_json::Value = serde_json::from_slice(&bundle.config.bytes).expect("JSON");
    serde_json::from_value(config["rootfs"]["diff_ids"].clone()).expect("digests")
}

async fn export(world: &World, names: &[&str]) -> Result<Vec<u8>, Status> {
    let mut stream = Stream::open(world, "export").await.expect("opened");
    let reference = |name: &&str| pb::ImageReference { name: (*name).into(), ..Default::default() };
    let source =
        pb::ImageStore { extra_references: names.iter().map(reference).collect(), ..Default::default() };
    let destination = pb::ImageExportStream { stream: "export".into(), ..Default::default() };
    let reading = async {
        let (mut archive, mut room) = (Vec::new(), 0);
        loop {
            if room < 65_536 {
                // Who has sent all does not hear that there is more room.
                let _ = stream.to.send(gantry_proto::pack(&pb::WindowUpdate { update: 65_536 })).await;
                room += 65_536;
            }
            let Some(data) = stream.next::<pb::Data>().await else { return archive };
            assert!(data.data.len() <= 32 << 10, "a portion of {} bytes", data.data.len());
            room -= data.data.len();
            archive.extend_from_slice(&data.data);
        }
    };
    let sending = transfer(world, &source, &destination, "");
    let (archive, sent) = tokio::join!(reading, sending);
    sent.map(|()| archive)
}

async fn import(
    world: &World,
    archive: &[u8],
    destination: &pb::ImageStore,
) -> Result<Vec<(String, String, String)>, Status> {
    let Stream { to, mut from } = Stream::open(world, "import").await.expect("opened");
    let source = pb::ImageImportStream { stream: "import".into(), ..Default::default() };
    let sending = async move {
        let mut room = 0;
        for portion in archive.chunks(32 << 10) {
            while room < portion.len() {
                let Some(message) = from.message().await.expect("a good end") else { return };
                let update =
                    gantry_proto::unpack::<pb::WindowUpdate>(&message).expect("room").expect("whole");
                room += usize::try_from(update.update).expect("more room");
            }
            room -= portion.len();
            let data = pb::Data { data: portion.to_vec().into() };
            to.send(gantry_proto::pack(&data)).await.expect("heard");
        }
        // The end of what is sent, and then the other's.
        drop(to);
        while let Ok(Some(_)) = from.message().await {}
    };
    let importing = told(world, &source, destination);
    let ((), told) = tokio::join!(sending, importing);
    told
}

/// Kind, mode and name of each entry, and the files.
fn unpack(archive: &[u8]) -> (Vec<String>, BTreeMap<String, Vec<u8>>) {
    let (mut listing, mut files) = (Vec::new(), BTreeMap::new());
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries().expect("a tar") {
        let mut entry = entry.expect("an entry");
        let name = String::from_utf8(entry.path_bytes().into_owned()).expect("text");
        let kind = if entry.header().entry_type().is_dir() { 'd' } else { '-' };
        listing.push(format!("{kind}{:o} {name}", entry.header().mode().expect("a mode")));
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("readable");
        files.insert(name, bytes);
    }
    (listing, files)
}
