//! Registries that send wrong bytes, break off and hang: each error is clear, nothing is left behind, and other work
//! goes on.

use std::time::{Duration, Instant};

use gantry_tests::image::{self, Compression, Format, Image};
use gantry_tests::{Answer, Asked, Liar, Node, Setup, eventually};

/// Short timeouts for tests: a registry counts as silent after a second.
const IMPATIENT: Setup<'static> = Setup { folder: None, settings: &[("images", "idle_timeout = \"1s\"")] };

const SIZE: usize = 3_000_000;

fn image() -> Image {
    let noise = image::noise(SIZE);
    let layers = [image::busybox_tar(), image::tar_of(&[("noise", &noise)])];
    Image::new(&layers, Compression::Gzip, Format::Oci, &["wc", "-c", "/noise"])
}

/// Pulls an image that cannot be pulled. Returns the error.
fn refused(node: &Node, name: &str) -> String {
    let began = Instant::now();
    let complaint = node.docker(&["pull", name]).fails(1);
    assert!(began.elapsed() < Duration::from_secs(60), "{complaint}: after {:?}", began.elapsed());
    complaint
}

/// Pulls and runs the image that failed before: nothing is in the way.
fn works(node: &Node, name: &str) {
    node.docker(&["pull", name]).ok();
    assert_eq!(node.docker(&["run", "--rm", name]).ok(), format!("{SIZE} /noise"));
    node.docker(&["rmi", name]).ok();
}

/// Everything that is stored of an image.
fn remains(node: &Node) -> Vec<String> {
    let lists: [&[&str]; 4] =
        [&["content", "ls", "-q"], &["content", "active"], &["snapshots", "ls"], &["leases", "ls", "-q"]];
    let mut remains = Vec::new();
    for list in lists {
        let output = node.ctr("moby", list).ok();
        let rows = output.lines().filter(|line| !line.starts_with("REF") && !line.starts_with("KEY"));
        remains.extend(rows.map(|row| format!("{list:?}: {row}")));
    }
    remains
}

fn leaves_nothing(node: &Node) {
    eventually("nothing is left of it", Duration::from_secs(10), || {
        let remains = remains(node);
        if remains.is_empty() { Ok(()) } else { Err(format!("{remains:#?}")) }
    });
    assert_eq!(node.docker(&["images", "-aq"]).ok(), "");
    node.gantry(&["fsck"]).ok();
}

/// A script that answers for the blob `digest`, and honestly for everything else.
fn instead(
    digest: &str,
    answer: impl Fn(&Asked, Answer) -> Answer + Send + 'static,
) -> impl FnMut(&Asked, Answer) -> Answer + Send + 'static {
    let digest = digest.to_owned();
    move |asked, honest| if asked.is_for(&digest) { answer(asked, honest) } else { honest }
}

#[test]
fn blobs_that_are_not_what_was_promised() {
    let node = Node::empty();
    let image = image();
    let layer = image.layers[1].clone();
    let config = image.blobs.keys().find(|digest| !image.layers.contains(digest)).expect("a config").clone();
    let bytes = image.blobs[&layer].clone();
    let mut wrong = bytes.clone();
    wrong[bytes.len() / 2] ^= 1;
    let short = bytes[..bytes.len() - 1000].to_vec();
    let long = [&bytes[..], &[0; 1000]].concat();
    let liar = Liar::honest(&node, &image);

    for (body, complaint) in [(wrong, "digest"), (short, "bytes"), (long, "bytes")] {
        liar.behave(instead(&layer, move |_, honest| honest.body(body.clone())));
        let found = refused(&node, &liar.name("1"));
        assert!(found.contains(&layer) && found.contains(complaint), "{found}");
        leaves_nothing(&node);
    }
    let other = image.blobs[&config].iter().map(|byte| if *byte == b'2' { b'3' } else { *byte }).collect();
    let other: Vec<u8> = other;
    liar.behave(instead(&config, move |_, honest| honest.body(other.clone())));
    let found = refused(&node, &liar.name("1"));
    assert!(found.contains("config") && found.contains(&config), "{found}");
    leaves_nothing(&node);

    liar.behave(|_, honest| honest);
    works(&node, &liar.name("1"));
    leaves_nothing(&node);
}

#[test]
fn manifests_that_are_none() {
    let node = Node::empty();
    let image = image();
    let liar = Liar::honest(&node, &image);
    for (answer, complaint) in [
        (Answer::new(200, "not json").header("content-type", "application/json"), "manifest"),
        (Answer::new(200, "<html>sign in</html>").header("content-type", "text/html"), "manifest"),
        (Answer::new(200, "{\"schemaVersion\": 1}"), "schema version 1"),
        (Answer::new(200, "{\"schemaVersion\": 2, \"mediaType\": \"image/png\"}"), "image/png"),
        (Answer::new(200, vec![b' '; 100 << 20]), "larger than"),
    ] {
        // Once as the first document, once in place of the promised one.
        for promised in [false, true] {
            let answer = answer.clone();
            liar.behave(move |asked, honest| match (asked.is_manifest(), asked.method == "HEAD") {
                (true, true) if promised => honest,
                (true, true) => Answer::new(405, ""),
                (true, false) => answer.clone(),
                (false, _) => honest,
            });
            let found = refused(&node, &liar.name("1"));
            // Where a digest was promised, the error may only say that the document is another one.
            assert!(found.contains(complaint) || promised && found.contains("sha256:"), "{found}");
            leaves_nothing(&node);
        }
    }
    liar.behave(|_, honest| honest);
    works(&node, &liar.name("1"));
}

