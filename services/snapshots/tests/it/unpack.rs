//! Layers that arrive whole, in pieces, wrong, or not at all.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use gantry_proto::containerd::services::snapshots::v1::MountsRequest;
use gantry_proto::containerd::types::Descriptor;
use gantry_proto::gantry::snapshots::v1::unpack_progress::State as Step;
use gantry_proto::gantry::snapshots::v1::{Layer, UnpackRequest};
use gantry_types::{ChainId, DiffId, Digest};
use tonic::{Code, Status};

use crate::harness::World;

/// A layer made by GNU tar out of a shell script's doings.
pub fn tar(script: &str) -> Vec<u8> {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let run = |command: &str| {
        let output = std::process::Command::new("bash")
            .arg("-ec")
            .arg(command)
            .current_dir(dir.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    run(script);
    run("test -e .layer.tar && cat .layer.tar || tar --format=posix -c --exclude=.layer.tar .")
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

pub fn layer(blob: &Digest, tar: &[u8], reference: &str) -> Layer {
    Layer {
        descriptor: Some(Descriptor {
            media_type: "application/vnd.oci.image.layer.v1.tar+gzip".into(),
            digest: blob.to_string(),
            size: 0,
            annotations: Default::default(),
        }),
        r#ref: reference.into(),
        diff_id: Digest::sha256(tar).to_string(),
    }
}

pub fn chain(tars: &[&[u8]]) -> String {
    let diff_ids: Vec<DiffId> = tars.iter().map(|tar| DiffId::new(Digest::sha256(tar))).collect();
    ChainId::fold(&diff_ids).unwrap().to_string()
}

pub async fn unpack(
    world: &World,
    snapshotter: &str,
    layers: Vec<Layer>,
) -> Result<Vec<(u32, Step)>, Status> {
    let request = UnpackRequest { snapshotter: snapshotter.into(), layers };
    let mut stream = world.unpacker().unpack(world.ask(request)).await?.into_inner();
    let mut steps = Vec::new();
    while let Some(progress) = stream.message().await? {
        steps.push((progress.layer, progress.state()));
    }
    Ok(steps)
}

/// Waits until what was given up is gone.
async fn nothing_staged(world: &World) {
    for _ in 0..200 {
        world.cleanup("overlayfs").await;
        if world.directories("overlayfs", "staging").is_empty() {
            // What left it meanwhile is in the trash.
            return world.cleanup("overlayfs").await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_is_unpacked_onto_what_lies_below() {
    let world = World::start().await;
    let base = tar("mkdir -p usr/share/doc etc run; chmod 2775 usr/share; chown 7:8 usr/share/doc; touch -d @1000 usr/share/doc usr/share
        setfattr -n user.kept -v yes usr/share/doc 2>/dev/null || true
        echo one > etc/one; echo gone > etc/gone; mkdir etc/dir; echo old > etc/dir/old; mkdir -p var; ln -s /run var/run");
    // Parents that the archive does not have, removals of what is below, an opaque directory.
    let middle = tar("mkdir -p usr/share/doc/pkg etc/dir; echo two > usr/share/doc/pkg/two; touch etc/.wh.gone etc/dir/.wh..wh..opq; echo new > etc/dir/new
        tar --format=posix -cf .layer.tar usr/share/doc/pkg/two etc/.wh.gone etc/dir/.wh..wh..opq etc/dir/new");
    // Through a symlink of a layer below, and a hard link to a file of one.
    let through =
        tar("mkdir -p var/run; echo pid > var/run/pid; tar --format=posix -cf .layer.tar var/run/pid");
    let linked = tar(
        "mkdir etc; echo one > etc/one; ln etc/one etc/same; tar --format=posix -cf .layer.tar etc/one etc/same; tar --delete -f .layer.tar etc/one",
    );
    for sn in ["overlayfs", "native"] {
        let layers: Vec<Layer> = [&base, &middle, &through, &linked]
            .iter()
            .map(|tar| layer(&world.put(&gzip(tar)), tar, ""))
            .collect();
        let steps = unpack(&world, sn, layers.clone()).await.unwrap();
        assert_eq!(steps.iter().filter(|(_, step)| *step == Step::Extracted).count(), 4);
        let top = chain(&[&base, &middle, &through, &linked]);
        let root = world.open(&world.view(sn, "look", &top).await.unwrap());
        let read = |path: &str| root.read(Path::new(path)).map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(read("usr/share/doc/pkg/two").unwrap(), "two\n");
        assert!(
            read("etc/gone").unwrap_err().is_not_found() && read("etc/dir/old").unwrap_err().is_not_found()
        );
        assert_eq!(read("etc/dir/new").unwrap(), "new\n");
        assert_eq!(read("run/pid").unwrap(), "pid\n");
        assert_eq!(root.read_link(Path::new("var/run")).unwrap(), Path::new("/run"));
        assert_eq!(read("etc/same").unwrap(), "one\n");
        let doc = root.stat(Path::new("usr/share/doc")).unwrap();
        assert_eq!((doc.st_uid, doc.st_gid), (7, 8), "{sn}");
        if sn == "overlayfs" {
            assert_eq!(doc.st_mtime, 1000);
        }
        assert_eq!(root.stat(Path::new("usr/share")).unwrap().st_mode & 0o7777, 0o2775);
        drop(root);

        let again = unpack(&world, sn, layers).await.unwrap();
        assert_eq!(again.iter().filter(|(_, step)| *step == Step::Exists).count(), 4);
        world.cleanup(sn).await;
        assert!(world.directories(sn, "staging").is_empty());
        assert_eq!(world.directories(sn, "snapshots").len(), 4);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_may_remove_all_below_and_replace_what_it_implied() {
    let world = World::start().await;
    let base = tar("mkdir a; touch old a/old");
    let replacing = tar("mkdir a; touch a/b; tar --format=posix -cf .layer.tar a/b; rm -r a; echo file > a
        tar --format=posix -rf .layer.tar a");
    let clearing = tar("touch .wh..wh..opq new; tar --format=posix -cf .layer.tar .wh..wh..opq new");
    for sn in ["overlayfs", "native"] {
        let tars = [&base, &replacing, &clearing];
        let layers: Vec<Layer> = tars.iter().map(|tar| layer(&world.put(&gzip(tar)), tar, "")).collect();
        unpack(&world, sn, layers).await.unwrap();
        let replaced = world.view(sn, "replaced", &chain(&[&base, &replacing])).await.unwrap();
        assert_eq!(world.open(&replaced).read(Path::new("a")).unwrap(), b"file\n");
        let cleared = world.view(sn, "cleared", &chain(&[&base, &replacing, &clearing])).await.unwrap();
        let names: Vec<_> = world.open(&cleared).read_dir(Path::new("")).unwrap();
        let names: Vec<_> = names.iter().map(|entry| entry.name.to_string_lossy()).collect();
        assert_eq!(names, ["new"], "{sn}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_is_unpacked_while_it_arrives() {
    let world = World::start().await;
    let bytes = tar("for i in $(seq 200); do head -c 20000 /dev/urandom > f$i; done");
    let blob = gzip(&bytes);
    let digest = Digest::sha256(&blob);
    let request =
        UnpackRequest { snapshotter: String::new(), layers: vec![layer(&digest, &bytes, "layer-1")] };
    let mut stream = world.unpacker().unpack(world.ask(request.clone())).await.unwrap().into_inner();
    assert_eq!(stream.message().await.unwrap().unwrap().state(), Step::Waiting);

    // A first writer gives up: what it brought is worthless.
    let mut arriving = world.arriving("layer-1").await;
    arriving.bring(&[0x1f; 4096], 0).await;
    tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    arriving.abort().await;
    let mut second = world.arriving("layer-1").await;
    // A second call for the same layer shares the work.
    let other = world.unpacker().unpack(world.ask(request)).await.unwrap().into_inner();
    let half = blob.len() / 2;
    second.bring(&blob[..half], 0).await;
    let mut offset = 0;
    while offset < 1000 {
        let progress = stream.message().await.unwrap().unwrap();
        assert_ne!(progress.state(), Step::Extracted, "before all bytes were there");
        offset = progress.offset;
    }
    second.bring(&blob[half..], half).await;
    second.commit().await;
    let mut last = Step::Waiting;
    while let Some(progress) = stream.message().await.unwrap() {
        last = progress.state();
    }
    assert_eq!(last, Step::Extracted);
    let mut other = other;
    while let Some(progress) = other.message().await.unwrap() {
        last = progress.state();
    }
    assert_eq!(last, Step::Exists);
    assert_eq!(world.list("overlayfs", &[]).await.unwrap(), [chain(&[&bytes])]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_refused_and_leaves_nothing() {
    let world = World::start().await;
    let good = tar("echo good > good");
    let evil = tar("touch x; tar --format=posix -P -cf .layer.tar --transform 's,x,../../x,' x");
    let good_blob = world.put(&gzip(&good));
    let evil_blob = world.put(&gzip(&evil));
    let noise = world.put(&[7; 5000]);
    let missing = Digest::sha256(b"missing");
    for (what, blob, tar, code) in [
        ("another diff-id", &good_blob, &evil, Code::FailedPrecondition),
        ("a name that leaves", &evil_blob, &evil, Code::InvalidArgument),
        ("no tar", &noise, &good, Code::InvalidArgument),
        ("no blob", &missing, &good, Code::NotFound),
    ] {
        // A good layer on top cannot be committed either.
        let layers = vec![layer(blob, tar, ""), layer(&good_blob, &good, "")];
        let error = unpack(&world, "overlayfs", layers).await.unwrap_err();
        assert_eq!(error.code(), code, "{what}: {}", error.message());
        assert!(error.message().contains(blob.as_str()), "{what}: {}", error.message());
    }
    // Dropped in the middle.
    let digest = Digest::sha256(b"never");
    let _slow = world.arriving("slow").await;
    let request = UnpackRequest { snapshotter: String::new(), layers: vec![layer(&digest, &good, "slow")] };
    let mut stream = world.unpacker().unpack(world.ask(request)).await.unwrap().into_inner();
    stream.message().await.unwrap();
    drop(stream);
    nothing_staged(&world).await;
    for kind in ["snapshots", "staging", "trash"] {
        assert!(world.directories("overlayfs", kind).is_empty(), "{kind}");
    }
    assert!(world.list("overlayfs", &[]).await.unwrap().is_empty());
    unpack(&world, "overlayfs", vec![layer(&good_blob, &good, "")]).await.unwrap();
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_that_arrive_slowly_are_few_at_once_and_hold_up_no_other() {
    let world = World::start().await;
    let most = std::thread::available_parallelism().unwrap().get().max(4);
    let bytes = tar("echo file > file");
    let blob = gzip(&bytes);
    let digest = world.put(&blob);
    let (mut slow, mut arriving) = (Vec::new(), Vec::new());
    for number in 0..3 * most {
        let digest = Digest::sha256(format!("slow {number}").as_bytes());
        let reference = format!("slow {number}");
        let mut one = world.arriving(&reference).await;
        one.bring(&blob[..1], 0).await;
        arriving.push(one);
        slow.push(layer(&digest, &bytes, &reference));
    }
    let request = UnpackRequest { snapshotter: String::new(), layers: slow };
    let slow = world.unpacker().unpack(world.ask(request)).await.unwrap().into_inner();
    for _ in 0..500 {
        if !world.directories("overlayfs", "staging").is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    // More layers than may be unpacked at once, by two calls that share all of them.
    let other = tar("echo other > other");
    let mut layers = vec![layer(&world.put(&gzip(&other)), &other, "")];
    layers.extend((0..3 * most).map(|_| layer(&digest, &bytes, "")));
    let both = async {
        tokio::try_join!(
            unpack(&world, "overlayfs", layers.clone()),
            unpack(&world, "overlayfs", layers.clone())
        )
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), both).await.expect("not held up").unwrap();
    let staged = world.directories("overlayfs", "staging").len();
    assert!((1..most).contains(&staged), "{staged} of {most}");
    drop(slow);
    nothing_staged(&world).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_whose_files_are_lost_are_unpacked_again() {
    let mut world = World::start().await;
    let tars = [tar("echo base > base"), tar("echo middle > middle"), tar("echo top > top")];
    let layers: Vec<Layer> = tars.iter().map(|tar| layer(&world.put(&gzip(tar)), tar, "")).collect();
    let [base, _, top] =
        [1, 2, 3].map(|count| chain(&tars[..count].iter().map(Vec::as_slice).collect::<Vec<_>>()));
    for container in [false, true] {
        unpack(&world, "overlayfs", layers.clone()).await.unwrap();
        if container {
            let box_ = world.open(&world.prepare("overlayfs", "box", &top).await.unwrap());
            box_.dir(Path::new("")).unwrap().make_dir(std::ffi::OsStr::new("own"), 0o755).unwrap();
        }
        world = world
            .restart(|root| {
                let snapshots = root.join("state/snapshots/overlayfs/snapshots");
                for entry in std::fs::read_dir(snapshots).unwrap() {
                    let path = entry.unwrap().path();
                    if path.join("fs/middle").exists() {
                        std::fs::remove_dir_all(path).unwrap();
                    }
                }
            })
            .await;
        for tar in &tars {
            world.put(&gzip(tar));
        }
        // What is not whole counts as not unpacked: who pulls sees that it is to be unpacked.
        assert_eq!(world.stat("overlayfs", &base).await.unwrap().name, base);
        assert_eq!(world.stat("overlayfs", &top).await.unwrap_err().code(), Code::NotFound);
        assert_eq!(world.view("overlayfs", "no", &top).await.unwrap_err().code(), Code::NotFound);
        assert_eq!(world.list("overlayfs", &[]).await.unwrap().len(), if container { 4 } else { 1 });

        let steps = unpack(&world, "overlayfs", layers.clone()).await.unwrap();
        let extracted: Vec<u32> =
            steps.iter().filter(|(_, step)| *step == Step::Extracted).map(|(layer, _)| *layer).collect();
        let again: &[u32] = if container { &[1] } else { &[1, 2] };
        assert!(
            extracted.len() == again.len() && again.iter().all(|layer| extracted.contains(layer)),
            "{steps:?}"
        );
        let root = world.open(&world.view("overlayfs", "look", &top).await.unwrap());
        for name in ["base", "middle", "top"] {
            assert_eq!(root.read(Path::new(name)).unwrap(), format!("{name}\n").as_bytes());
        }
        drop(root);
        world.remove("overlayfs", "look").await.unwrap();
        if container {
            let request = MountsRequest { snapshotter: "overlayfs".into(), key: "box".into() };
            let mounts = world.snapshots().mounts(world.ask(request)).await.unwrap().into_inner().mounts;
            let root = world.open(&mounts);
            assert_eq!(root.read(Path::new("middle")).unwrap(), b"middle\n");
            assert!(root.stat(Path::new("own")).is_ok());
        }
    }
    // It stays so.
    world = world.restart(|_| {}).await;
    assert_eq!(world.stat("overlayfs", &top).await.unwrap().name, top);
    world.stop().await;
}

/// Not a test of time: prints what a real layer takes. `GANTRY_LAYERS=a.tar.gz,b.tar.gz cargo test … -- --ignored`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, for people"]
async fn measure_real_layers() {
    let world = World::start().await;
    let mut layers = Vec::new();
    let mut tars = Vec::new();
    for path in std::env::var("GANTRY_LAYERS").unwrap().split(',') {
        let blob = std::fs::read(path).unwrap();
        let output = std::process::Command::new("gzip").arg("-dc").arg(path).output().unwrap();
        layers.push(layer(&world.put(&blob), &output.stdout, ""));
        tars.push(output.stdout);
    }
    for sn in ["overlayfs", "native"] {
        let started = std::time::Instant::now();
        unpack(&world, sn, layers.clone()).await.unwrap();
        let total: usize = tars.iter().map(Vec::len).sum();
        println!("{sn}: {total} bytes of tar in {:?}", started.elapsed());
        let top = chain(&tars.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let root = world.base.join("state/snapshots").join(sn);
        println!("top {top}, dev {}", std::fs::metadata(root).unwrap().dev());
        for name in world.list(sn, &[]).await.unwrap().iter().rev() {
            let _ = world.remove(sn, name).await;
        }
    }
    world.stop().await;
}
