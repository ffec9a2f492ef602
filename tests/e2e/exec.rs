//! Every option of `docker exec`, as with the reference: the output of each stream, and the status.

use std::process::Stdio;
use std::time::Duration;

use gantry_tests::{Node, Side, eventually, sides};
use serde_json::json;

/// The expected output of a client.
#[derive(Debug, Clone, Copy)]
enum Says {
    Is(&'static str),
    Has(&'static str),
}

use Says::{Has, Is};

const NOTHING: Says = Is("");
const FAILED: &str = "OCI runtime exec failed: exec failed: unable to start container process: exec: ";

impl Says {
    fn fits(self, text: &str) -> bool {
        match self {
            Is(all) => text == all,
            Has(part) => text.contains(part),
        }
    }
}

/// Options; container; command and arguments; input; status, output and errors.
type Row = (&'static [&'static str], &'static str, &'static [&'static str], &'static str, i32, Says, Says);

/// The container `run` runs in /tmp, with the variable A and the group 77; `low` runs as alice, with a read-only root
/// and few files.
const ROWS: &[Row] = &[
    (&[], "run", &["echo", "hi"], "", 0, Is("hi\n"), NOTHING),
    (&[], "run", &["sh", "-c", "echo o; echo e >&2; exit 42"], "", 42, Is("o\n"), Is("e\n")),
    (&[], "run", &["sh", "-c", "kill -9 $$"], "", 137, NOTHING, NOTHING),
    (&[], "none", &["true"], "", 1, NOTHING, Has("No such container: ")),
    // Programs that cannot run.
    (&[], "run", &["nosuch"], "", 127, Is("\"nosuch\": executable file not found in $PATH\r\n"), NOTHING),
    (&[], "run", &[""], "", 127, Is("\"\": executable file not found in $PATH\r\n"), NOTHING),
    (&[], "run", &["./no"], "", 127, Is("\"./no\": stat ./no: no such file or directory\r\n"), NOTHING),
    (&[], "run", &["/etc"], "", 126, Is("\"/etc\": is a directory: permission denied\r\n"), NOTHING),
    (&[], "run", &["/etc/passwd"], "", 126, Is("\"/etc/passwd\": permission denied\r\n"), NOTHING),
    (&["-t"], "run", &["nosuch"], "", 127, Is("\"nosuch\": executable file not found in $PATH\r\n"), NOTHING),
    (
        &["-e", "PATH=/x"],
        "run",
        &["env"],
        "",
        127,
        Is("\"env\": executable file not found in $PATH\r\n"),
        NOTHING,
    ),
    (&["-d"], "run", &["nosuch"], "", 1, NOTHING, Has("\"nosuch\": executable file not found in $PATH\n")),
    (
        &["-d", "-t"],
        "run",
        &["nosuch"],
        "",
        1,
        NOTHING,
        Has("\"nosuch\": executable file not found in $PATH\n"),
    ),
    // Detached.
    (&["-d"], "run", &["true"], "", 0, NOTHING, NOTHING),
    (&["-d", "-i"], "run", &["cat"], "x", 0, NOTHING, NOTHING),
    // The environment.
    (
        &[],
        "run",
        &["env"],
        "",
        0,
        Is(
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nHOSTNAME=hh\nA=1\nHOME=/root\n",
        ),
        NOTHING,
    ),
    (&["-t"], "run", &["env"], "", 0, Has("HOSTNAME=hh\r\nTERM=xterm\r\nA=1\r\nHOME=/root\r\n"), NOTHING),
    (
        &["-e", "A=9", "-e", "B=2"],
        "run",
        &["env"],
        "",
        0,
        Has("HOSTNAME=hh\nA=9\nB=2\nHOME=/root\n"),
        NOTHING,
    ),
    (&["-e", "NOTSET", "-e", "A"], "run", &["env"], "", 0, Has("HOSTNAME=hh\nHOME=/root\n"), NOTHING),
    (&["-e", "HOME=/x"], "run", &["env"], "", 0, Has("A=1\nHOME=/x\n"), NOTHING),
    (&["-e", "=x"], "run", &["true"], "", 125, NOTHING, Has("invalid environment variable: =x")),
    (
        &["--env-file", "FILE"],
        "run",
        &["env"],
        "",
        0,
        Has("A=1\nB=from-file\nQ=\"q\"\nHOME=/root\n"),
        NOTHING,
    ),
    (&["--env-file", "FILE", "-e", "B=over"], "run", &["env"], "", 0, Has("B=over\n"), NOTHING),
    (
        &["--env-file", "/no/such"],
        "run",
        &["env"],
        "",
        1,
        NOTHING,
        Is("open /no/such: no such file or directory\n"),
    ),
    // Input and terminals.
    (&["-i"], "run", &["cat"], "through", 0, Is("through"), NOTHING),
    (&[], "run", &["cat"], "not through", 0, NOTHING, NOTHING),
    (&["-t"], "run", &["tty"], "", 0, Has("/dev/pts/"), NOTHING),
    (&["-i", "-t"], "run", &["tty"], "", 1, NOTHING, Is("the input device is not a TTY\n")),
    (&["--user", "root", "--workdir", "/", "--tty"], "run", &["pwd"], "", 0, Is("/\r\n"), NOTHING),
    // Users.
    (&[], "run", &["id"], "", 0, Is("uid=0(root) gid=0(root) groups=0(root),77\n"), NOTHING),
    (&["-u", ""], "run", &["id"], "", 0, Is("uid=0(root) gid=0(root) groups=0(root),77\n"), NOTHING),
    (
        &["-u", "alice"],
        "run",
        &["sh", "-c", "id; echo $HOME"],
        "",
        0,
        Is("uid=1000(alice) gid=1000(alice) groups=50(staff),77,1000(alice)\n/home/alice\n"),
        NOTHING,
    ),
    (
        &["-u", "1000"],
        "run",
        &["id"],
        "",
        0,
        Is("uid=1000(alice) gid=1000(alice) groups=50(staff),77,1000(alice)\n"),
        NOTHING,
    ),
    (&["-u", "1000:44"], "run", &["id"], "", 0, Is("uid=1000(alice) gid=44 groups=44,77\n"), NOTHING),
    (
        &["-u", "alice:root"],
        "run",
        &["id"],
        "",
        0,
        Is("uid=1000(alice) gid=0(root) groups=0(root),77\n"),
        NOTHING,
    ),
    (&["-u", ":50"], "run", &["id"], "", 0, Has("uid=0(root) gid=50(staff) "), NOTHING),
    (
        &["-u", "99999"],
        "run",
        &["sh", "-c", "id; echo $HOME"],
        "",
        0,
        Is("uid=99999 gid=0(root) groups=0(root),77\n/\n"),
        NOTHING,
    ),
    (
        &["-u", "nosuch"],
        "run",
        &["id"],
        "",
        1,
        NOTHING,
        Is("Error response from daemon: unable to find user nosuch: no matching entries in passwd file\n"),
    ),
    (
        &["-d", "-u", "nosuch"],
        "run",
        &["id"],
        "",
        1,
        NOTHING,
        Is("Error response from daemon: unable to find user nosuch: no matching entries in passwd file\n"),
    ),
    (
        &["-u", "alice:nosuch"],
        "run",
        &["id"],
        "",
        1,
        NOTHING,
        Is("Error response from daemon: unable to find group nosuch: no matching entries in group file\n"),
    ),
    (
        &["-u", "4294967296"],
        "run",
        &["id"],
        "",
        1,
        NOTHING,
        Is("Error response from daemon: uids and gids must be in range 0-2147483647\n"),
    ),
    (
        &["-u", "-1"],
        "run",
        &["id"],
        "",
        1,
        NOTHING,
        Is("Error response from daemon: uids and gids must be in range 0-2147483647\n"),
    ),
    (
        &[],
        "low",
        &["id"],
        "",
        0,
        Is("uid=1000(alice) gid=1000(alice) groups=50(staff),1000(alice)\n"),
        NOTHING,
    ),
    (&["-u", "root"], "low", &["id"], "", 0, Is("uid=0(root) gid=0(root) groups=0(root)\n"), NOTHING),
    // The working directory.
    (&[], "run", &["pwd"], "", 0, Is("/tmp\n"), NOTHING),
    (&["-w", "/etc"], "run", &["pwd"], "", 0, Is("/etc\n"), NOTHING),
    (&["-w", "/root", "-u", "alice"], "run", &["pwd"], "", 0, Is("/root\n"), NOTHING),
    (
        &["-w", "/no/such"],
        "run",
        &["pwd"],
        "",
        127,
        Has("chdir to cwd (\"/no/such\") set in config.json failed: no such file or directory"),
        NOTHING,
    ),
    (
        &["-w", "/etc/passwd"],
        "run",
        &["pwd"],
        "",
        127,
        Has("chdir to cwd (\"/etc/passwd\") set in config.json failed: not a directory"),
        NOTHING,
    ),
    (
        &["-w", "rel"],
        "run",
        &["pwd"],
        "",
        128,
        Is("OCI runtime exec failed: exec failed: Cwd must be an absolute path\r\n"),
        NOTHING,
    ),
    // Privileges.
    (&[], "run", &["grep", "CapEff", "/proc/self/status"], "", 0, Is("CapEff:\t00000000a80425fb\n"), NOTHING),
    (
        &["--privileged"],
        "run",
        &["sh", "-c", "grep CapEff /proc/self/status | grep -v a80425fb | wc -l"],
        "",
        0,
        Is("1\n"),
        NOTHING,
    ),
    (
        &["-u", "alice"],
        "run",
        &["grep", "CapEff", "/proc/self/status"],
        "",
        0,
        Is("CapEff:\t0000000000000000\n"),
        NOTHING,
    ),
    (
        &[],
        "run",
        &["grep", "-E", "Sig(Blk|Ign)|Seccomp:|NoNewPrivs", "/proc/self/status"],
        "",
        0,
        Is("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nNoNewPrivs:\t0\nSeccomp:\t2\n"),
        NOTHING,
    ),
    (
        &[],
        "low",
        &["sh", "-c", "ulimit -n; pwd; touch /x"],
        "",
        1,
        Is("20\n/\n"),
        Is("touch: /x: Read-only file system\n"),
    ),
    // Detach keys.
    (&["--detach-keys", "ctrl-x,q"], "run", &["echo", "k"], "", 0, Is("k\n"), NOTHING),
    (
        &["--detach-keys", "bad-keys"],
        "run",
        &["echo", "k"],
        "",
        1,
        NOTHING,
        Has("Invalid escape keys (bad-keys) provided\n"),
    ),
    // Containers that do not run.
    (&[], "paused", &["true"], "", 1, NOTHING, Has(" is paused, unpause the container before exec\n")),
    (&[], "made", &["true"], "", 1, NOTHING, Has(" is not running\n")),
    (&[], "ended", &["true"], "", 1, NOTHING, Has(" is not running\n")),
];

#[test]
fn options_do_what_the_reference_s_do() {
    let node = Node::start();
    let file = node.root().join("variables");
    std::fs::write(&file, "B=from-file\n# a comment\nA\nQ=\"q\"\n").expect("a file");
    for side in sides(&node) {
        let name = |name: &str| side.name(name);
        let make = |verb: &[&str], of: &str, options: &[&str], command: &[&str]| {
            let name = name(of);
            side.docker(&[verb, &["--name", &name], options, &["busybox"], command].concat()).ok();
        };
        let options = ["-e", "A=1", "-w", "/tmp", "--hostname", "hh", "--group-add", "77"];
        make(&["run", "-d"], "run", &options, &["sleep", "1000"]);
        let options = ["--read-only", "-u", "alice", "--ulimit", "nofile=20"];
        make(&["run", "-d"], "low", &options, &["sleep", "1000"]);
        make(&["run", "-d"], "paused", &[], &["sleep", "1000"]);
        side.docker(&["pause", &name("paused")]).ok();
        make(&["create"], "made", &[], &["true"]);
        make(&["run"], "ended", &[], &["true"]);
        for (options, of, command, input, code, output, errors) in ROWS {
            let path = file.to_string_lossy();
            let options: Vec<_> =
                options.iter().map(|option| if *option == "FILE" { &*path } else { *option }).collect();
            let name = name(of);
            let done =
                side.docker_with(&[&["exec"], &options[..], &[&name], command].concat(), input.as_bytes());
            let printed = done.stdout.strip_prefix(FAILED).unwrap_or(&done.stdout);
            let fits = done.code == *code && output.fits(printed) && errors.fits(&done.stderr);
            assert!(
                fits,
                "{}: {options:?} {of} {command:?}: {code} {output:?} {errors:?}: {done:#?}",
                side.who
            );
        }
        for of in ["run", "low", "paused", "made", "ended"] {
            side.docker(&["rm", "-f", &name(of)]).ok();
        }
    }
}

/// Creates an exec by the API. Returns its id.
fn made(side: &Side, container: &str, exec: &serde_json::Value) -> String {
    let path = format!("/containers/{container}/exec");
    let (status, answer) = side.api("POST", &path, &exec.to_string());
    assert_eq!(status, 201, "{}: {answer}", side.who);
    answer["Id"].as_str().expect("an id").to_owned()
}

/// The output and the errors in frames.
fn streams(mut frames: &[u8]) -> [Vec<u8>; 2] {
    let mut streams = [Vec::new(), Vec::new()];
    while let Some((head, rest)) = frames.split_at_checked(8) {
        let length = u32::from_be_bytes(head[4..].try_into().expect("four bytes")) as usize;
        streams[usize::from(head[0]) - 1].extend_from_slice(&rest[..length]);
        frames = &rest[length..];
    }
    streams
}

#[test]
fn the_start_says_in_which_shape_output_comes() {
    let node = Node::start();
    for side in sides(&node) {
        let name = side.name("box");
        side.docker(&["run", "-d", "--name", &name, "busybox", "sleep", "1000"]).ok();
        let script = "echo out; echo err >&2";
        for (at_create, at_start, output, errors) in [
            (true, true, "out\r\nerr\r\n", ""),
            (true, false, "out\r\nerr\r\n", ""),
            (false, true, "out\n", ""),
            (false, false, "out\n", "err\n"),
        ] {
            let exec = json!({"Cmd": ["sh", "-c", script], "AttachStdout": true, "AttachStderr": true, "Tty": at_create});
            let id = made(&side, &name, &exec);
            let answer = side.hijacked(&format!("/exec/{id}/start"), &json!({"Tty": at_start}).to_string());
            let kind = if at_start { "raw" } else { "multiplexed" };
            let head = format!("Content-Type: application/vnd.docker.{kind}-stream\r\n");
            assert!(answer.head.contains(&head), "{}: {}", side.who, answer.head);
            let streams = if at_start { [answer.body, Vec::new()] } else { streams(&answer.body) };
            let said = streams.map(|stream| String::from_utf8_lossy(&stream).into_owned());
            assert_eq!(
                said,
                [output, errors],
                "{}: made with {at_create}, started with {at_start}",
                side.who
            );
            let again = side.hijacked(&format!("/exec/{id}/start"), &json!({"Tty": true}).to_string());
            let said = format!("exec command {id} has already run\r\n");
            assert_eq!(String::from_utf8_lossy(&again.body), said, "{}", side.who);
        }
        side.docker(&["rm", "-f", &name]).ok();
    }
}

#[test]
fn a_terminal_has_its_size_from_the_first_byte() {
    let node = Node::start();
    for side in sides(&node) {
        let name = side.name("box");
        side.docker(&["run", "-d", "--name", &name, "busybox", "sleep", "1000"]).ok();
        for (made_with, started_with, size) in [
            (json!([33, 99]), json!(null), "33 99\r\n"),
            (json!(null), json!([34, 98]), "34 98\r\n"),
            (json!([33, 99]), json!([34, 98]), "34 98\r\n"),
        ] {
            let exec =
                json!({"Cmd": ["stty", "size"], "AttachStdout": true, "Tty": true, "ConsoleSize": made_with});
            let id = made(&side, &name, &exec);
            let start = json!({"Tty": true, "ConsoleSize": started_with});
            let answer = side.hijacked(&format!("/exec/{id}/start"), &start.to_string());
            assert_eq!(String::from_utf8_lossy(&answer.body), size, "{}", side.who);
            let resize = format!("/exec/{id}/resize?h=10&w=20");
            let said = format!("NotFound: process does not exist {id}: not found");
            assert_eq!(side.api("POST", &resize, ""), (404, json!({"message": said})), "{}", side.who);
        }
        // With the client's own terminal. (Older clients send its size a moment after the start.)
        let script = "until stty size 2>/dev/null | grep 77; do sleep 0.1; done";
        let line = format!("stty rows 31 cols 77; {} exec -it {name} sh -c '{script}'", side.client());
        let mut command = side.docker_command(&[]);
        let environment: Vec<_> =
            command.get_envs().filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned()))).collect();
        command = std::process::Command::new("script");
        command.args(["-qec", &line, "/dev/null"]).envs(environment).stdin(Stdio::null());
        let printed = gantry_tests::Outcome::of(command, b"").ok();
        assert!(printed.contains("31 77"), "{}: {printed}", side.who);
        side.docker(&["rm", "-f", &name]).ok();
    }
}

