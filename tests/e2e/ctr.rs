//! containerd's client, command by command: its output is the same as with containerd.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use gantry_tests::{Client, Node, Outcome, eventually, image};

/// The chain id of the single layer of busybox.
fn chain(node: &Node) -> String {
    let listed = node.ctr(NAMESPACE, &["snapshots", "ls"]).ok();
    let mut words = listed.split_whitespace().filter(|word| word.starts_with("sha256:"));
    words.next().expect("a layer").to_owned()
}

const NAMESPACE: &str = "moby";
const IMAGE: &str = "docker.io/library/busybox:latest";
const LONG_ID: &str = "0123456789012345678901234567890123456789012345678901234567890123";

/// The client for the node.
fn ctr_command(node: &Node) -> Command {
    let mut command = node.inside(&gantry_tests::target().join("clients/ctr"));
    command.arg("--address").arg(node.socket("containerd.sock")).args(["-n", NAMESPACE]);
    command
}

/// Runs ctr with a terminal.
fn with_terminal(node: &Node, arguments: &[&str]) -> String {
    let client = gantry_tests::target().join("clients/ctr");
    let socket = node.socket("containerd.sock");
    let line = format!("{} -a {} -n {NAMESPACE} {}", client.display(), socket.display(), arguments.join(" "));
    let mut command: Command = node.inside("script".as_ref());
    command.args(["-qec", &line, "/dev/null"]);
    Outcome::of(command, b"").ok().replace('\r', "").replace("^@", "").trim().to_owned()
}

#[test]
fn images_and_content_are_named_labelled_and_carried() {
    let node = Node::start();
    let ctr = |arguments: &[&str]| node.ctr(NAMESPACE, arguments);
    ctr(&["images", "tag", IMAGE, "docker.io/library/two:1"]).ok();
    let label = |labels: &[&str]| {
        let said = ctr(&[&["images", "label", "docker.io/library/two:1"], labels].concat()).ok();
        let mut labels: Vec<String> = said.split(',').map(str::to_owned).collect();
        labels.sort();
        labels.join(",")
    };
    assert_eq!(label(&["a=b", "c=d"]), "a=b,c=d");
    assert_eq!(label(&["a="]), "c=d");
    assert_eq!(ctr(&["images", "label", "--replace-all", "docker.io/library/two:1", "z=y"]).ok(), "z=y");
    assert!(ctr(&["images", "label", "nothere", "a=b"]).fails(1).contains("image \"nothere\": not found"));
    let check = ctr(&["images", "check", "name==docker.io/library/two:1"]).ok();
    assert!(check.contains("complete (2/2)") && check.contains("true"), "{check}");

    let archive = node.root().join("out.tar");
    let archive = archive.to_str().expect("text");
    ctr(&["images", "export", archive, "docker.io/library/two:1"]).ok();
    ctr(&["images", "rm", "--sync", "docker.io/library/two:1"]).ok();
    assert!(ctr(&["images", "import", archive]).ok().contains("docker.io/library/two:1"));
    let place = node.root().join("mnt");
    std::fs::create_dir(&place).expect("made");
    let place = place.to_str().expect("text");
    ctr(&["images", "mount", "docker.io/library/two:1", place]).ok();
    assert!(std::path::Path::new(place).join("bin").exists());
    ctr(&["images", "unmount", "--rm", place]).ok();

    let digest = image::digest(b"hello\n");
    let ingest = |arguments: &[&str]| {
        let mut command = ctr_command(&node);
        command.args(["content", "ingest"]).args(arguments);
        Outcome::of(command, b"hello\n")
    };
    assert!(ingest(&["--expected-size", "3", "odd"]).fails(1).contains("odd"));
    assert!(ctr(&["content", "active"]).ok().contains("odd"), "what was refused can be gone on with");
    ingest(&["--expected-digest", &digest, "even"]).ok();
    assert_eq!(ctr(&["content", "get", &digest]).ok(), "hello");
    assert!(ctr(&["content", "label", &digest, "a=b"]).ok().contains("a=b"));
    ctr(&["content", "rm", &digest]).ok();
    assert!(ctr(&["content", "get", &digest]).fails(1).contains("not found"));
}

#[test]
fn snapshots_go_from_prepare_to_commit_and_tell_what_changed() {
    let node = Node::start();
    let ctr = |arguments: &[&str]| node.ctr(NAMESPACE, &[&["snapshots"], arguments].concat());
    let chain = chain(&node);
    ctr(&["prepare", "p", &chain]).ok();
    assert!(ctr(&["prepare", "p", &chain]).fails(1).contains("already exists"));
    assert!(ctr(&["prepare", "q", "nothere"]).fails(1).contains("parent snapshot nothere does not exist"));
    ctr(&["view", "v", &chain]).ok();
    let place = node.root().join("mnt");
    std::fs::create_dir(&place).expect("made");
    let mount = ctr(&["mounts", place.to_str().expect("text"), "p"]).ok();
    let script = format!("{mount} && echo hi >{0}/new && rm {0}/etc/group; umount {0}", place.display());
    let mut command = Command::new("sh");
    command.args(["-c", &script]);
    Outcome::of(command, b"").ok();
    assert!(ctr(&["usage", "p"]).ok().contains('p'));
    ctr(&["commit", "c", "p"]).ok();
    assert!(ctr(&["info", "c"]).ok().contains("\"Kind\": \"Committed\""));
    assert!(ctr(&["rm", &chain]).fails(1).contains("cannot be removed"));
    ctr(&["label", "c", "a=b"]).ok();
    ctr(&["rm", "c"]).ok();
    ctr(&["rm", "v"]).ok();
    assert!(ctr(&["rm", "c"]).fails(1).contains("does not exist"));
}

