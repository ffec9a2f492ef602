//! Paths that containers and images control: whatever they put there, files of the host are not reached.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use gantry_tests::image::{busybox_tar, entry};
use gantry_tests::{Node, Side, eventually, sides};
use serde_json::json;
use tar::EntryType;

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("listed");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("listed").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Imports busybox with further entries before its own.
fn import(node: &Node, name: &str, entries: &[(&str, EntryType, u32, &str)]) {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, kind, mode, link) in entries {
        entry(&mut tar, path, *kind, *mode, b"", Some(link).filter(|link| !link.is_empty()).copied());
    }
    let before = tar.get_ref().clone();
    let mut all = tar::Archive::new(std::io::Cursor::new(busybox_tar()));
    let mut out = tar::Builder::new(before);
    for found in all.entries().expect("a tar") {
        let mut found = found.expect("whole");
        let path = found.path().expect("a name").display().to_string();
        if entries.iter().any(|(own, ..)| path.trim_end_matches('/') == *own) {
            continue;
        }
        let header = found.header().clone();
        out.append(&header, &mut found).expect("a Vec grows");
    }
    let tar = out.into_inner().expect("a Vec grows");
    node.docker_with(&["import", "-c", "CMD [\"/bin/sh\"]", "-", name], &tar).ok();
}

/// Runs a script in a container with a part of a volume at `/m` (older clients lack the option). Returns its output,
/// or the error.
fn with_part(side: &Side, volume: &str, part: &str, script: &str) -> Result<String, String> {
    let name = side.name("part");
    let mount =
        json!({"Type": "volume", "Source": volume, "Target": "/m", "VolumeOptions": {"Subpath": part}});
    let asked = json!({"Image": "busybox", "Cmd": ["sh", "-c", script], "HostConfig": {"Mounts": [mount]}});
    let (status, answer) = side.api("POST", &format!("/containers/create?name={name}"), &asked.to_string());
    if status != 201 {
        return Err(answer.to_string());
    }
    let started = side.docker(&["start", "-a", &name]);
    let removed = side.docker(&["rm", "-f", &name]);
    assert_eq!(removed.code, 0, "{removed:#?}");
    if started.stderr.contains("response from daemon") {
        Err(started.stderr)
    } else {
        Ok(started.stdout.trim().to_owned())
    }
}

#[test]
fn a_part_of_a_volume_is_never_outside_of_it() {
    let node = Node::start();
    for side in sides(&node) {
        let volume = side.name("parts");
        let data = format!("{volume}:/v");
        let script = "mkdir -p /v/a/b; echo f >/v/a/file; ln -s a /v/in; ln -s /a /v/abs; ln -s / /v/root; \
                      ln -s ../../../.. /v/up; ln -s a/nowhere /v/dangling; mkfifo /v/fifo";
        side.docker(&["run", "--rm", "-v", &data, "busybox", "sh", "-c", script]).ok();
        let listed = |part: &str| with_part(&side, &volume, part, "ls -d /m; ls /m");
        for (part, seen) in [
            ("a", "/m\nb\nfile"),
            ("a/b", "/m"),
            ("in", "/m\nb\nfile"),
            ("a/file", "/m\n/m"),
            ("a/../in/b", "/m"),
            ("fifo", "/m\n/m"),
        ] {
            assert_eq!(listed(part), Ok(seen.to_owned()), "{} {part}", side.who);
        }
        for (part, said) in [
            ("root", "path concatenation escapes the base directory"),
            ("root/etc", "path concatenation escapes the base directory"),
            ("up", "path concatenation escapes the base directory"),
            ("dangling", "no such file or directory"),
            ("nope", "no such file or directory"),
            ("../x", "subpath must be a relative path within the volume"),
            ("/a", "subpath must be a relative path within the volume"),
        ] {
            let error = listed(part).expect_err(part);
            assert!(error.contains(said), "{} {part}: {error}", side.who);
        }
        assert!(listed("abs").is_err(), "{}", side.who);
        side.docker(&["volume", "rm", &volume]).ok();
    }
}

