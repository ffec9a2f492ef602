//! Archives through the data socket.

use std::collections::BTreeMap;
use std::io::Read;

use gantry_proto::gantry::images::v1 as pb;
use gantry_proto::gantry::images::v1::archive_progress::Event;
use gantry_proto::gantry::images::v1::data_request::{Action, Import, Load, Save};
use gantry_rpc::data;
use gantry_types::media_type;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::{Code, Status};

use crate::bundle::{Blob, Bundle, gzip, noise, tar};
use crate::liar::{Answer, Liar, honest};
use crate::peers::World;

async fn open(world: &World, action: Action) -> Result<tokio::net::UnixStream, Status> {
    let request = pb::DataRequest { namespace: world.namespace.to_string(), action: Some(action) };
    Ok(data::call(&world.peers.data_socket("images"), &request).await?.0)
}

/// Sends an archive; what was told, or the failure.
async fn send(world: &World, action: Action, archive: &[u8]) -> Result<Vec<Event>, Status> {
    let mut stream = open(world, action).await?;
    // A server that has found an error early may not take all of it.
    let _ = stream.write_all(archive).await;
    let _ = stream.shutdown().await;
    let mut told = Vec::new();
    while let Some(message) = data::receive::<pb::ArchiveProgress>(&mut stream).await.expect("messages") {
        match message.event.expect("an event") {
            Event::Failed(failed) => return Err(Status::new(Code::from_i32(failed.code), failed.message)),
            Event::Layer(_) => {}
            event => told.push(event),
        }
    }
    Ok(told)
}

async fn load(world: &World, archive: &[u8]) -> Result<Vec<Event>, Status> {
    send(world, Action::Load(Load::default()), archive).await
}