#[test]
fn tasks_run_without_output_and_with_terminals_also_by_other_runtimes() {
    let node = Node::start();
    let ctr = |arguments: &[&str]| node.ctr(NAMESPACE, arguments);
    let run = |options: &[&str], id: &str, command: &[&str]| {
        ctr(&[&["run"], options, &[IMAGE, id], command].concat())
    };
    let silent = run(&["--rm", "--null-io"], "silent", &["sh", "-c", "echo lost; exit 3"]);
    assert_eq!((silent.code, silent.stdout.as_str()), (3, ""));
    run(&["-d", "--null-io"], "one", &["sleep", "1000"]).ok();
    assert_eq!(ctr(&["tasks", "exec", "--exec-id", "e1", "one", "echo", "hello"]).ok(), "hello");
    assert_eq!(ctr(&["tasks", "exec", "--exec-id", "e2", "one", "sh", "-c", "exit 4"]).code, 4);
    assert_eq!(with_terminal(&node, &["tasks", "exec", "-t", "--exec-id", "e3", "one", "tty"]), "/dev/pts/0");
    ctr(&["tasks", "exec", "-d", "--exec-id", "e4", "one", "sleep", "1000"]).ok();
    assert_eq!(ctr(&["tasks", "ps", "one"]).ok().lines().count(), 3);
    ctr(&["tasks", "pause", "one"]).ok();
    assert!(ctr(&["tasks", "ls"]).ok().contains("PAUSED"));
    ctr(&["tasks", "resume", "one"]).ok();
    assert!(ctr(&["tasks", "metrics", "one"]).ok().contains("one"));
    assert!(ctr(&["tasks", "rm", "one"]).fails(1).contains("task must be stopped before deletion"));
    ctr(&["tasks", "kill", "-s", "KILL", "-a", "one"]).ok();
    ctr(&["tasks", "rm", "-f", "one"]);
    ctr(&["containers", "rm", "one"]).ok();

    let tty = with_terminal(&node, &["run", "--rm", "-t", IMAGE, LONG_ID, "tty"]);
    assert_eq!(tty, "/dev/pts/0", "the path of its socket is not too long");
    let runc = ["run", "--rm", "-t", "--runc-binary", "/usr/sbin/runc", IMAGE, LONG_ID, "tty"];
    assert_eq!(with_terminal(&node, &runc), "/dev/pts/0");
    let root = node.root().join("runc-root");
    let root = root.to_str().expect("text");
    let by_runc = ["--rm", "--runc-binary", "/usr/sbin/runc", "--runc-root", root];
    assert_eq!(run(&by_runc, "rooted", &["echo", "there"]).ok(), "there");
    assert!(std::path::Path::new(root).exists());
}

#[test]
fn leases_and_namespaces_are_made_once_and_go() {
    let node = Node::start();
    let ctr = |arguments: &[&str]| node.ctr(NAMESPACE, arguments);
    ctr(&["leases", "create", "--id", "l", "a=b"]).ok();
    assert!(ctr(&["leases", "create", "--id", "l"]).fails(1).contains("already exists"));
    assert!(ctr(&["leases", "ls"]).ok().contains("a=b"));
    ctr(&["leases", "delete", "--sync", "l"]).ok();
    ctr(&["namespaces", "create", "n", "a=b"]).ok();
    assert!(ctr(&["namespaces", "create", "n"]).fails(1).contains("already exists"));
    ctr(&["namespaces", "label", "n", "c=d"]).ok();
    assert!(ctr(&["namespaces", "ls"]).ok().contains("a=b,c=d"));
    ctr(&["namespaces", "rm", "n"]).ok();
    assert!(ctr(&["namespaces", "rm", NAMESPACE]).fails(1).contains("must be empty"));
}

#[test]
fn events_tell_of_what_is_prepared_and_not_of_views() {
    let node = Node::start();
    let chain = chain(&node);
    let mut command = ctr_command(&node);
    command.arg("events").stdout(Stdio::piped());
    let mut client = Client::start(command);
    let lines = BufReader::new(client.stdout()).lines();
    let (told, telling) = mpsc::channel();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| told.send(line)));
    // It listens from an unknown moment on.
    eventually("it is told of a change", Duration::from_secs(20), || {
        node.ctr(NAMESPACE, &["images", "label", IMAGE, "a=b"]).ok();
        telling.recv_timeout(Duration::from_millis(200)).map(drop).map_err(|error| error.to_string())
    });
    node.ctr(NAMESPACE, &["snapshots", "view", "seen", &chain]).ok();
    node.ctr(NAMESPACE, &["snapshots", "prepare", "made", &chain]).ok();
    loop {
        let line = telling.recv_timeout(Duration::from_secs(20)).expect("it is told");
        assert!(!line.contains("seen"), "{line}");
        if line.contains("/snapshot/prepare") {
            assert!(line.contains("\"key\":\"made\""), "{line}");
            break;
        }
    }
    client.interrupt();
    client.wait();
}
