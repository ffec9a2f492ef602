//! Damaged and missing databases: no data is lost, no running container is ended, and the error says what to do.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gantry_tests::{Node, eventually};

#[derive(Debug, Clone, Copy)]
enum Damage {
    /// The database is removed.
    Gone,
    /// The log is cut at this part of its length.
    Cut(u64),
    /// A byte at this part of the log's length is changed.
    Flipped(u64),
}

/// The number of parts of a log's length.
const PARTS: u64 = 7;

impl Damage {
    fn inflict(self, database: &Path) {
        let log = log(database).filter(|_| !matches!(self, Damage::Gone));
        let Some(log) = log else { return std::fs::remove_dir_all(database).expect("there") };
        let mut bytes = std::fs::read(&log).expect("readable");
        let at = |part: u64| usize::try_from(bytes.len() as u64 * part / PARTS).expect("small");
        match self {
            Damage::Cut(part) => bytes.truncate(at(part)),
            Damage::Flipped(part) => {
                let at = at(part);
                bytes[at] ^= 0x55;
            }
            Damage::Gone => {}
        }
        std::fs::write(log, bytes).expect("writable");
    }
}

/// The log of a database with content.
fn log(database: &Path) -> Option<PathBuf> {
    let logs = std::fs::read_dir(database).expect("there").flatten().map(|entry| entry.path());
    let logs = logs.filter(|path| path.extension().is_some_and(|end| end == "log"));
    logs.filter(|path| path.metadata().is_ok_and(|found| found.len() > 0)).max()
}

/// A container that counts into a volume.
fn populate(node: &Node) {
    let script = "i=0; while :; do echo $i >> /data/count; i=$((i+1)); sleep 0.05; done";
    node.docker(&["volume", "create", "--label", "kind=precious", "data"]).ok();
    let run =
        ["run", "-d", "--name", "box", "-v", "data:/data", "-p", "8080:80", "busybox", "sh", "-c", script];
    node.docker(&run).ok();
    node.docker(&["exec", "box", "sh", "-c", "echo precious > /data/x; echo precious > /root-x"]).ok();
}

fn data(node: &Node) -> PathBuf {
    node.root().join("state/engine/volumes/data/_data")
}

fn counted(node: &Node) -> usize {
    std::fs::read_to_string(data(node).join("count")).expect("the volume's data is there").lines().count()
}

/// The container runs as the same process, and its data is there.
fn lives(node: &Node, pid: u32, when: &str) {
    assert!(gantry_tests::runs(pid), "{when}: the container has ended");
    assert_eq!(std::fs::read_to_string(data(node).join("x")).expect("there").trim(), "precious", "{when}");
    let before = counted(node);
    eventually(&format!("{when}: the container goes on"), Duration::from_secs(10), || {
        let now = counted(node);
        if now > before { Ok(()) } else { Err(format!("{now} lines")) }
    });
}

/// Everything works as before.
fn is_well(node: &Node, pid: u32, when: &str) {
    lives(node, pid, when);
    assert_eq!(node.container_pid("box"), pid, "{when}");
    assert_eq!(node.docker(&["exec", "box", "cat", "/root-x"]).ok(), "precious", "{when}");
    assert_eq!(
        node.docker(&["volume", "ls", "-q", "--filter", "label=kind=precious"]).ok(),
        "data",
        "{when}"
    );
    assert_eq!(node.docker(&["images", "-q"]).ok().lines().count(), 1, "{when}");
    let again = node.docker(&["run", "--rm", "-v", "data:/data", "busybox", "cat", "/data/x"]);
    assert_eq!(again.stdout.trim(), "precious", "{when}: {again:#?}");
    eventually(&format!("{when}: fsck is content"), Duration::from_secs(20), || {
        let fsck = node.gantry(&["fsck"]);
        if fsck.code == 0 { Ok(()) } else { Err(fsck.stdout + &fsck.stderr) }
    });
}

fn refused(node: &Node, service: &str, when: &str) {
    let up = node.gantry(&["up", "--detach"]);
    assert_ne!(up.code, 0, "{when}: {up:#?}");
    assert!(up.stderr.contains(&format!("{service} does not start")), "{when}: {up:#?}");
    assert!(up.stderr.contains("gantry fsck --repair"), "{when}: {up:#?}");
    let fsck = node.gantry(&["fsck"]);
    assert_ne!(fsck.code, 0, "{when}: {fsck:#?}");
    assert!(fsck.stdout.contains(&format!("state/{service}/db")), "{when}: {fsck:#?}");
}

fn survive(damages: impl Fn(usize) -> Damage) {
    let mut node = Node::start();
    // Warnings of services with damaged records, and of those that go on after the operator's consent.
    node.permit(&[
        "the records in ",
        "records were lost and a person said to go on",
        "the end of the log was not written whole",
    ]);
    populate(&node);
    let pid = node.container_pid("box");
    for (number, service) in gantry_descriptor::keepers().rev().enumerate() {
        let damage = damages(number);
        let when = format!("{service} {damage:?}");
        // New records in every log.
        node.docker(&["run", "--rm", "busybox", "true"]).ok();
        node.kill_everything();
        damage.inflict(&node.root().join("state").join(service).join("db"));
        refused(&node, service, &when);
        lives(&node, pid, &when);
        let repair = node.gantry(&["fsck", "--repair"]);
        assert!(repair.stdout.contains("from their copy"), "{when}: {repair:#?}");
        is_well(&node, pid, &when);
        // The node is watched by this test again.
        node.down(&[]);
        node.up();
    }
    node.docker(&["rm", "-f", "box"]).ok();
    assert_eq!(std::fs::read_to_string(data(&node).join("x")).expect("there").trim(), "precious");
    node.docker(&["volume", "rm", "data"]).ok();
    assert!(!data(&node).exists());
}

#[test]
fn a_database_that_is_gone() {
    survive(|_| Damage::Gone);
}

#[test]
fn a_log_that_is_cut_short() {
    survive(|number| Damage::Cut(number as u64 % PARTS));
}

#[test]
fn a_log_with_a_wrong_byte() {
    survive(|number| Damage::Flipped(number as u64 * 3 % PARTS));
}

#[test]
fn all_databases_and_their_copies_are_gone() {
    let mut node = Node::start();
    populate(&node);
    let pid = node.container_pid("box");
    node.kill_everything();
    for service in gantry_descriptor::keepers() {
        let state = node.root().join("state").join(service);
        std::fs::remove_dir_all(state.join("db")).expect("there");
        std::fs::remove_file(state.join("db.copy")).expect("there");
    }
    refused(&node, "engine", "at the start");
    lives(&node, pid, "before the repair");
    node.gantry(&["fsck", "--repair"]);
    lives(&node, pid, "after the repair");
    assert_eq!(node.docker(&["volume", "ls", "-q", "--filter", "label=kind=precious"]).ok(), "data");
    node.import_busybox();
    assert_eq!(
        node.docker(&["run", "--rm", "-v", "data:/data", "busybox", "cat", "/data/x"]).ok(),
        "precious"
    );
    // One more start, with everything that is left over.
    node.down(&[]);
    node.up();
    lives(&node, pid, "after another start");
    gantry_tests::kill(pid);
    // The operator removes what is left over; here the whole root goes.
    node.abandon();
}