async fn save(world: &World, references: &[&str]) -> Result<Vec<u8>, Status> {
    let references = references.iter().map(|reference| (*reference).to_owned()).collect();
    let mut stream = open(world, Action::Save(Save { references, platform: String::new() })).await?;
    let mut archive = Vec::new();
    stream.read_to_end(&mut archive).await.expect("readable");
    Ok(archive)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_is_begun_needs_content_no_more() {
    let mut world = World::start().await;
    // More than a socket holds: while the client reads nothing, most layers are still to be sent.
    let bundles = [Bundle::new(45, 4 << 20)];
    let liar = Liar::start(honest(&bundles)).await;
    let reference = format!("{}/a/b:index0", liar.domain());
    world.pull(pb::PullRequest { reference: reference.clone(), ..Default::default() }).await.expect("pulled");
    let save = Save { references: vec![reference], platform: String::new() };
    let mut stream = open(&world, Action::Save(save)).await.expect("begun");
    world.lose_content();
    let mut archive = Vec::new();
    stream.read_to_end(&mut archive).await.expect("readable");
    assert_eq!(archive[archive.len() - 1024..], [0; 1024], "a tar's end");
    assert!(files(&archive).contains_key("manifest.json"));
}

fn files(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(archive).entries().expect("a tar") {
        let mut entry = entry.expect("an entry");
        let name = entry.path().expect("a path").display().to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("readable");
        files.insert(name, bytes);
    }
    files
}

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        // As hostile archives do: past the checks of the library.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, *bytes).expect("in memory");
    }
    builder.into_inner().expect("in memory")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_saved_can_be_loaded_elsewhere() {
    let world = World::start().await;
    let bundles = [Bundle::new(40, 200_000), Bundle::new(41, 1000)];
    let liar = Liar::start(honest(&bundles)).await;
    let names: Vec<String> = (0..2).map(|at| format!("{}/a/b:index{at}", liar.domain())).collect();
    for reference in &names {
        world
            .pull(pb::PullRequest { reference: reference.clone(), ..Default::default() })
            .await
            .expect("pulled");
    }
    let error = save(&world, &[&names[0], "nothing"]).await.expect_err("not all are here");
    assert_eq!(error.code(), Code::NotFound);
    let saved = save(&world, &[&names[0], &names[1]]).await.expect("saved");
    assert_eq!(saved[saved.len() - 1024..], [0; 1024], "a tar's end");

    let found = files(&saved);
    let manifest: Value = serde_json::from_slice(&found["manifest.json"]).expect("JSON");
    assert_eq!(manifest[0]["RepoTags"], json!([names[0]]));
    assert_eq!(manifest[0]["Layers"].as_array().map(Vec::len), Some(3));
    let index: Value = serde_json::from_slice(&found["index.json"]).expect("JSON");
    assert_eq!(index["manifests"][1]["annotations"]["io.containerd.image.name"], json!(names[1]));
    for name in manifest[0]["Layers"].as_array().expect("layers") {
        assert!(found.contains_key(name.as_str().expect("a name")), "{name}");
    }

    for archive in [saved.clone(), gzip(&saved), zstd::encode_all(saved.as_slice(), 1).expect("in memory")] {
        let other = World::start().await;
        let told = load(&other, &archive).await.expect("loaded");
        assert_eq!(told, names.iter().cloned().map(Event::Loaded).collect::<Vec<_>>());
        let image = other.resolve(&names[0]).await.expect("there");
        assert_eq!(image.id, bundles[0].index().digest().to_string(), "the same id as before");
        assert!(image.unpacked);
        assert_eq!(
            (other.control.leases(), other.content.ingests(&other.namespace).len()),
            (0, 0),
            "nothing is left behind"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dockers_old_archives_are_loaded() {
    let world = World::start().await;
    let bundle = Bundle::new(42, 2000);
    let layer = &bundle.layers[2];
    let config: Value = serde_json::from_slice(&bundle.config.bytes).expect("JSON");
    let mut config = config.clone();
    let diff_id = layer.digest().to_string();
    config["rootfs"]["diff_ids"] = json!([diff_id, diff_id]);
    let config = serde_json::to_vec(&config).expect("JSON");
    let manifest = json!([{"Config": "c.json", "RepoTags": ["old:1", "old:2"], "Layers": ["a/layer.tar", "./a/layer.tar"]}]);
    let manifest = serde_json::to_vec(&manifest).expect("JSON");
    let built = archive(&[
        ("a/VERSION", b"1.0"),
        ("a/layer.tar", &layer.bytes),
        ("c.json", &config),
        ("manifest.json", &manifest),
    ]);
    let told = load(&world, &built).await.expect("loaded");
    assert_eq!(told, [Event::Loaded("old:1".into()), Event::Loaded("old:2".into())]);
    let image = world.resolve("old:2").await.expect("there");
    assert_eq!(image.names, ["docker.io/library/old:1", "docker.io/library/old:2"]);
    assert_eq!(
        image.layers[0].descriptor.as_ref().map(|layer| layer.media_type.as_str()),
        Some(media_type::OCI_LAYER)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_archives_are_clear_errors() {
    let world = World::start().await;
    let bundle = Bundle::new(43, 1000);
    let wrong = format!("blobs/sha256/{}", bundle.layers[0].digest().hex());
    let missing = serde_json::to_vec(&json!([{"Config": "/etc/passwd", "Layers": ["../../etc/shadow"]}]))
        .expect("JSON");
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (Vec::new(), "holds no image"),
        (noise(1, 4096), "no readable tar"),
        (archive(&[("x", b"y")]), "holds no image"),
        (archive(&[("manifest.json", b"{")]), "manifest.json"),
        (archive(&[("index.json", b"[1]")]), "index.json"),
        (archive(&[("manifest.json", &missing)]), "named in it, but not there"),
        (archive(&[(&wrong, b"other bytes")]), "is not what its digest says"),
        (archive(&[("../../../etc/x", b"y"), ("/abs", b"z")]), "holds no image"),
        (b"BZh91AY".to_vec(), "no readable tar"),
        (b"root:x:0:0\n".repeat(100), "invalid tar header"),
    ];
    for (archive, expected) in cases {
        let error = load(&world, &archive).await.expect_err(expected);
        assert!(error.message().contains(expected), "{expected}: {}", error.message());
        assert!(matches!(error.code(), Code::InvalidArgument | Code::FailedPrecondition), "{error}");
    }
    assert!(world.content.ingests(&world.namespace).is_empty());
    assert!(!std::path::Path::new("/etc/x").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_that_repeat_themselves_are_read_once() {
    let world = World::start().await;
    let bundle = Bundle::new(44, 1000);
    let honest = honest(std::slice::from_ref(&bundle));
    let mut indexes: Vec<Blob> = Vec::new();
    let mut entry = bundle.manifest.descriptor();
    for _ in 0..3 {
        let index = json!({
            "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": vec![entry.clone(); 300],
        });
        indexes.push(Blob::json(media_type::OCI_INDEX, &index));
        entry = indexes.last().expect("just made").descriptor();
    }
    let outer = indexes[2].digest();
    let liar = Liar::start(move |asked| {
        match indexes.iter().find(|index| asked.path.ends_with(index.digest().as_str())) {
            Some(index) => Answer::new(200, index.bytes.to_vec()).header("content-type", &index.media_type),
            None => honest(asked),
        }
    })
    .await;
    let reference = format!("{}/a/b@{outer}", liar.domain());
    let work = async {
        let request = pb::PullRequest { reference: reference.clone(), ..Default::default() };
        world.pull(request).await.expect("pulled");
        let image = world.resolve(&reference).await.expect("there");
        assert_eq!(image.manifest.expect("a manifest").digest, bundle.manifest.digest().to_string());
        let saved = save(&world, &[&reference]).await.expect("saved");
        let other = World::start().await;
        load(&other, &saved).await.expect("loaded");
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), work).await.expect("in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_without_end_are_refused() {
    let world = World::start().await;
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(64 << 20);
    header.set_cksum();
    let mut builder = tar::Builder::new(Vec::new());
    builder.append(&header, vec![b'a'; 64 << 20].as_slice()).expect("in memory");
    let mut header = tar::Header::new_gnu();
    header.set_path("x").expect("short");
    header.set_size(0);
    header.set_cksum();
    builder.append(&header, &[][..]).expect("in memory");
    let archive = gzip(&builder.into_inner().expect("in memory"));
    let error = load(&world, &archive).await.expect_err("refused");
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(error.message().contains("is longer than 1048576 bytes"), "{}", error.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_file_system_becomes_an_image() {
    let world = World::start().await;
    let rootfs = tar("bin/true", &noise(3, 100_000));
    for (at, archive) in
        [rootfs.clone(), gzip(&rootfs), zstd::encode_all(rootfs.as_slice(), 1).expect("in memory")]
            .iter()
            .enumerate()
    {
        let import = Import {
            reference: format!("root:{at}"),
            message: "by hand".into(),
            changes: vec!["CMD [\"/bin/true\"]".into(), "ENV A=b".into()],
            platform: String::new(),
            source: String::new(),
        };
        let told = send(&world, Action::Import(import), archive).await.expect("imported");
        assert_eq!(told[0], Event::Loaded(format!("root:{at}")));
        let image = world.resolve(&format!("root:{at}")).await.expect("there");
        let config: Value = serde_json::from_slice(&image.config_json).expect("JSON");
        assert_eq!(config["config"], json!({"Cmd": ["/bin/true"], "Env": ["A=b"]}));
        assert_eq!(config["history"][0]["comment"], json!("by hand"));
        assert_eq!(config["rootfs"]["diff_ids"][0], json!(gantry_types::Digest::sha256(&rootfs).to_string()));
        assert!(image.unpacked);
    }
    let nameless = send(&world, Action::Import(Import::default()), &rootfs).await.expect("imported");
    let [Event::LoadedId(id)] = nameless.as_slice() else { panic!("{nameless:?}") };
    assert!(world.resolve(id).await.expect("there").names.is_empty());
    let odd = Import { changes: vec!["RUN x".into()], ..Default::default() };
    assert_eq!(
        send(&world, Action::Import(odd), &rootfs).await.expect_err("not allowed").code(),
        Code::InvalidArgument
    );
    let error = send(&world, Action::Import(Import::default()), b"").await.expect_err("empty");
    assert!(error.message().contains("it is empty"), "{}", error.message());
}