#[test]
fn a_killed_container_has_ended_when_the_kill_answers() {
    let node = Node::start();
    for side in sides(&node) {
        for _ in 0..5 {
            let name = side.name("box");
            side.docker(&["run", "-d", "--name", &name, "busybox", "sleep", "1000"]).ok();
            assert_eq!(side.api("POST", &format!("/containers/{name}/kill?signal=9"), "").0, 204);
            let (_, answer) = side.api("GET", &format!("/containers/{name}/json"), "");
            let state = (&answer["State"]["Status"], &answer["State"]["ExitCode"]);
            assert_eq!(state, (&json!("exited"), &json!(137)), "{}", side.who);
            assert_eq!(side.api("DELETE", &format!("/containers/{name}"), "").0, 204, "{}", side.who);
        }
    }
}

#[test]
fn an_init_hands_signals_on_to_a_program_that_gets_them() {
    let node = Node::start();
    for side in sides(&node) {
        let name = side.name("box");
        let script = "grep SigBlk /proc/self/status; exec sleep 1000";
        side.docker(&["run", "-d", "--init", "--name", &name, "busybox", "sh", "-c", script]).ok();
        eventually("it is up", Duration::from_secs(20), || {
            match side.docker(&["logs", &name]).stdout.as_str() {
                "SigBlk:\t0000000000000000\n" => Ok(()),
                other => Err(other.to_owned()),
            }
        });
        side.docker(&["stop", "-t", "60", &name]).ok();
        assert_eq!(side.docker(&["inspect", "-f", "{{.State.ExitCode}}", &name]).ok(), "143", "{}", side.who);
        side.docker(&["rm", &name]).ok();
    }
}

