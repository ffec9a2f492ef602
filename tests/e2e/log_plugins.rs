//! Log drivers that are plugins: the calls to them, the effect of their answers, and the lines that survive the death
//! of a plugin or of the engine; with Gantry and with the reference.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::stream::{self, BoxStream, StreamExt};
use gantry_plugin_sdk::log::{self, Entry, Info, ReadConfig};
use gantry_plugin_sdk::wire::Nothing;
use gantry_plugin_sdk::wire::log::{Frames, StartRequest, StopRequest};
use gantry_plugin_sdk::{Error, Result, Server};
use gantry_tests::plugin::{Served, Shared, node};
use gantry_tests::{Side, eventually, sides};
use parking_lot::Mutex;

const PATIENCE: Duration = Duration::from_secs(60);

/// The calls to a plugin, and the entries that it got.
#[derive(Default)]
struct Seen {
    started: Vec<StartRequest>,
    stopped: Vec<String>,
    /// By the names of containers.
    entries: BTreeMap<String, Vec<Entry>>,
    reads: Vec<ReadConfig>,
}

/// A driver that records what it gets. A container's log options choose its failures.
#[derive(Clone)]
struct Taker {
    seen: Arc<Mutex<Seen>>,
    /// Translates the daemon's paths to this host's.
    reach: Arc<dyn Fn(&str) -> PathBuf + Send + Sync>,
    /// It implements `ReadLogs`.
    reads: bool,
    /// It does not read its FIFOs.
    is_still: Arc<AtomicBool>,
    /// Readers that began under an older number have died.
    life: Arc<AtomicU64>,
}

impl Taker {
    fn new(shared: Arc<Shared>, reads: bool) -> Taker {
        let reach = Arc::new(move |told: &str| shared.reach(told));
        Taker { seen: Arc::default(), reach, reads, is_still: Arc::default(), life: Arc::default() }
    }

    fn serve(&self, socket: PathBuf) -> Served {
        let (starting, stopping) = (self.clone(), self.clone());
        let server = Server::new()
            .logs(self.clone())
            .method("LogDriver.StartLogging", move |asked: StartRequest| {
                let taker = starting.clone();
                async move { taker.start(asked) }
            })
            .method("LogDriver.StopLogging", move |asked: StopRequest| {
                stopping.seen.lock().stopped.push(asked.file);
                async { Ok(Nothing {}) }
            });
        Served::start(server, socket)
    }

    fn start(&self, asked: StartRequest) -> Result<Nothing> {
        match asked.info.config.get("fail").map(String::as_str) {
            Some("words") => return Err(Error::new("no way")),
            Some(other) => return Err(Error::new(format!("cannot {other}"))),
            None => {}
        }
        let path = (self.reach)(&asked.file);
        // Without waiting for the other end, which some engines open only later.
        let fifo = std::fs::OpenOptions::new().read(true).custom_flags(NONBLOCK).open(path);
        let fifo = fifo.map_err(Error::new)?;
        let name = asked.info.container_name.trim_start_matches('/').to_owned();
        self.seen.lock().started.push(asked);
        let (taker, life) = (self.clone(), self.life.load(Ordering::SeqCst));
        std::thread::spawn(move || taker.take(fifo, &name, life));
        Ok(Nothing {})
    }

