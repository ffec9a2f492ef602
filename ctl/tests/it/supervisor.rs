//! `gantry up`, with services that are shell scripts.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::{Root, Running, errors, eventually};

/// Starts a supervisor of services that run this script, and returns when the first one does.
fn up(root: &Root, script: &str) -> Running {
    let tool = root.0.join("gantry");
    fs::hard_link(env!("CARGO_BIN_EXE_gantry"), &tool).expect("on the same disk");
    // It is found beside the tool.
    let services = root.0.join("gantryd");
    fs::write(&services, format!("#!/bin/sh\n{script}\n")).expect("a script");
    fs::set_permissions(&services, PermissionsExt::from_mode(0o755)).expect("a program");
    let mut command = Command::new(tool);
    command.arg("--root").arg(&root.0).arg("up").stdin(Stdio::null()).stderr(Stdio::piped());
    let supervisor = Running(command.spawn().expect("it starts"));
    eventually("a first line", || log(root, "content.log").is_some_and(|text| !text.is_empty()));
    supervisor
}

fn log(root: &Root, name: &str) -> Option<String> {
    fs::read_to_string(root.0.join("state/log").join(name)).ok()
}

#[test]
fn root_whoever_supervises_is_known_before_its_pid_is_written() {
    let root = Root::new("instant");
    let mut supervisor = up(&root, "echo $1; exec sleep 1000");
    let lock = root.0.join("run/supervisor.lock");
    assert_eq!(fs::read_to_string(&lock).expect("its pid"), supervisor.0.id().to_string());
    File::create(&lock).expect("emptied");
    let second = root.run(&["up"]);
    assert_eq!(second.status.code(), Some(125), "{second:?}");
    assert!(errors(&second).contains(&format!(
        "already up on {}/run (pid {})",
        root.0.display(),
        supervisor.0.id()
    )));
    let down = root.run(&["down"]);
    assert_eq!(down.status.code(), Some(0), "{down:?}");
    assert_eq!(errors(&down), "");
    assert!(supervisor.0.wait().expect("it has ended").success());
}

#[test]
fn root_whoever_asks_for_the_supervisor_does_not_keep_one_from_starting() {
    let root = Root::new("asking");
    let lock = File::create(root.0.join("run/supervisor.lock")).expect("a file");
    lock.lock_shared().expect("a lock of another kind");
    let mut supervisor = up(&root, "echo $1; exec sleep 1000");
    assert_eq!(root.run(&["down"]).status.code(), Some(0));
    assert!(supervisor.0.wait().expect("it has ended").success());
}

#[test]
fn root_the_log_of_a_service_stays_small_and_loses_no_line() {
    let root = Root::new("rotation");
    // 20000 lines at a time, and 10 MiB within seconds.
    let chatty = r#"[ "$1" = content ] || { echo "$1"; exec sleep 1000; }
exec awk 'BEGIN { for (i = 1000000;; i++) { print i; if (i % 20000 == 0) { fflush(); system("sleep 0.03") } } }'"#;
    let mut supervisor = up(&root, chatty);
    eventually("an old log", || root.0.join("state/log/content.log.1").exists());
    let lines_later = || log(&root, "content.log").is_some_and(|text| !text.is_empty());
    eventually("lines in the new log", lines_later);
    assert_eq!(root.run(&["down"]).status.code(), Some(0));
    assert!(supervisor.0.wait().expect("it has ended").success());

    let (old, new) = (log(&root, "content.log.1").expect("old"), log(&root, "content.log").expect("new"));
    assert!(old.len() >= 10 << 20, "{}", old.len());
    let text = old + &new;
    // Its last line it may have been ended in.
    let (whole, _) = text.rsplit_once('\n').expect("lines");
    let mut lines = whole.lines().map(|line| line.parse::<u64>().expect("a number"));
    let first = lines.next().expect("a line");
    for (expected, line) in (first + 1..).zip(lines) {
        assert_eq!(line, expected);
    }
}

#[test]
fn root_programs_that_only_its_own_mount_namespace_has_are_found() {
    let root = Root::new("namespace");
    let folder = root.0.join("bin");
    fs::create_dir(&folder).expect("a folder");
    // Without cgroups, as where ip-netns(8) has mounted another /sys.
    let script = r#"umount --lazy --recursive /sys && mount -t tmpfs none "$1" && cp "$2" "$1/gantry" &&
printf '#!/bin/sh\necho started\nexec sleep 1000\n' >"$1/gantryd" && chmod 755 "$1/gantryd" && exec "$1/gantry" --root "$0" up"#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).args([&root.0, &folder]).arg(env!("CARGO_BIN_EXE_gantry"));
    let mut supervisor = Running(command.stdin(Stdio::null()).spawn().expect("unshare(1)"));
    eventually("a first line", || log(&root, "content.log").is_some_and(|text| text == "started\n"));
    assert_eq!(root.run(&["down"]).status.code(), Some(0));
    assert!(supervisor.0.wait().expect("it has ended").success());
}
