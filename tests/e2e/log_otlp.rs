//! `gantry-log-otlp`, from containers to a collector, with Gantry and with the reference.

use std::sync::atomic::Ordering;
use std::time::Duration;

use gantry_log_otlp::testing::{Collector, Got};
use gantry_log_otlp::wire::Value;
use gantry_tests::plugin::{Program, Shared, node};
use gantry_tests::{Side, eventually, sides};
use tokio::runtime::Runtime;

const PATIENCE: Duration = Duration::from_secs(60);

/// A fake collector; dropping it ends it.
struct Stage {
    collector: Collector,
    endpoint: String,
    _runtime: Runtime,
}

impl Stage {
    fn start() -> Stage {
        let (collector, runtime) = (Collector::default(), Runtime::new().expect("a runtime"));
        let endpoint = format!("http://{}", runtime.block_on(collector.start()));
        Stage { collector, endpoint, _runtime: runtime }
    }

    fn plugin(&self, side: &Side, shared: &Shared, name: &str) -> Program {
        Program::start(side, shared, "gantry-log-otlp", name, &["--endpoint", &self.endpoint])
    }

    /// The `count` lines of a container that have arrived.
    fn got(&self, container: &str, count: usize) -> Vec<Got> {
        let name = Value::Text(container.to_owned());
        eventually("all has come", PATIENCE, || {
            let got = self
                .collector
                .got()
                .into_iter()
                .filter(|got| got.resource.get("container.name") == Some(&name));
            let got: Vec<Got> = got.collect();
            if got.len() >= count { Ok(got) } else { Err(format!("{got:?}")) }
        })
    }
}

fn lines<'a>(got: &'a [Got]) -> Vec<&'a str> {
    let text = |got: &'a Got| match &got.line {
        Value::Text(text) => text.as_str(),
        other => panic!("no text: {other:?}"),
    };
    got.iter().map(text).collect()
}

#[test]
fn lines_come_to_a_collector_with_who_said_them() {
    let node = node();
    for side in sides(&node) {
        let stage = Stage::start();
        let shared = Shared::of(&node, &side);
        let (driver, name) = (side.name("otlp"), side.name("box"));
        let _plugin = stage.plugin(&side, &shared, &driver);
        let run =
            ["run", "--name", &name, "--log-driver", &driver, "--label", "team=blue", "-e", "STAGE=test"];
        let options =
            ["--log-opt", "labels=team", "--log-opt", "env-regex=^STA", "--log-opt", "mode=non-blocking"];
        let script =
            "echo one; sleep 0.3; echo two >&2; sleep 0.3; head -c 40000 /dev/zero | tr '\\0' x; echo";
        side.docker(&[&run[..], &options[..], &["busybox", "sh", "-c", script]].concat()).ok();
        let got = stage.got(&name, 3);
        assert_eq!(lines(&got), ["one", "two", &"x".repeat(40000)], "{}", side.who);
        assert!(got[0].severity < got[1].severity && got[0].time < got[1].time, "{}", side.who);
        let id = side.docker(&["inspect", "-f", "{{.Id}}", &name]).ok();
        for (key, value) in [
            ("container.id", id.as_str()),
            ("container.image.name", "busybox"),
            ("container.label.team", "blue"),
            ("process.environment_variable.STAGE", "test"),
        ] {
            assert_eq!(got[0].resource.get(key), Some(&Value::Text(value.to_owned())), "{} {key}", side.who);
        }
        // The plugin cannot read logs back: the engine keeps a copy.
        assert_eq!(side.docker(&["logs", &name]).stderr, "two\n", "{}", side.who);
        side.docker(&["rm", &name]).ok();
        let create =
            ["create", "--name", &name, "--log-driver", &driver, "--log-opt", "otlp-batch=none", "busybox"];
        side.docker(&create).ok();
        let error = side.docker(&["start", &name]).fails(1);
        let why = "failed to initialize logging driver: error creating logger: invalid value \"none\" for log opt \
            'otlp-batch': it must be a number from 1 to 10000";
        assert!(error.contains(why), "{}: {error}", side.who);
        side.docker(&["rm", &name]).ok();
    }
}

#[test]
fn what_a_container_says_while_the_collector_is_away_comes_later() {
    let node = node();
    for side in sides(&node) {
        let stage = Stage::start();
        let shared = Shared::of(&node, &side);
        let (driver, name) = (side.name("otlp"), side.name("box"));
        let plugin = stage.plugin(&side, &shared, &driver);
        stage.collector.is_away.store(true, Ordering::Relaxed);
        let run = ["run", "--name", &name, "--log-driver", &driver, "--log-opt", "otlp-batch=10"];
        let script = "i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo line $i; done";
        side.docker(&[&run[..], &["busybox", "sh", "-c", script]].concat()).ok();
        stage.collector.is_away.store(false, Ordering::Relaxed);
        let expected: Vec<String> = (1..=300).map(|number| format!("line {number}")).collect();
        assert_eq!(lines(&stage.got(&name, 300)), expected, "{}", side.who);
        side.docker(&["rm", &name]).ok();
        plugin.end();
    }
}

#[test]
fn a_plugin_and_an_engine_that_die_lose_nothing_that_is_on_its_way() {
    let node = node();
    node.permit(&["a log's receiver is away"]);
    let stage = Stage::start();
    let side = &sides(&node)[0];
    let shared = Shared::of(&node, side);
    let plugin = stage.plugin(side, &shared, "otlp");
    let run = ["run", "-d", "--name", "box", "--log-driver", "otlp", "--log-opt", "otlp-batch-wait=10ms"];
    let script = "i=0; while true; do i=$((i+1)); echo line $i; usleep 20000; done";
    node.docker(&[&run[..], &["busybox", "sh", "-c", script]].concat()).ok();
    stage.got("box", 10);
    // The plugin ends: it sends what it has read, and reads the rest when it is back.
    plugin.end();
    node.kill_service("engine");
    let got = stage.got("box", 10).len();
    let _plugin = stage.plugin(side, &shared, "otlp");
    let got = stage.got("box", got + 100);
    let mut next = 1;
    for line in lines(&got) {
        let number: u64 = line.trim_start_matches("line ").parse().expect("a number");
        assert!(number <= next, "{next} is left out before {number}");
        next = next.max(number + 1);
    }
    node.docker(&["rm", "-f", "box"]).ok();
}