#[test]
fn a_racing_container_cannot_move_a_part_of_a_volume_out() {
    let node = Node::start();
    let secret = node.root().join("secret");
    std::fs::write(&secret, "the host's").expect("a file");
    let script = format!(
        "mkdir /v/good /v/spare; ln -s {} /v/evil; touch /v/ready; \
         while :; do mv -T /v/good /v/x; mv -T /v/evil /v/good; mv -T /v/good /v/evil; mv -T /v/x /v/good; \
         usleep 5000; done",
        node.root().display()
    );
    node.docker(&["run", "-d", "--name", "racer", "-v", "race:/v", "busybox", "sh", "-c", &script]).ok();
    eventually("the race is on", Duration::from_secs(20), || {
        match node.docker(&["exec", "racer", "ls", "/v/ready"]) {
            ready if ready.code == 0 => Ok(()),
            not_yet => Err(not_yet.stderr),
        }
    });
    let side = &sides(&node)[0];
    let (mut started, mut tried) = (0, 0);
    while tried < 15 || (started == 0 && tried < 100) {
        tried += 1;
        if let Ok(seen) = with_part(side, "race", "good", "ls /m") {
            assert!(!seen.contains("secret"), "the host's file is seen: {seen}");
            started += 1;
        }
        // Copies face the same race.
        let copied = node.docker(&["cp", "racer:/v/good/secret", &node.root().join("got").to_string_lossy()]);
        assert_ne!(copied.code, 0, "{copied:#?}");
    }
    assert!(!node.root().join("got").exists());
    assert!(started > 0, "no container ever started");
    node.docker(&["rm", "-f", "-v", "racer"]).ok();
}

#[test]
fn an_image_with_symlinks_in_the_place_of_system_folders_changes_nothing_on_the_host() {
    let node = Node::start();
    let victim = node.root().join("victim");
    std::fs::create_dir(&victim).expect("a folder");
    let link = victim.to_string_lossy().into_owned();
    for name in ["dev", "proc", "sys"] {
        import(&node, "links", &[(name, EntryType::Symlink, 0o777, &link)]);
        let run = node.docker(&["run", "--rm", "links", "sh", "-c", "echo ran >/dev/null; ls -d /proc/1"]);
        assert_eq!(run.ok(), "/proc/1", "{name}");
        assert_eq!(names(&victim), [""; 0], "{name}");
    }
    import(
        &node,
        "etc-links",
        &[
            ("etc", EntryType::Directory, 0o755, ""),
            ("etc/resolv.conf", EntryType::Symlink, 0o777, "/run/systemd/resolve/stub-resolv.conf"),
            ("etc/hosts", EntryType::Symlink, 0o777, &link),
            ("etc/hostname", EntryType::Symlink, 0o777, "/no/such"),
            ("etc/mtab", EntryType::Symlink, 0o777, "../proc/self/mounts"),
        ],
    );
    let script = "cat /etc/hosts /etc/resolv.conf | grep -c .; hostname | diff - /etc/hostname && echo same";
    let run = node.docker(&["run", "--rm", "etc-links", "sh", "-c", script]).ok();
    assert!(run.ends_with("same"), "{run}");
    assert_eq!(names(&victim), [""; 0]);
}

#[test]
fn a_runtime_of_its_own_refuses_what_runc_refuses() {
    let node = Node::start();
    let victim = node.root().join("victim");
    std::fs::create_dir(&victim).expect("a folder");
    let bind = |destination: &str| format!("{}:{destination}", victim.display());
    for side in sides(&node).into_iter().take(1) {
        for (destination, said) in [
            ("/proc", "not of type proc"),
            ("/proc/sys", "inside /proc"),
            ("/proc/self", "inside /proc"),
            ("/proc/nope", "/proc"),
        ] {
            let error = side.docker(&["run", "--rm", "-v", &bind(destination), "busybox", "true"]);
            assert!(error.code != 0 && error.stderr.contains(said), "{destination}: {error:#?}");
        }
        let script = "ln -s /proc/sys /v/link";
        side.docker(&["run", "--rm", "-v", "links:/v", "busybox", "sh", "-c", script]).ok();
        let through = bind("/v/link");
        let error = side.docker(&["run", "--rm", "-v", "links:/v", "-v", &through, "busybox", "true"]);
        assert!(error.code != 0 && error.stderr.contains("inside /proc"), "{error:#?}");
        let file = node.root().join("cpuinfo");
        std::fs::write(&file, "one").expect("a file");
        let emulated = format!("{}:/proc/cpuinfo", file.display());
        assert_eq!(
            side.docker(&["run", "--rm", "-v", &emulated, "busybox", "cat", "/proc/cpuinfo"]).ok(),
            "one"
        );
        // In an empty /sys, there is no place for the cgroups to be mounted.
        let error = side.docker(&["run", "--rm", "-v", &bind("/sys"), "busybox", "true"]);
        assert!(error.code != 0 && error.stderr.contains("/sys/fs/cgroup"), "{error:#?}");
        side.docker(&["run", "--rm", "-v", "/sys:/sys:ro", "busybox", "ls", "/sys/fs/cgroup"]).ok();
        for destination in ["/sys/kernel", "/dev/shm", "/dev/x"] {
            side.docker(&["run", "--rm", "-v", &bind(destination), "busybox", "ls", destination]).ok();
        }
    }
    assert_eq!(names(&victim), [""; 0]);
}

