//! `docker cp` and the archive API, path by path: `copies/*.txt` has the result of each combination of source and
//! destination, which is that of dockerd.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::path::Path;
use std::process::Stdio;

use gantry_tests::image::entry;
use gantry_tests::{Node, Outcome, Side, sides};
use tar::EntryType;

const SETUP: &str = "mkdir -p /src/dir/sub /vol/dir; echo x >/src/dir/x; echo y >/src/dir/sub/y; echo f >/src/file; \
                     ln -s dir /src/ldir; ln -s file /src/lfile; ln -s /no/such /src/dang; echo v >/vol/dir/v; \
                     ln -s /src/dir /vol/out; ln -s dir /vol/in; ln -s /vol /src/tovol";

/// The raw output of a client.
fn raw(side: &Side, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut command = side.docker_command(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the client starts");
    child.stdin.take().expect("piped").write_all(input).expect("written");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{} {arguments:?}", side.who);
    output.stdout
}

/// The entries of a tar that are not from the image: names, and content or link target.
fn entries(tar: &[u8]) -> Vec<String> {
    let mut seen = Vec::new();
    for entry in tar::Archive::new(tar).entries().expect("a tar") {
        let mut entry = entry.expect("whole");
        let mut name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if name.contains("bin/") {
            continue;
        }
        match entry.header().entry_type() {
            EntryType::Symlink => {
                let target =
                    String::from_utf8_lossy(&entry.link_name_bytes().expect("a target")).into_owned();
                let _ = write!(name, "@{target}");
            }
            EntryType::Regular if !name.contains("etc/") => {
                let mut text = String::new();
                entry.read_to_string(&mut text).expect("text");
                let _ = write!(name, "={}", text.trim());
            }
            _ => {}
        }
        seen.push(name);
    }
    seen
}

/// The content of a directory of the host.
fn listing(root: &Path) -> String {
    let mut seen = Vec::new();
    let mut ahead = vec![root.to_owned()];
    while let Some(folder) = ahead.pop() {
        for found in std::fs::read_dir(&folder).expect("listed") {
            let path = found.expect("listed").path();
            let name = path.strip_prefix(root).expect("below").display().to_string();
            let kind = path.symlink_metadata().expect("there").file_type();
            if kind.is_symlink() {
                seen.push(format!("{name}@{}", std::fs::read_link(&path).expect("a link").display()));
            } else if kind.is_dir() {
                seen.push(format!("{name}/"));
                ahead.push(path);
            } else {
                seen.push(format!("{name}={}", std::fs::read_to_string(&path).expect("text").trim()));
            }
        }
    }
    seen.sort();
    seen.join(" ")
}

/// The last error of a client, without names that differ between runs.
fn complaint(outcome: &Outcome, names: &[(&str, &str)]) -> String {
    let mut text = outcome.stderr.trim().lines().last().unwrap_or_default().to_owned();
    for (name, short) in names {
        text = text.replace(name, short);
    }
    format!("error {text}")
}

/// Compares line by line, to show the difference.
fn same(who: &str, seen: &str, golden: &str) {
    let different: Vec<String> = seen
        .lines()
        .zip(golden.lines())
        .filter(|(seen, golden)| seen != golden)
        .map(|(seen, golden)| format!("   seen {seen}\n instead {golden}"))
        .collect();
    assert!(different.is_empty(), "{who}:\n{}", different.join("\n"));
    assert_eq!(seen.lines().count(), golden.lines().count(), "{who}");
}

#[test]
fn copies_out_of_a_container_are_named_as_docker_names_them() {
    let node = Node::start();
    for side in sides(&node) {
        let (container, volume) = (side.name("out"), side.name("outv"));
        let mount = format!("{volume}:/vol");
        side.docker(&["run", "--name", &container, "-v", &mount, "busybox", "sh", "-c", SETUP]).ok();
        let mut seen = String::new();
        for source in [
            "/src/file",
            "/src/file/",
            "/src/dir",
            "/src/dir/",
            "/src/dir/.",
            "/src/ldir",
            "-L /src/ldir",
            "/src/ldir/",
            "/src/ldir/.",
            "/src/lfile",
            "-L /src/lfile",
            "/src/dang",
            "-L /src/dang",
            "/src/no",
            "/vol",
            "/vol/.",
            "/vol/out/x",
            "/src/tovol/in/.",
        ] {
            for destination in ["dir", "dir/", "new", "new/", "file", "file/"] {
                let folder = node.root().join("copies");
                std::fs::create_dir_all(folder.join("dir")).expect("a folder");
                std::fs::write(folder.join("dir/old"), "o").expect("a file");
                std::fs::write(folder.join("file"), "old").expect("a file");
                let at = folder.to_string_lossy().into_owned();
                let (option, path) = source.split_once(' ').unwrap_or(("", source));
                let (from, to) = (format!("{container}:{path}"), format!("{at}/{destination}"));
                let arguments: Vec<&str> =
                    ["cp", option, &from, &to].into_iter().filter(|word| !word.is_empty()).collect();
                let outcome = side.docker(&arguments);
                let what = match outcome.code {
                    0 => listing(&folder),
                    _ => complaint(&outcome, &[(at.as_str(), "T"), (container.as_str(), "C")]),
                };
                let _ = writeln!(seen, "{source} {destination}: {what}");
                std::fs::remove_dir_all(&folder).expect("removed");
            }
        }
        side.docker(&["rm", "-v", &container]).ok();
        side.docker(&["volume", "rm", &volume]).ok();
        same(side.who, &seen, include_str!("copies/out.txt"));
    }
}

/// A tar with the content of the containers that are copied into.
fn base() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, kind, text) in [
        ("d", EntryType::Directory, ""),
        ("d/old", EntryType::Regular, "o"),
        ("f", EntryType::Regular, "old"),
        ("ld", EntryType::Symlink, "d"),
        ("lf", EntryType::Symlink, "f"),
        ("dang", EntryType::Symlink, "/d/target"),
        ("src/dir", EntryType::Directory, ""),
        ("tovol", EntryType::Symlink, "/vol"),
        ("vol/dir", EntryType::Directory, ""),
        ("vol/out", EntryType::Symlink, "/src/dir"),
        ("vol/in", EntryType::Symlink, "dir"),
    ] {
        match kind {
            EntryType::Symlink => entry(&mut tar, name, kind, 0o777, b"", Some(text)),
            _ => entry(&mut tar, name, kind, 0o755, text.as_bytes(), None),
        }
    }
    tar.into_inner().expect("a Vec grows")
}

