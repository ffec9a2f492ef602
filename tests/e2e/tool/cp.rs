//! `gantry cp`, compared with Docker's client.

use std::path::Path;

use gantry_tests::{Node, Outcome};

use super::{refused, told_in_one_line};

const INSIDE: &str = "mkdir -p /src/dir/sub /into; echo x >/src/dir/x; echo y >/src/dir/sub/y; echo f >/src/file; \
                      ln -s dir /src/ldir; ln -s file /src/lfile; ln /src/dir/x /src/dir/hard; chmod 750 /src/dir/sub; \
                      mkfifo /src/dir/pipe; ln -s /into /lin; echo old >/into/old; chown 7:8 /src/file";

/// Everything below a directory: kind, mode, owner, name and content.
fn tree(run: impl Fn(&[&str]) -> Outcome, folder: &str) -> String {
    let script = "cd \"$0\" && find . | sort | while read -r f; do \
                  printf '%s %s ' \"$f\" \"$(stat -c '%f %u:%g' \"$f\")\"; \
                  if [ -L \"$f\" ]; then readlink \"$f\"; elif [ -f \"$f\" ]; then cat \"$f\"; else echo; fi; done";
    run(&["sh", "-c", script, folder]).ok()
}

fn here(folder: &Path) -> String {
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(arguments[0]);
        command.args(&arguments[1..]);
        Outcome::of(command, b"")
    };
    tree(run, &folder.display().to_string())
}

fn node_with_files() -> Node {
    let node = Node::start();
    node.gantry(&[
        "run",
        "-d",
        "--name",
        "box",
        "busybox",
        "sh",
        "-c",
        &format!("{INSIDE}; touch /ready; sleep 1000"),
    ])
    .ok();
    gantry_tests::eventually("the files", std::time::Duration::from_secs(10), || {
        match node.gantry(&["exec", "box", "test", "-e", "/ready"]).code {
            0 => Ok(()),
            code => Err(code.to_string()),
        }
    });
    node
}

#[test]
fn what_is_copied_out_is_what_docker_s_client_copies() {
    let node = node_with_files();
    for source in [
        "/src/file",
        "/src/dir",
        "/src/dir/",
        "/src/dir/.",
        "/src/lfile",
        "/src/ldir",
        "/src/ldir/",
        "/no/such",
    ] {
        for (target, follow) in [
            ("there", false),
            ("there/", false),
            ("new", false),
            ("new/", false),
            ("old", false),
            ("there", true),
            ("no/such", false),
        ] {
            let flags: &[&str] = if follow { &["-L"] } else { &[] };
            let mut found = Vec::new();
            for who in ["gantry", "docker"] {
                let folder = tempfile::TempDir::new_in(node.root()).expect("a folder");
                std::fs::create_dir(folder.path().join("there")).expect("made");
                std::fs::write(folder.path().join("old"), "old").expect("written");
                let to = format!("{}/{target}", folder.path().display());
                let from = format!("box:{source}");
                let arguments = [&["cp"], flags, &[from.as_str(), to.as_str()]].concat();
                let outcome = if who == "gantry" { node.gantry(&arguments) } else { node.docker(&arguments) };
                found.push((outcome.code, here(folder.path())));
            }
            assert_eq!(found[0], found[1], "{source} to {target} {flags:?}");
        }
    }
}

#[test]
fn what_is_copied_in_is_what_docker_s_client_copies() {
    let node = node_with_files();
    let from = node.root().join("from");
    std::fs::create_dir_all(from.join("dir/sub")).expect("made");
    std::fs::write(from.join("dir/x"), "x\n").expect("written");
    std::fs::write(from.join("file"), "f\n").expect("written");
    std::fs::hard_link(from.join("dir/x"), from.join("dir/hard")).expect("linked");
    std::os::unix::fs::symlink("file", from.join("lfile")).expect("linked");
    std::os::unix::fs::symlink("dir", from.join("ldir")).expect("linked");
    std::os::unix::fs::chown(from.join("file"), Some(1234), Some(1235)).expect("root may");
    for source in ["file", "dir", "dir/.", "dir/", "lfile", "ldir", "ldir/", "file/", "none"] {
        for (target, flags) in [
            ("/to", &[][..]),
            ("/to/", &[]),
            ("/to/new", &[]),
            ("/to/new/", &[]),
            ("/to/old", &[]),
            ("/lto", &[]),
            ("/to", &["-L"]),
            ("/to", &["-a"]),
            ("/no/such/folder", &[]),
        ] {
            let mut found = Vec::new();
            for who in ["gantry", "docker"] {
                let setup = "rm -rf /to /lto /no; mkdir /to; echo old >/to/old; ln -s /to /lto";
                node.gantry(&["exec", "box", "sh", "-c", setup]).ok();
                let path = format!("{}/{source}", from.display());
                let to = format!("box:{target}");
                let arguments = [&["cp"], flags, &[path.as_str(), to.as_str()]].concat();
                let outcome = if who == "gantry" { node.gantry(&arguments) } else { node.docker(&arguments) };
                let inside = tree(|command| node.gantry(&[&["exec", "box"], command].concat()), "/to");
                found.push((outcome.code, inside));
            }
            assert_eq!(found[0], found[1], "{source} to {target} {flags:?}");
        }
    }
}

#[test]
fn tars_come_and_go_by_pipes() {
    let node = node_with_files();
    let tar = |who: &str| {
        let arguments = ["cp", "box:/src/dir", "-"];
        let mut command =
            if who == "gantry" { node.gantry_command(&arguments) } else { node.docker_command(&arguments) };
        command.output().expect("it runs").stdout
    };
    let ours = tar("gantry");
    assert_eq!(ours, tar("docker"));
    node.gantry_with(&["cp", "-", "box:/into"], &ours).ok();
    assert_eq!(node.gantry(&["exec", "box", "cat", "/into/dir/x"]).ok(), "x");
    told_in_one_line(&node.gantry_with(&["cp", "-", "box:/src/file"], &ours), 1, "must be a directory");
    let bad = node.gantry_with(&["cp", "-", "box:/into"], &[b'x'; 2048]);
    assert_eq!((bad.code, bad.stderr.lines().count()), (1, 1), "{bad:#?}");
}

#[test]
fn what_cannot_be_copied_is_told_in_one_line() {
    let node = node_with_files();
    let root = node.root().display().to_string();
    for (from, to, words) in [
        ("box:/a", "box:/b", "copying between containers is not supported"),
        ("/etc/hostname", "/tmp", "must specify at least one container source"),
        ("nobody:/a", root.as_str(), "No such container: nobody"),
        ("/etc/hostname", "nobody:/a", "No such container: nobody"),
        ("box:/no/such", root.as_str(), "/no/such"),
        ("/no/such", "box:/", "look at /no/such"),
        ("box:/src/dir", "/etc/hostname", "cannot copy directory"),
        ("box:/src/file", "/no/such/folder", "is no directory"),
        ("/etc/hostname", "box:/no/such/folder", "/no/such"),
        ("/etc/hostname", "box:", "no path follows"),
    ] {
        refused(&node, &["cp", from, to], 1, words);
    }
}