#[test]
fn want_of_memory_is_known_while_the_container_runs_on() {
    let node = Node::start();
    for side in sides(&node) {
        let name = side.name("box");
        let script = "tail /dev/zero; echo $?; read line";
        side.docker(&["run", "-d", "-i", "--name", &name, "-m", "20m", "busybox", "sh", "-c", script]).ok();
        let state = || side.docker(&["inspect", "-f", "{{.State.OOMKilled}} {{.State.Status}}", &name]).ok();
        eventually("it is known", Duration::from_secs(30), || match state().as_str() {
            "true running" => Ok(()),
            other => Err(other.to_owned()),
        });
        side.docker_with(&["attach", &name], b"\n").ok();
        assert_eq!(side.docker(&["wait", &name]).ok(), "0", "{}", side.who);
        assert_eq!(state(), "true exited", "{}", side.who);
        let filter = format!("container={name}");
        let events =
            ["events", "--since", "100s", "--until", "0s", "--filter", &filter, "--format", "{{.Action}}"];
        eventually("both are told, once, in their order", Duration::from_secs(10), || {
            let events = side.docker(&events).ok();
            let order: Vec<_> = events.lines().filter(|event| ["oom", "die"].contains(event)).collect();
            if order == ["oom", "die"] { Ok(()) } else { Err(format!("{}: {events}", side.who)) }
        });
        side.docker(&["rm", &name]).ok();
    }
}