#[test]
fn copies_into_a_container_land_where_docker_puts_them() {
    let node = Node::start();
    let folder = node.root().join("copies");
    std::fs::create_dir_all(folder.join("dir/sub")).expect("a folder");
    for (name, text) in [("dir/x", "x"), ("dir/sub/y", "y"), ("file", "f")] {
        std::fs::write(folder.join(name), text).expect("a file");
    }
    for (target, link) in [("dir", "ldir"), ("file", "lfile")] {
        std::os::unix::fs::symlink(target, folder.join(link)).expect("linked");
    }
    let at = folder.to_string_lossy().into_owned();
    for side in sides(&node) {
        let (container, volume) = (side.name("in"), side.name("inv"));
        let (mount, root) = (format!("{volume}:/vol"), format!("{container}:/."));
        let shown = || -> BTreeSet<String> {
            let all = entries(&raw(&side, &["cp", &root, "-"], b"")).into_iter();
            let own = ["d", "f", "ld", "lf", "dang", "src", "tovol", "vol", "new", "no"];
            all.filter_map(|entry| entry.strip_prefix("./").map(str::to_owned))
                .filter(|entry| own.contains(&entry.split(['/', '@', '=']).next().unwrap_or_default()))
                .collect()
        };
        let mut seen = String::new();
        for source in ["file", "dir", "dir/.", "ldir", "-L ldir", "lfile", "no"] {
            for destination in [
                "/d",
                "/d/",
                "/new",
                "/new/",
                "/f",
                "/f/",
                "/ld",
                "/lf",
                "/dang",
                "/vol",
                "/vol/out",
                "/tovol/in",
                "/no/new",
            ] {
                side.docker(&["create", "--name", &container, "-v", &mount, "busybox", "true"]).ok();
                raw(&side, &["cp", "-", &root], &base());
                let before = shown();
                let (option, path) = source.split_once(' ').unwrap_or(("", source));
                let (from, to) = (format!("{at}/{path}"), format!("{container}:{destination}"));
                let arguments: Vec<&str> =
                    ["cp", option, &from, &to].into_iter().filter(|word| !word.is_empty()).collect();
                let outcome = side.docker(&arguments);
                let what = if outcome.code == 0 {
                    let after = shown();
                    let new = after.difference(&before).map(|entry| format!("+{entry}"));
                    let gone = before.difference(&after).map(|entry| format!("-{entry}"));
                    new.chain(gone).collect::<Vec<_>>().join(" ")
                } else {
                    complaint(&outcome, &[(at.as_str(), "T"), (container.as_str(), "C")])
                };
                let _ = writeln!(seen, "{source} {destination}: {what}");
                side.docker(&["rm", "-v", &container]).ok();
                side.docker(&["volume", "rm", &volume]).ok();
            }
        }
        same(side.who, &seen, include_str!("copies/into.txt"));
    }
}