#[test]
fn the_hosts_hierarchies_are_seen_by_who_binds_them() {
    let node = Node::start();
    let count = |bind: &str, at: &str| {
        node.docker(&["run", "--rm", "-v", bind, "busybox", "sh", "-c", &format!("ls {at} | wc -l")]).ok()
    };
    assert_ne!(count("/sys/fs/cgroup:/sys/fs/cgroup:ro", "/sys/fs/cgroup"), "0");
    assert_ne!(count("/sys:/host/sys:ro", "/host/sys/fs/cgroup"), "0");
    assert_ne!(count("/:/host:ro", "/host/sys/fs/cgroup"), "0");
}

#[test]
fn a_folder_as_dev_is_left_as_it_is() {
    let node = Node::start();
    let folder = node.root().join("dev");
    std::fs::create_dir(&folder).expect("a folder");
    let bind = format!("{}:/dev", folder.display());
    let error = node.docker(&["run", "--rm", "-v", &bind, "busybox", "true"]);
    assert!(error.code != 0 && error.stderr.contains("/dev/null"), "{error:#?}");
    assert_eq!(names(&folder), [""; 0]);
    let made = Command::new("mknod").arg(folder.join("null")).args(["c", "1", "3"]).status();
    assert!(made.expect("mknod runs").success());
    assert_eq!(node.docker(&["run", "--rm", "-v", &bind, "busybox", "ls", "/dev"]).ok(), "null");
    assert_eq!(names(&folder), ["null"]);
    let own = [
        "run",
        "--rm",
        "-v",
        "/dev:/dev",
        "busybox",
        "sh",
        "-c",
        "ls -d /dev/full; echo x >/dev/null && echo ok",
    ];
    let before = names(Path::new("/dev"));
    assert_eq!(node.docker(&own).ok(), "/dev/full\nok");
    assert_eq!(names(Path::new("/dev")), before);
    assert!(std::fs::metadata("/dev/null").expect("there").file_type().is_char_device());
}

#[test]
fn a_working_directory_is_not_made_below_a_read_only_bind() {
    let node = Node::start();
    let folder = node.root().join("folder");
    std::fs::create_dir(&folder).expect("a folder");
    let bind = |mode: &str| format!("{}:/bind:{mode}", folder.display());
    let run = node.docker(&["run", "--rm", "-v", &bind("ro"), "-w", "/bind/new", "busybox", "pwd"]);
    assert_ne!(run.code, 0, "{run:#?}");
    assert_eq!(names(&folder), [""; 0]);
    assert_eq!(
        node.docker(&["run", "--rm", "-v", &bind("rw"), "-w", "/bind/new", "busybox", "pwd"]).ok(),
        "/bind/new"
    );
    assert_eq!(names(&folder), ["new"]);
}

