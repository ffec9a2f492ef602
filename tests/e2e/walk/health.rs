//! Health checks of stopped and frozen containers, and probes that take too long or print too much.

use std::time::Duration;

use gantry_tests::{Node, Side, eventually, sides};

fn run(side: &Side, name: &str, probe: &str, more: &[&str]) {
    let options = ["run", "-d", "--name", name, "--health-cmd", probe, "--health-interval", "200ms"];
    side.docker(&[&options[..], more, &["busybox", "sleep", "1000"]].concat()).ok();
}

fn show(side: &Side, name: &str, template: &str) -> String {
    side.docker(&["inspect", "-f", template, name]).ok()
}

fn await_health(side: &Side, name: &str, wanted: &str) {
    eventually("its health", Duration::from_secs(30), || {
        match show(side, name, "{{.State.Health.Status}}").as_str() {
            health if health == wanted => Ok(()),
            health => Err(format!("{}: {name}: {health}", side.who)),
        }
    });
}

#[test]
fn who_is_not_probed_is_unhealthy() {
    let node = Node::start();
    for side in sides(&node) {
        let name = side.name("health");
        let mine = format!("name={name}");
        let passing = |health: &str| {
            let health = format!("health={health}");
            side.docker(&["ps", "-a", "-f", &mine, "-f", &health, "--format", "{{.Names}}"]).ok()
        };
        side.docker(&["create", "--name", &name, "--health-cmd", "true", "busybox"]).ok();
        assert_eq!(show(&side, &name, "{{json .State.Health}}"), "null", "{}", side.who);
        side.docker(&["rm", &name]).ok();

        run(&side, &name, "true", &[]);
        await_health(&side, &name, "healthy");
        assert_eq!(passing("healthy"), name, "{}", side.who);
        side.docker(&["pause", &name]).ok();
        assert_eq!(show(&side, &name, "{{.State.Health.Status}}"), "unhealthy", "{}", side.who);
        side.docker(&["unpause", &name]).ok();
        await_health(&side, &name, "healthy");
        side.docker(&["stop", "-t", "0", &name]).ok();
        let template =
            "{{.State.Health.Status}} {{.State.Health.FailingStreak}} {{gt (len .State.Health.Log) 0}}";
        assert_eq!(show(&side, &name, template), "unhealthy 0 true", "{}", side.who);
        assert_eq!((passing("unhealthy"), passing("healthy")), (name.clone(), String::new()), "{}", side.who);
        side.docker(&["rm", &name]).ok();

        // The results of the last probes stay after the next start.
        run(&side, &name, "echo said", &["--health-retries", "1", "--health-start-period", "1000s"]);
        await_health(&side, &name, "healthy");
        side.docker(&["restart", "-t", "0", &name]).ok();
        let output = show(&side, &name, "{{(index .State.Health.Log 0).Output}}");
        assert_eq!(output, "said", "{}", side.who);
        side.docker(&["rm", "-f", &name]).ok();
    }
}

#[test]
fn what_a_probe_printed_is_kept_as_far_as_it_goes() {
    let node = Node::start();
    for side in sides(&node) {
        let (slow, long) = (side.name("slow"), side.name("long"));
        run(
            &side,
            &slow,
            "echo partial; sleep 1000",
            &["--health-timeout", "700ms", "--health-retries", "1"],
        );
        run(&side, &long, "yes | head -c 9000", &["--health-retries", "1"]);
        await_health(&side, &slow, "unhealthy");
        let template = "{{(index .State.Health.Log 0).ExitCode}} {{(index .State.Health.Log 0).Output}}";
        let said = show(&side, &slow, template);
        assert_eq!(said, "-1 Health check exceeded timeout (700ms): partial", "{}", side.who);
        await_health(&side, &long, "healthy");
        let said = show(&side, &long, "{{(index .State.Health.Log 0).Output}}");
        assert!(said.len() == 4099 && said.ends_with("y\ny\n..."), "{}: {}", side.who, said.len());
        side.docker(&["rm", "-f", &slow, &long]).ok();
    }
}
