//! A node on which operations are made to fail, and the checks between them.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gantry_tests::image::{self, Compression, Format, Image};
use gantry_tests::points::Orders;
use gantry_tests::{Node, Outcome, Registry, Security, leaks};

use super::operations::{Line, Operation};

/// Warnings about a shim that dies, and about repeated operations.
const PERMITTED: &[&str] = &[
    "a shim died; its task is removed",
    "did not start: signal: 9 (SIGKILL)",
    "is not connected to network",
];

/// How long background work may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long no point has been reached when no more are expected.
const QUIET: Duration = Duration::from_millis(300);

pub struct Stage {
    // Dropped before the node, in whose network it is.
    _registry: Registry,
    node: Node,
    archive: PathBuf,
    /// The pid of a container that no operation concerns.
    bystander: String,
    /// The inventory of the idle node.
    quiet: BTreeSet<String>,
    /// The ids of all containers so far.
    ids: RefCell<BTreeSet<String>>,
    /// The number of attempts.
    attempt: u32,
}

impl Stage {
    /// A node with a registry, an archive and a running container.
    pub fn new() -> Self {
        let node = Node::start();
        node.permit(PERMITTED);
        let registry = Registry::start(&node, Security::Open);
        let layers = [image::busybox_tar(), image::tar_of(&[("noise", &image::noise(100_000))])];
        registry.put("pulled", "1", &Image::new(&layers, Compression::Gzip, Format::Oci, &["sh"]));
        let archive = node.root().join("archive.tar");
        let mut stage = Self {
            node,
            _registry: registry,
            archive,
            bystander: String::new(),
            quiet: BTreeSet::new(),
            ids: RefCell::default(),
            attempt: 0,
        };
        for line in [
            &["docker", "pull", "-q", "{image}"][..],
            &["docker", "save", "-o", "{archive}", "{image}"],
            &["docker", "rmi", "{image}"],
            &["docker", "run", "-d", "--name", "bystander", "busybox", "sleep", "100000"],
        ] {
            stage.command(line).ok();
        }
        stage.bystander = stage.seen_of_bystander();
        stage.quiet = stage.inventory();
        stage
    }

    pub fn node(&self) -> &Node {
        &self.node
    }

    pub fn orders(&self) -> Orders {
        self.node.orders()
    }

    /// The pid of a service; `None` for the shim.
    pub fn pid_of(&self, service: &str) -> Option<u32> {
        gantry_descriptor::names().any(|name| name == service).then(|| self.node.pid(service))
    }

    fn command(&self, line: &[&str]) -> Outcome {
        let words: Vec<String> = line.iter().map(|word| self.filled(word)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let outcome = match words.split_first().expect("a program") {
            (&"docker", arguments) => self.node.docker(arguments),
            (&"ctr", arguments) => self.node.ctr("sweep", arguments),
            (&"gantry", arguments) => self.node.gantry(arguments),
            (other, _) => panic!("{other} is no client"),
        };
        let id = outcome.stdout.trim();
        if id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            self.ids.borrow_mut().insert(id.to_owned());
        }
        outcome
    }

    fn filled(&self, word: &str) -> String {
        let attempt = format!("{}-{}", std::process::id(), self.attempt);
        word.replace("{image}", &format!("{}/pulled:1", Registry::ADDRESS))
            .replace("{archive}", &self.archive.display().to_string())
            .replace("{n}", &attempt)
    }

    fn all_ok(&self, lines: &[Line]) -> Result<(), String> {
        lines.iter().try_for_each(|line| succeeded(self.command(line)).map(drop))
    }

    /// Runs the commands before an operation.
    pub fn prepare(&mut self, operation: &Operation) -> Result<(), String> {
        self.attempt += 1;
        self.all_ok(operation.prepare).map_err(|error| format!("before it: {error}"))
    }

    /// Runs the operation.
    pub fn run(&self, operation: &Operation) -> Outcome {
        self.command(operation.run)
    }

    /// Runs the operation again: it succeeds, or says that it was done. The exit of what has died with its shim may
    /// become known a little later.
    pub fn repeat(&self, operation: &Operation) -> Result<(), String> {
        let again = || {
            self.all_ok(operation.restore).map_err(|error| format!("before its repetition: {error}"))?;
            let again = self.run(operation);
            let done = operation.done.iter().any(|words| again.stderr.contains(words));
            if again.code == 0 || done { Ok(()) } else { Err(format!("its repetition failed: {again:#?}")) }
        };
        match again() {
            Err(_) if !operation.restore.is_empty() => {
                std::thread::sleep(Duration::from_secs(1));
                again()
            }
            result => result,
        }
    }