#[test]
fn working_directories_are_made_at_create() {
    let node = Node::start();
    for side in sides(&node) {
        let (name, volume) = (side.name("cwd"), side.name("cwdv"));
        let data = format!("{volume}:/vol/deep");
        side.docker(&["create", "--name", &name, "-w", "/new/dir", "-v", &data, "busybox", "pwd"]).ok();
        for place in ["/new/dir", "/vol/deep", "/.dockerenv", "/etc/hosts", "/dev/console", "/dev/shm"] {
            let mut cp = side.docker_command(&["cp", &format!("{name}:{place}"), "-"]);
            assert!(cp.output().expect("it runs").status.success(), "{} {place}", side.who);
        }
        assert_eq!(side.docker(&["start", "-a", &name]).ok(), "/new/dir");
        side.docker(&["rm", "-v", &name]).ok();
        side.docker(&["volume", "rm", &volume]).ok();
        let error = side.docker(&["create", "-w", "/etc/passwd", "busybox", "pwd"]).fails(1);
        assert!(error.contains("Cannot mkdir: /etc/passwd is not a directory"), "{}: {error}", side.who);
    }
}

#[test]
fn accounts_of_an_image_may_be_anything() {
    let node = Node::start();
    let etc = ("etc", EntryType::Directory, 0o755, "");
    for (kind, link) in [
        (EntryType::Fifo, ""),
        (EntryType::Symlink, "/proc/self/root/etc/passwd"),
        (EntryType::Symlink, "/dev/zero"),
        (EntryType::Directory, ""),
    ] {
        let mode = if kind == EntryType::Directory { 0o755 } else { 0o644 };
        let entries = [etc, ("etc/passwd", kind, mode, link), ("etc/group", kind, mode, link)];
        import(&node, "accounts", &entries);
        // A program that reads the files itself, such as id(1), would wait for a writer.
        let owner = node.docker(&["run", "--rm", "accounts", "stat", "-c", "%u", "/proc/self"]);
        assert_eq!(owner.ok(), "0", "{kind:?} {link}");
        let named = node.docker(&["run", "--rm", "-u", "nobody-here", "accounts", "true"]);
        assert!(named.code != 0 && named.stderr.contains("nobody-here"), "{kind:?} {link}: {named:#?}");
    }
}

#[test]
fn a_root_that_only_its_owner_may_enter_is_everybodys() {
    let node = Node::start();
    import(&node, "closed", &[("./", EntryType::Directory, 0o700, "")]);
    let run = node.docker(&["run", "--rm", "-u", "1000", "closed", "sh", "-c", "stat -c %a /; id -u"]);
    assert_eq!(run.ok(), "755\n1000");
}

#[test]
fn binds_follow_the_host_only_when_asked() {
    let node = Node::start();
    let folder = node.root().join("spread");
    std::fs::create_dir_all(folder.join("sub")).expect("a folder");
    let at = folder.to_string_lossy().into_owned();
    let pid = node.pid("tasks").to_string();
    let mount = |arguments: &[&str]| {
        let mut command = Command::new("nsenter");
        command.args(["-t", &pid, "-m", "--"]).args(arguments);
        assert!(command.status().expect("nsenter runs").success(), "{arguments:?}");
    };
    mount(&["mount", "--bind", &at, &at]);
    mount(&["mount", "--make-private", &at]);
    let slave = format!("{at}:/x:rslave");
    let refused = node.docker(&["run", "--rm", "-v", &slave, "busybox", "true"]).fails(125);
    assert!(refused.contains("not a shared or slave mount"), "{refused}");
    let shared = format!("{at}:/x:rshared");
    let refused = node.docker(&["run", "--rm", "-v", &shared, "busybox", "true"]).fails(125);
    assert!(refused.contains("not a shared mount"), "{refused}");
    mount(&["mount", "--make-shared", &at]);
    for (name, mode) in
        [("private", "rprivate"), ("slave", "rslave"), ("shared", "rshared"), ("ro", "ro,slave")]
    {
        let bind = format!("{at}:/x:{mode}");
        node.docker(&["run", "-d", "--name", name, "-v", &bind, "busybox", "sleep", "1000"]).ok();
    }
    mount(&["mount", "-t", "tmpfs", "none", &folder.join("sub").to_string_lossy()]);
    for (name, seen) in [("private", "0"), ("slave", "1"), ("shared", "1"), ("ro", "1")] {
        let counted = node.docker(&["exec", name, "sh", "-c", "grep -c ' /x/sub ' /proc/mounts"]);
        assert_eq!(counted.stdout.trim(), seen, "{name}");
    }
    node.docker(&["rm", "-f", "private", "slave", "shared", "ro"]).ok();
    mount(&["umount", "-R", &at]);
    assert_eq!(std::fs::metadata(&folder).expect("there").nlink(), 3);
}