#[test]
fn a_body_that_breaks_goes_on_where_it_broke() {
    let node = Node::empty();
    let image = image();
    let layer = image.layers[1].clone();
    let size = image.blobs[&layer].len();
    let liar = Liar::honest(&node, &image);
    // Half of the rest, four times.
    let mut breaks = 0;
    let digest = layer.clone();
    liar.behave(move |asked, honest| {
        if !asked.is_for(&digest) {
            return honest;
        }
        breaks += 1;
        let left = size - asked.range.unwrap_or(0);
        if breaks <= 4 { honest.cut(left / 2) } else { honest }
    });
    works(&node, &liar.name("1"));
    let ranges: Vec<_> =
        liar.asked().iter().filter(|asked| asked.is_for(&layer)).map(|asked| asked.range).collect();
    assert_eq!(ranges.len(), 5, "{ranges:?}");
    assert!(ranges[1..].iter().all(|range| range.is_some_and(|start| start > 0)), "{ranges:?}");
    assert!(liar.served(&layer) < size as u64 + (256 << 10), "{} of {size}", liar.served(&layer));

    // Never a byte.
    liar.behave(instead(&layer, |_, honest| honest.cut(0)));
    let found = refused(&node, &liar.name("1"));
    assert!(found.contains(&layer) && found.contains("the connection broke"), "{found}");
    assert_eq!(node.docker(&["images", "-aq"]).ok(), "");
    node.gantry(&["fsck"]).ok();
    liar.behave(|_, honest| honest);
    works(&node, &liar.name("1"));
    leaves_nothing(&node);
}

#[test]
fn servers_in_trouble_are_asked_again_and_given_up() {
    let node = Node::empty();
    let image = image();
    let layer = image.layers[1].clone();
    let liar = Liar::honest(&node, &image);
    // Every request fails once: with 500, or with 429 and a pause.
    let mut failed = std::collections::BTreeSet::new();
    liar.behave(move |asked, honest| match failed.insert((asked.method.clone(), asked.path.clone())) {
        true if asked.is_manifest() => Answer::new(500, "oops"),
        true => Answer::new(429, "slow down").header("retry-after", 1),
        false => honest,
    });
    let began = Instant::now();
    works(&node, &liar.name("1"));
    assert!(began.elapsed() >= Duration::from_secs(1), "the pause was not kept: {:?}", began.elapsed());
    leaves_nothing(&node);

    // For ever: the layer, whose response has a message, or everything, where only a HEAD is sent.
    liar.behave(instead(&layer, |_, _| Answer::new(503, "down for maintenance")));
    let found = refused(&node, &liar.name("1"));
    assert!(found.contains("503") && found.contains("down for maintenance"), "{found}");
    liar.behave(|_, _| Answer::new(429, "come back tomorrow").header("retry-after", 86400));
    let found = refused(&node, &liar.name("1"));
    assert!(found.contains("the registry answered 429"), "{found}");
    assert_eq!(node.docker(&["images", "-aq"]).ok(), "");
    node.gantry(&["fsck"]).ok();

    liar.behave(|_, honest| honest);
    works(&node, &liar.name("1"));
    leaves_nothing(&node);
}

#[test]
fn a_registry_that_hangs_holds_up_nobody_else() {
    let node = Node::with(&IMPATIENT);
    node.import_busybox();
    let image = image();
    let layer = image.layers[1].clone();
    let (silent, honest) = (Liar::honest(&node, &image), Liar::honest(&node, &image));
    silent.behave(|_, _| Answer::silence());
    let found = refused(&node, &silent.name("1"));
    assert!(found.contains("no answer within 1 s"), "{found}");

    silent.behave(instead(&layer, |_, honest| honest.stall(100_000)));
    std::thread::scope(|scope| {
        let hanging = scope.spawn(|| refused(&node, &silent.name("1")));
        eventually("the layer hangs", Duration::from_secs(10), || {
            if silent.served(&layer) >= 100_000 { Ok(()) } else { Err("not asked for") }
                .map_err(str::to_owned)
        });
        assert_eq!(node.docker(&["run", "--rm", "busybox", "echo", "alive"]).ok(), "alive");
        node.docker(&["images"]).ok();
        let found = hanging.join().expect("it ends");
        assert!(found.contains("no answer within 1 s") && found.contains(&layer), "{found}");
    });
    works(&node, &honest.name("1"));
}

#[test]
fn a_pull_is_cancelled_by_its_client() {
    let node = Node::empty();
    let image = image();
    let layer = image.layers[1].clone();
    let liar = Liar::honest(&node, &image);
    liar.behave(instead(&layer, |_, honest| honest.stall(100_000)));
    let client = node.docker_started(&["pull", &liar.name("1")]);
    eventually("the layer hangs", Duration::from_secs(10), || {
        if liar.hanging() == 1 { Ok(()) } else { Err(format!("{} hang", liar.hanging())) }
    });
    client.interrupt();
    assert!(!client.wait().success());
    eventually("the registry is left alone", Duration::from_secs(5), || {
        if liar.hanging() == 0 { Ok(()) } else { Err(format!("{} hang", liar.hanging())) }
    });
    assert_eq!(node.docker(&["images", "-aq"]).ok(), "");
    node.gantry(&["fsck"]).ok();
    liar.behave(|_, honest| honest);
    works(&node, &liar.name("1"));
    leaves_nothing(&node);
}