#[test]
fn archives_show_what_is_mounted_and_nothing_of_the_kernels() {
    let node = Node::start();
    for side in sides(&node) {
        let (container, volume) = (side.name("box"), side.name("boxv"));
        let mount = format!("{volume}:/vol");
        let script = format!("{SETUP}; echo in >/tmp/in; echo ready; sleep 1000");
        side.docker(&[
            "run", "-d", "--name", &container, "-v", &mount, "--tmpfs", "/tmp", "busybox", "sh", "-c",
            &script,
        ])
        .ok();
        gantry_tests::eventually("it is set up", std::time::Duration::from_secs(20), || {
            match side.docker(&["logs", &container]).ok().as_str() {
                "ready" => Ok(()),
                other => Err(other.to_owned()),
            }
        });
        let check = |state: &str| {
            for (path, names) in [
                ("/", include_str!("copies/root.txt")),
                ("/.", include_str!("copies/root-dot.txt")),
                ("/src/dir/.", "./\n./sub/\n./sub/y=y\n./x=x\n"),
                ("/src/ldir", "ldir@dir\n"),
                ("/src/ldir/", "ldir/\nldir/sub/\nldir/sub/y=y\nldir/x=x\n"),
                ("/vol", "vol/\nvol/dir/\nvol/dir/v=v\nvol/in@dir\nvol/out@/src/dir\n"),
                ("/vol/out/", "out/\nout/sub/\nout/sub/y=y\nout/x=x\n"),
                ("/src/tovol/in/v", "v=v\n"),
                (
                    "/src/dir/..",
                    "src/\nsrc/dang@/no/such\nsrc/dir/\nsrc/dir/sub/\nsrc/dir/sub/y=y\nsrc/dir/x=x\n\
                  src/file=f\nsrc/ldir@dir\nsrc/lfile@file\nsrc/tovol@/vol\n",
                ),
                ("/proc", "proc/\n"),
                ("/tmp", "tmp/\n"),
            ] {
                let tar = raw(&side, &["cp", &format!("{container}:{path}"), "-"], b"");
                same(&format!("{} {state} {path}", side.who), &(entries(&tar).join("\n") + "\n"), names);
            }
        };
        check("running");
        let etc = format!("{container}:/etc/");
        let hosts = gantry_tests::image::tar_of(&[("hosts", b"mine")]);
        let busy = side.docker_with(&["cp", "-", &etc], &hosts).fails(1);
        assert!(busy.contains("device or resource busy"), "{}: {busy}", side.who);
        assert!(
            side.docker(&["exec", &container, "cat", "/etc/hosts"]).ok().contains("localhost"),
            "{}",
            side.who
        );
        side.docker(&["stop", "-t", "0", &container]).ok();
        check("at rest");
        let busy = side.docker_with(&["cp", "-", &etc], &hosts).fails(1);
        assert!(busy.contains("device or resource busy"), "{}: {busy}", side.who);
        side.docker(&["rm", "-v", &container]).ok();
        side.docker(&["volume", "rm", &volume]).ok();
    }
}