    fn take(&self, mut fifo: std::fs::File, name: &str, life: u64) {
        let (mut frames, mut chunk, begun) = (Frames::default(), vec![0; 4096], Instant::now());
        let mut has_begun = false;
        while self.life.load(Ordering::SeqCst) == life {
            if !self.is_still.load(Ordering::SeqCst) {
                match fifo.read(&mut chunk) {
                    Ok(0) if has_begun || begun.elapsed() > PATIENCE => return,
                    Ok(0) => {}
                    Ok(read) => {
                        has_begun = true;
                        frames.push(&chunk[..read]);
                        while let Some(entry) = frames.entry().expect("an entry") {
                            let mut seen = self.seen.lock();
                            seen.entries.entry(name.to_owned()).or_default().push(entry);
                        }
                        continue;
                    }
                    Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "{error}"),
                }
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn lines(&self, name: &str) -> Vec<String> {
        let seen = self.seen.lock();
        let entries = seen.entries.get(name).into_iter().flatten();
        entries.map(|entry| String::from_utf8_lossy(&entry.line).into_owned()).collect()
    }

    fn has(&self, what: &str, is_so: impl Fn(&Seen) -> bool) {
        eventually(what, PATIENCE, || {
            let seen = self.seen.lock();
            is_so(&seen).then_some(()).ok_or_else(|| format!("{:?} {:?}", seen.started, seen.entries))
        });
    }
}

/// O_NONBLOCK.
const NONBLOCK: i32 = 0o4000;

impl log::Driver for Taker {
    type Log = Never;

    async fn start(&self, _info: Info) -> Result<Never> {
        Err(Error::new("another method answers"))
    }

    fn can_read(&self) -> bool {
        self.reads
    }

    async fn read(&self, info: Info, config: ReadConfig) -> Result<BoxStream<'static, Result<Entry>>> {
        if info.config.contains_key("unreadable") {
            return Err(Error::new("it is burnt"));
        }
        let name = info.container_name.trim_start_matches('/');
        let mut seen = self.seen.lock();
        let mut entries = seen.entries.get(name).cloned().unwrap_or_default();
        for entry in &mut entries {
            entry.line.extend_from_slice(b" (told)\n");
        }
        let first = usize::try_from(config.tail).map_or(0, |tail| entries.len().saturating_sub(tail));
        let follows = config.follow;
        seen.reads.push(config);
        let told = stream::iter(entries.split_off(first)).map(Ok);
        // A stream that never ends.
        Ok(if follows { told.chain(stream::pending()).boxed() } else { told.boxed() })
    }
}

/// The log of no container.
struct Never;

impl log::Log for Never {
    async fn take(&mut self, _entry: Entry) {}

