//! Archives in every form: compressed by bzip2 and xz, in Docker's first format, from the web.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use gantry_tests::{Node, Side, image, sides};
use serde_json::{Value, json};

/// The output of a program for this input.
fn piped(program: &str, input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(["-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("it runs");
    writer.join().expect("no panic").expect("written");
    assert!(output.status.success());
    output.stdout
}

fn layers(side: &Side, name: &str) -> Value {
    let (status, image) = side.api("GET", &format!("/images/{name}/json"), "");
    assert_eq!(status, 200, "{}: {image}", side.who);
    image["RootFS"]["Layers"].clone()
}

#[test]
fn archives_by_bzip2_and_xz_are_taken_everywhere() {
    let node = Node::start();
    let plain = image::tar_of(&[("folder/", b""), ("folder/file", &image::noise(600_000)), ("end", b"x")]);
    let half = plain.len() / 2;
    let (first, second) = plain.split_at(half);
    for side in sides(&node) {
        // The reference calls a program for xz, which its host lacks.
        let xz = side.who == "gantry";
        let (image, holder) = (side.name("plain"), side.name("holder"));
        side.docker_with(&["import", "-", &image], &plain).ok();
        let expected = layers(&side, &image);
        side.docker(&["create", "--name", &holder, "busybox"]).ok();
        let saved = {
            let mut command = side.docker_command(&["save", &image]);
            command.stderr(Stdio::inherit()).output().expect("it runs").stdout
        };
        for program in ["bzip2", "xz"].into_iter().filter(|program| xz || *program == "bzip2") {
            let whole = piped(program, &plain);
            let two = [piped(program, first), piped(program, second)].concat();
            for archive in [&whole, &two] {
                let name = side.name("import");
                side.docker_with(&["import", "-", &name], archive).ok();
                assert_eq!(layers(&side, &name), expected, "{} {program}", side.who);
                side.docker(&["rmi", &name]).ok();
                side.docker_with(&["cp", "-", &format!("{holder}:/tmp")], archive).ok();
                side.docker(&["cp", &format!("{holder}:/tmp/folder/file"), "-"]).ok();
            }
            // A truncated archive is refused; the reference does not read past the end of the tar.
            let cut = side.docker_with(&["import", "-"], &whole[..whole.len() / 2]);
            assert_ne!(cut.code, 0, "{} {program}", side.who);

            side.docker(&["rmi", &image]).ok();
            let loaded = side.docker_with(&["load"], &piped(program, &saved)).ok();
            assert!(loaded.contains(&format!("Loaded image: {image}:latest")), "{}: {loaded}", side.who);
            assert_eq!(layers(&side, &image), expected, "{} {program}", side.who);
        }
        side.docker(&["rm", &holder]).ok();
        side.docker(&["rmi", &image]).ok();
    }
}

#[test]
fn what_is_hidden_behind_a_compressed_archive_is_refused() {
    let node = Node::start();
    let plain = image::tar_of(&[("file", b"bytes")]);
    for program in ["bzip2", "xz"] {
        let whole = piped(program, &plain);
        let padded = [whole.as_slice(), &[0; 512]].concat();
        node.docker_with(&["import", "-"], &padded).ok();
        let more = [whole.as_slice(), b"garbage"].concat();
        assert_ne!(node.docker_with(&["import", "-"], &more).code, 0, "{program}");
    }
}

/// A layer of an archive in the first format: its id, its document, its tar.
type LegacyLayer = (String, Value, Vec<u8>);

fn legacy(layers: &[LegacyLayer], repositories: &Value) -> Vec<u8> {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for (id, document, tar) in layers {
        files.push((format!("{id}/VERSION"), b"1.0".to_vec()));
        files.push((format!("{id}/json"), document.to_string().into_bytes()));
        files.push((format!("{id}/layer.tar"), tar.clone()));
    }
    files.push(("repositories".into(), repositories.to_string().into_bytes()));
    let files: Vec<_> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    image::tar_of(&files)
}

fn id(digit: char) -> String {
    digit.to_string().repeat(64)
}

/// Busybox, and a layer with a file on top of it.
fn two_layers() -> [LegacyLayer; 2] {
    let base = json!({
        "id": id('a'), "created": "2014-01-01T00:00:00Z", "os": "linux", "architecture": "amd64",
        "container_config": {"Cmd": ["/bin/sh", "-c", "#(nop) ADD busybox"]},
    });
    let top = json!({
        "id": id('b'), "parent": id('a'), "created": "2014-01-02T00:00:00Z", "os": "linux",
        "architecture": "amd64", "author": "somebody", "comment": "a comment", "docker_version": "1.0",
        "config": {"Cmd": ["cat", "/told"], "Env": ["X=1"]},
        "container_config": {"Cmd": ["/bin/sh", "-c", "#(nop) CMD cat"]},
    });
    [(id('a'), base, image::busybox_tar()), (id('b'), top, image::tar_of(&[("told", b"by the top\n")]))]
}

#[test]
fn archives_of_the_first_form_are_loaded() {
    let node = Node::start();
    for side in sides(&node) {
        let name = side.name("legacy");
        let archive = legacy(&two_layers(), &json!({&name: {"one": id('b'), "base": id('a')}}));
        side.docker_with(&["load"], &archive).ok();
        let (one, base) = (format!("{name}:one"), format!("{name}:base"));
        assert_eq!(side.docker(&["run", "--rm", &one]).ok(), "by the top", "{}", side.who);
        let (_, image) = side.api("GET", &format!("/images/{one}/json"), "");
        let told =
            ["Author", "Comment", "Created", "DockerVersion", "Architecture", "Os"].map(|key| &image[key]);
        let expected = ["somebody", "a comment", "2014-01-02T00:00:00Z", "1.0", "amd64", "linux"];
        assert_eq!(told, expected, "{}", side.who);
        assert_eq!(image["Config"]["Env"], json!(["X=1"]), "{}", side.who);
        assert_eq!(image["RootFS"]["Layers"].as_array().map(Vec::len), Some(2), "{}", side.who);
        assert_eq!(layers(&side, &base)[0], image["RootFS"]["Layers"][0], "{}", side.who);
        let (_, history) = side.api("GET", &format!("/images/{one}/history"), "");
        let by: Vec<_> = history.as_array().expect("a list").iter().map(|row| &row["CreatedBy"]).collect();
        let expected = ["/bin/sh -c #(nop) CMD cat", "/bin/sh -c #(nop) ADD busybox"];
        assert_eq!(by, expected, "{}", side.who);
        assert_eq!(history[0]["Comment"], "a comment", "{}", side.who);
        side.docker(&["rmi", &one, &base]).ok();
    }
}

#[test]
fn archives_of_the_first_form_that_lie_are_refused() {
    let node = Node::start();
    let [base, top] = two_layers();
    let changed = |of: &LegacyLayer, key: &str, value: &str| {
        let mut layer = of.clone();
        layer.1[key] = value.into();
        layer
    };
    let to = |id: &str| json!({"lie": {"latest": id}});
    let top_id = id('b');
    let rows: Vec<(&str, Vec<u8>, &str)> = vec![
        ("an id that is none", legacy(&[base.clone(), top.clone()], &to("../../etc")), "id"),
        ("a missing image", legacy(&[base.clone(), top.clone()], &to(&id('c'))), "cccccccc"),
        (
            "a missing parent",
            legacy(&[changed(&base, "parent", &id('c')), top.clone()], &to(&top_id)),
            "c/json",
        ),
        ("a parent outside", legacy(&[base.clone(), changed(&top, "parent", "../x")], &to(&top_id)), "x"),
        ("another system", legacy(&[base.clone(), changed(&top, "os", "windows")], &to(&top_id)), "windows"),
        ("no layer", legacy(&[(id('b'), json!({"id": id('b')}), Vec::new())], &to(&id('d'))), "d"),
        ("no name", legacy(&[base.clone(), top.clone()], &json!({"UPPER": {"x": top_id}})), "lowercase"),
        ("no tag", legacy(&[base.clone(), top.clone()], &json!({"x": {"../x": top_id}})), "invalid"),
        ("no JSON", image::tar_of(&[("repositories", b"{")]), ""),
    ];
    for side in sides(&node) {
        for (what, archive, words) in &rows {
            let complaint = side.docker_with(&["load"], archive);
            assert_ne!(complaint.code, 0, "{}: {what}", side.who);
            let said = complaint.stderr.to_lowercase();
            assert!(said.contains(words), "{}: {what}: {}", side.who, complaint.stderr);
        }
    }
    // The reference crashes on this one.
    let ring = legacy(&[changed(&base, "parent", &id('b')), top], &to(&id('b')));
    let complaint = node.docker_with(&["load"], &ring).fails(1);
    assert!(complaint.contains("is its own ancestor"), "{complaint}");
}

/// Serves the same bytes for every request in a side's network, until the test ends. Returns the address.
fn web(side: &Side, answer: &[u8]) -> String {
    let listener = side.in_network(|| TcpListener::bind("127.0.0.1:0").expect("bound"));
    let address = listener.local_addr().expect("an address").to_string();
    let answer = answer.to_vec();
    std::thread::spawn(move || {
        while let Ok((mut client, _)) = listener.accept() {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).is_ok_and(|read| read > 0) {
                head.push(byte[0]);
            }
            let _ = client.write_all(&answer);
        }
    });
    address
}

fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// The API's response to an import.
fn import(side: &Side, source: &str, name: &str) -> (u16, String) {
    let (status, body) =
        side.api("POST", &format!("/images/create?fromSrc={source}&repo={name}&tag=web"), "");
    (status, body.as_str().map_or_else(|| body.to_string(), str::to_owned))
}

#[test]
fn images_are_imported_from_the_web() {
    let node = Node::start();
    let plain = image::tar_of(&[("file", b"bytes")]);
    for side in sides(&node) {
        let name = side.name("from-web");
        let web = web(&side, &answer("200 OK", &piped("bzip2", &plain)));
        for source in [format!("http://{}/x.tar", web), format!("{}/x.tar", web)] {
            let (status, told) = import(&side, &source, &name);
            assert_eq!(status, 200, "{}: {told}", side.who);
            let first = format!("{{\"status\":\"Downloading from http://{}/x.tar\"}}\r\n", web);
            assert!(told.starts_with(&first), "{}: {told}", side.who);
            assert!(
                told.contains("{\"status\":\"Importing\",\"progressDetail\":{\"current\":"),
                "{}: {told}",
                side.who
            );
            assert!(told.contains("{\"status\":\"sha256:"), "{}: {told}", side.who);
            let (_, history) = side.api("GET", &format!("/images/{name}:web/history"), "");
            assert_eq!(history[0]["Comment"], format!("Imported from {source}"), "{}", side.who);
            side.docker(&["rmi", &format!("{name}:web")]).ok();
        }
    }
}

#[test]
fn what_the_web_refuses_is_told_as_it_says() {
    let node = Node::start();
    let location = "302 Found\r\nLocation: /again";
    let rows: &[(&str, Vec<u8>, u16, &str)] = &[
        ("missing", answer("404 Not Found", b"not here\n"), 404, "with status 404 Not Found: not here"),
        ("unauthorized", answer("401 Unauthorized", b"who?"), 401, "with status 401 Unauthorized: who?"),
        ("forbidden", answer("403 Forbidden", b"no"), 403, "with status 403 Forbidden: no"),
        ("broken", answer("503 Service Unavailable", b"no"), 500, "with status 503 Service Unavailable: no"),
        ("for-ever", answer(location, b""), 500, "stopped after 10 redirects"),
    ];
    for side in sides(&node) {
        for (name, answer, expected, words) in rows {
            let web = web(&side, answer);
            let (status, told) = import(&side, &format!("http://{}/x", web), "x");
            assert_eq!(status, *expected, "{}: {name}: {told}", side.who);
            assert!(told.contains(words), "{}: {name}: {told}", side.who);
        }
        for (source, expected, words) in [
            ("ftp://a/b", 500, "unsupported protocol scheme"),
            ("file:///etc/passwd", 500, "unsupported protocol scheme"),
            ("http://127.0.0.1:1/", 500, "onnection refused"),
            ("http://a%20b/", 400, "parse"),
        ] {
            let (status, told) = import(&side, source, "x");
            assert_eq!(status, expected, "{}: {source}: {told}", side.who);
            assert!(told.contains(words), "{}: {source}: {told}", side.who);
        }
        // Cut in the middle: the stream of progress ends with the error.
        let plain = image::tar_of(&[("file", &image::noise(100_000))]);
        let mut cut = answer("200 OK", &plain);
        cut.truncate(50_000);
        let web = web(&side, &cut);
        let (status, told) = import(&side, &format!("http://{}/x", web), "x");
        assert_eq!(status, 200, "{}: {told}", side.who);
        assert!(told.contains("\"errorDetail\":{\"message\":"), "{}: {told}", side.who);
    }
}