    /// Checks that the operation was done, and that the other container has not noticed.
    pub fn check(&self, operation: &Operation) -> Result<(), String> {
        let (line, wanted) = operation.check;
        let (seen, wanted) = (succeeded(self.command(line))?, self.filled(wanted));
        // Tables have the name first.
        let is_it = seen == wanted || line[0] == "ctr" && seen.contains(&wanted);
        if !is_it {
            return Err(format!("{line:?} says {seen:?}, not {wanted:?}"));
        }
        let bystander = self.seen_of_bystander();
        match bystander == self.bystander {
            true => Ok(()),
            false => Err(format!("another container was harmed: {} -> {bystander}", self.bystander)),
        }
    }

    fn seen_of_bystander(&self) -> String {
        let format = "{{.State.Status}} {{.State.Pid}} {{.RestartCount}} {{.State.StartedAt}}";
        let state = self.node.docker(&["inspect", "-f", format, "bystander"]).ok();
        let pid = state.split(' ').nth(1).unwrap_or_default();
        let alive = Path::new("/proc").join(pid).join("root").exists();
        format!("{state} {}", if alive { "alive" } else { "dead" })
    }

    /// Removes what an operation has made, and checks that nothing is left.
    pub fn clear(&self, operation: &Operation) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        for line in operation.clear {
            self.command(line);
        }
        self.orders().withdraw();
        loop {
            let Err(complaint) = self.is_quiet() else { return Ok(()) };
            if Instant::now() > deadline {
                return Err(format!("something is left: {complaint}"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn is_quiet(&self) -> Result<(), String> {
        let now = self.inventory();
        let more: Vec<_> = now.difference(&self.quiet).collect();
        let less: Vec<_> = self.quiet.difference(&now).collect();
        if !more.is_empty() || !less.is_empty() {
            return Err(format!("more {more:#?} less {less:#?}"));
        }
        succeeded(self.node.gantry(&["fsck"])).map(drop)
    }

    /// Everything that may be left over, by kind and name.
    fn inventory(&self) -> BTreeSet<String> {
        let mut found = leaks::kept(&[self.node.root()], &self.ids.borrow());
        let links = self.node.exec(&["ip", "-o", "link"]).ok();
        let name = |line: &str| line.split(": ").nth(1).map(|name| format!("link {name}"));
        found.extend(links.lines().filter_map(name));
        for line in [
            &["ps", "-aq"][..],
            &["volume", "ls", "-q"],
            &["network", "ls", "--format", "{{.Name}}"],
            &["images", "-aq"],
        ] {
            found.extend(self.node.docker(line).ok().lines().map(|one| format!("{} {one}", line[0])));
        }
        found
    }

    /// The reached points, once no more are reached.
    pub fn all_reached(&self) -> Vec<String> {
        let mut reached = Vec::new();
        let mut since = Instant::now();
        while since.elapsed() < QUIET {
            let now = self.orders().reached();
            if now.len() > reached.len() {
                (reached, since) = (now, Instant::now());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        reached
    }

    /// The end of the services' logs.
    pub fn log(&self) -> String {
        let logs = self.node.logs();
        let lines: Vec<_> = logs.lines().collect();
        let odd = lines.iter().filter(|line| line.contains("WARN") || line.contains("ERROR"));
        let mut odd: Vec<_> = odd.copied().collect();
        odd.drain(..odd.len().saturating_sub(20));
        odd.join("\n")
    }

    /// Ends the node, and fails if anything is left.
    pub fn end(self) {
        self.orders().withdraw();
    }

    /// Ends the node in any state.
    pub fn abandon(self) {
        self.node.abandon();
    }
}

/// The output of a command that must succeed.
fn succeeded(outcome: Outcome) -> Result<String, String> {
    match outcome.code {
        0 => Ok(outcome.stdout.trim().to_owned()),
        _ => Err(format!("{outcome:#?}")),
    }
}

/// Whether the command has succeeded or has printed an error. dockerd, and Gantry as it does, tells the client of an exec that
/// did not start by the exec's standard output.
pub fn is_clear(outcome: &Outcome) -> Result<(), String> {
    let said = if outcome.stderr.trim().is_empty() { &outcome.stdout } else { &outcome.stderr };
    let last = said.trim().lines().last().unwrap_or_default();
    let words = last.split_whitespace().count();
    match outcome.code == 0 || words > 3 && !said.contains("panicked") {
        true => Ok(()),
        false => Err(format!("it does not say why it failed: {outcome:#?}")),
    }
}