    async fn end(self) {}
}

/// A driver with its name, and the calls to it.
fn driver(side: &Side, shared: &Arc<Shared>, reads: bool) -> (Taker, String, Served) {
    let taker = Taker::new(Arc::clone(shared), reads);
    let name = side.name(if reads { "reader" } else { "taker" });
    let served = taker.serve(shared.socket(&name));
    (taker, name, served)
}

#[test]
fn a_plugin_is_told_what_a_container_says_and_who_it_is() {
    let node = node();
    for side in sides(&node) {
        let shared = Arc::new(Shared::of(&node, &side));
        let (taker, driver, _served) = driver(&side, &shared, false);
        let name = side.name("box");
        let script =
            "echo one; sleep 0.2; echo two >&2; sleep 0.2; head -c 20000 /dev/zero | tr '\\0' x; echo";
        let run = ["run", "--name", &name, "--log-driver", &driver, "--log-opt", "mode=non-blocking"];
        let more = ["--log-opt", "colour=red", "--label", "l=m", "-e", "A=b", "busybox", "sh", "-c", script];
        side.docker(&[&run[..], &more[..]].concat()).ok();
        taker.has("all has come, and the plugin knows it", |seen| {
            seen.stopped.len() == 1 && seen.entries.get(&name).is_some_and(|all| all.len() == 4)
        });
        let seen = taker.seen.lock();
        let StartRequest { file, info } = &seen.started[0];
        assert_eq!((seen.started.len(), &seen.stopped[0]), (1, file), "{}", side.who);
        assert!(!(taker.reach)(file).exists(), "{}: the FIFO goes with its log", side.who);
        let options = [("colour", "red"), ("mode", "non-blocking")];
        let options = options.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(info.config, BTreeMap::from(options), "{}", side.who);
        let shown =
            side.docker(&["inspect", "-f", "{{.Id}} {{.Image}} {{.Created}} {{.LogPath}}", &name]).ok();
        let told =
            [&info.container_id, &info.container_image_id, &info.container_created].map(String::as_str);
        assert_eq!(shown.trim(), told.join(" "), "{}", side.who);
        assert_eq!(info.container_name, format!("/{name}"), "{}", side.who);
        assert_eq!(
            (info.container_entrypoint.as_str(), &info.container_args[..]),
            ("sh", &["-c".to_owned(), script.to_owned()][..])
        );
        assert_eq!((info.container_image_name.as_str(), info.daemon_name.as_str()), ("busybox", "docker"));
        assert!(info.container_env.contains(&"A=b".to_owned()) && info.container_labels["l"] == "m");
        assert_eq!(info.log_path, "", "{}", side.who);
        let all = &seen.entries[&name];
        let brief = |entry: &Entry| (entry.source.clone(), entry.line.len(), entry.partial);
        let expected =
            [("stdout", 3, false), ("stderr", 3, false), ("stdout", 16384, true), ("stdout", 3616, true)];
        let expected = expected.map(|(source, length, partial)| (source.to_owned(), length, partial));
        assert_eq!(all.iter().map(brief).collect::<Vec<_>>(), expected, "{}", side.who);
        let pieces: Vec<_> =
            all[2..].iter().map(|entry| entry.partial_log_metadata.clone().expect("a piece")).collect();
        assert_eq!(pieces[0].id, pieces[1].id, "{}", side.who);
        assert_eq!(
            [(1, false), (2, true)],
            [0, 1].map(|at: usize| (pieces[at].ordinal, pieces[at].last)),
            "{}",
            side.who
        );
        assert!(all[0].time_nano < all[1].time_nano, "{}", side.who);
        drop(seen);
        // The engine keeps a copy of the log, which the driver cannot read back.
        let logs = side.docker(&["logs", "--tail", "3", &name]);
        assert_eq!((logs.stderr.as_str(), logs.stdout.len()), ("two\n", 20001), "{}", side.who);
        let listed = side.docker(&["info", "-f", "{{.Plugins.Log}}"]).ok();
        assert!(!listed.contains(&driver), "{}: only its own drivers: {listed}", side.who);
        side.docker(&["rm", &name]).ok();
    }
}

#[test]
fn what_a_plugin_refuses_is_told_in_its_words() {
    let node = node();
    for side in sides(&node) {
        let shared = Arc::new(Shared::of(&node, &side));
        let (_taker, driver, served) = driver(&side, &shared, false);
        let said = |text: &str| format!("Error response from daemon: {text}");
        let name = side.name("box");
        let create = ["create", "--name", &name, "--log-driver", &driver, "--log-opt"];
        let refused = |option: &str| {
            side.docker(&[&create[..], &[option, "busybox", "true"]].concat()).fails(1).trim().to_owned()
        };
        let modes = "logger: logging mode not supported: x";
        assert_eq!(refused("mode=x"), said(modes), "{}", side.who);
        let size = "logger: max-buffer-size option is only supported with 'mode=non-blocking'";
        assert_eq!(refused("max-buffer-size=1m"), said(size), "{}", side.who);
        let cache = "invalid value for option cache-disabled: x";
        assert_eq!(refused("cache-disabled=x"), said(cache), "{}", side.who);
        // The driver validates its own options, and only when a container starts.
        side.docker(&[&create[..], &["fail=words", "busybox", "true"]].concat()).ok();
        let words = "failed to create task for container: failed to initialize logging driver: error creating logger: no way";
        let error = side.docker(&["start", &name]).fails(1);
        assert_eq!(error.lines().next(), Some(said(words).as_str()), "{}", side.who);
        let state = side
            .docker(&["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}", &name])
            .ok();
        assert_eq!(state, format!("created 128 {words}"), "{}", side.who);
        let unread = side.name("unread");
        let run = ["run", "--name", &unread, "--log-driver", &driver, "--log-opt", "cache-disabled=true"];
        side.docker(&[&run[..], &["busybox", "echo", "hi"]].concat()).ok();
        let error = side.docker(&["logs", &unread]).fails(1).trim().to_owned();
        assert_eq!(error, said("configured logging driver does not support reading"), "{}", side.who);
        let nobody = side.name("nobody");
        let error = side.docker(&["create", "--log-driver", &nobody, "busybox"]).fails(1).trim().to_owned();
        let lookup = format!("error looking up logging plugin {nobody}: plugin \"{nobody}\" not found");
        assert_eq!(error, said(&lookup), "{}", side.who);
        // A plugin that is gone is awaited, and then the call fails.
        let late = side.name("late");
        side.docker(&["create", "--name", &late, "--log-driver", &driver, "busybox", "true"]).ok();
        drop(served);
        let _left = std::os::unix::net::UnixListener::bind(shared.socket(&driver)).map(drop);
        let error = side.docker(&["start", &late]).fails(1);
        let begin = "failed to create task for container: failed to initialize logging driver: error creating logger: Post ";
        let end = ": connect: connection refused";
        let first = error.lines().next().expect("a line");
        assert!(first.starts_with(&said(begin)) && first.ends_with(end), "{}: {error}", side.who);
        side.docker(&["rm", &name, &unread, &late]).ok();
        let _ = std::fs::remove_file(shared.socket(&driver));
    }
}

#[test]
fn a_plugin_that_can_tell_its_log_is_asked_for_it() {
    let node = node();
    for side in sides(&node) {
        let shared = Arc::new(Shared::of(&node, &side));
        let (taker, driver, _served) = driver(&side, &shared, true);
        let name = side.name("box");
        let run = ["run", "-d", "--name", &name, "--log-driver", &driver];
        let script = "echo one; echo two >&2; echo three; sleep 1000";
        side.docker(&[&run[..], &["busybox", "sh", "-c", script]].concat()).ok();
        taker.has("all has come", |seen| seen.entries.get(&name).is_some_and(|all| all.len() == 3));
        let logs = side.docker(&["logs", "--tail", "2", &name]);
        let told = [logs.stdout, logs.stderr].concat();
        assert_eq!(told.matches("(told)\n").count(), 2, "{}: {told}", side.who);
        let times = side.docker(&["logs", "-t", &name]);
        assert!(times.stderr.ends_with("Z two (told)\n"), "{}: {}", side.who, times.stderr);
        let reads = taker.seen.lock().reads.clone();
        assert_eq!((reads[0].tail, reads[1].tail, reads[1].follow), (2, -1, false), "{}", side.who);
        assert!(reads[1].since.starts_with("0001-01-01T00:00:00"), "{}: {reads:?}", side.who);
        let future = side.docker(&["logs", "--since", "2100-01-01T00:00:00Z", &name]);
        assert_eq!((future.stdout, future.stderr), (String::new(), String::new()), "{}", side.who);
        side.docker(&["rm", "-f", &name]).ok();
        let burnt = side.name("burnt");
        let run = ["run", "--name", &burnt, "--log-driver", &driver, "--log-opt", "unreadable=1"];
        side.docker(&[&run[..], &["busybox", "true"]].concat()).ok();
        let error = side.docker(&["logs", &burnt]);
        let error = [error.stdout, error.stderr].concat();
        assert!(
            error.contains("error getting log reader: ") && error.contains("it is burnt"),
            "{}: {error}",
            side.who
        );
        side.docker(&["rm", &burnt]).ok();
    }
}

#[test]
fn a_followed_log_ends_with_its_container_though_its_plugin_goes_on() {
    let node = node();
    let side = &sides(&node)[0];
    let shared = Arc::new(Shared::of(&node, side));
    let (taker, driver, _served) = driver(side, &shared, true);
    let run = ["run", "-d", "--name", "box", "--log-driver", &driver];
    node.docker(&[&run[..], &["busybox", "sh", "-c", "echo one; sleep 1000"]].concat()).ok();
    taker.has("it has come", |seen| seen.entries.contains_key("box"));
    let following = node.docker_started(&["logs", "-f", "box"]);
    taker.has("it is followed", |seen| seen.reads.iter().any(|read| read.follow));
    node.docker(&["kill", "box"]).ok();
    assert!(following.wait().success());
}

/// A container that counts lines.
const COUNT: &str = "i=0; while true; do i=$((i+1)); echo line $i; usleep 10000; done";

/// Checks that no line is missing, and that lines are in order except for repeated ones. Returns the last number.
fn whole(lines: &[String]) -> std::result::Result<u64, String> {
    let mut most = 0;
    for line in lines {
        let number: u64 =
            line.strip_prefix("line ").and_then(|text| text.parse().ok()).ok_or(line.clone())?;
        if number > most + 1 {
            return Err(format!("{} follows {most}", number));
        }
        most = most.max(number);
    }
    Ok(most)
}

#[test]
fn an_engine_that_dies_and_a_plugin_that_dies_lose_no_line() {
    let node = node();
    let side = &sides(&node)[0];
    let shared = Arc::new(Shared::of(&node, side));
    let (taker, driver, served) = driver(side, &shared, false);
    let run = ["run", "-d", "--name", "box", "--log-driver", &driver];
    node.docker(&[&run[..], &["busybox", "sh", "-c", COUNT]].concat()).ok();
    let reaches = |what: &str, more: u64| {
        let before = whole(&taker.lines("box")).expect("whole");
        eventually(what, PATIENCE, || match whole(&taker.lines("box")).expect("whole") {
            most if most >= before + more => Ok(()),
            most => Err(format!("{before}, {most}")),
        });
    };
    reaches("it begins", 20);
    // The driver does not read, and the engine dies with lines in the FIFO.
    taker.is_still.store(true, Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(300));
    node.kill_service("engine");
    std::thread::sleep(Duration::from_millis(300));
    taker.is_still.store(false, Ordering::SeqCst);
    reaches("another engine goes on", 50);
    taker.has("it is told of another FIFO", |seen| seen.started.len() >= 2);
    // The plugin dies with lines in the FIFO.
    taker.is_still.store(true, Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(300));
    drop(served);
    taker.life.fetch_add(1, Ordering::SeqCst);
    taker.is_still.store(false, Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(500));
    let started = taker.seen.lock().started.len();
    let _served = taker.serve(shared.socket(&driver));
    reaches("another plugin goes on", 50);
    taker.has("it is told of another FIFO, too", |seen| seen.started.len() > started);
    node.docker(&["stop", "-t", "0", "box"]).ok();
    let logs = node.docker(&["logs", "box"]).ok();
    let said: Vec<String> = logs.lines().map(str::to_owned).collect();
    let most = whole(&said).expect("whole");
    eventually("its end comes, too", PATIENCE, || match whole(&taker.lines("box")).expect("whole") {
        got if got == most => Ok(()),
        got => Err(format!("{got} of {most}")),
    });
    taker.has("the last FIFO is over", |seen| {
        seen.started.last().is_some_and(|last| seen.stopped.contains(&last.file))
    });
    eventually("no FIFO is left", PATIENCE, || {
        match std::fs::read_dir(node.root().join("run/logging")).expect("there").count() {
            0 => Ok(()),
            left => Err(format!("{left}")),
        }
    });
    node.docker(&["rm", "box"]).ok();
}

#[test]
fn a_plugin_that_does_not_read_keeps_no_container_waiting() {
    let node = node();
    let side = &sides(&node)[0];
    let shared = Arc::new(Shared::of(&node, side));
    let (taker, driver, _served) = driver(side, &shared, false);
    taker.is_still.store(true, Ordering::SeqCst);
    let script = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo line $i; done";
    for (name, mode) in [("waits", "mode=blocking"), ("drops", "mode=non-blocking")] {
        let run = ["run", "--name", name, "--log-driver", &driver, "--log-opt", mode];
        // Much more than a FIFO holds.
        node.docker(&[&run[..], &["busybox", "sh", "-c", script]].concat()).ok();
        let last = node.docker(&["logs", "--tail", "1", name]).ok();
        assert_eq!(last, "line 20000");
    }
    taker.is_still.store(false, Ordering::SeqCst);
    for name in ["waits", "drops"] {
        taker.has("all comes", |seen| seen.entries.get(name).is_some_and(|all| all.len() >= 20000));
        assert_eq!(whole(&taker.lines(name)), Ok(20000));
    }
    node.docker(&["rm", "waits", "drops"]).ok();
}
