//! `docker ps`: each filter, alone and with others.

use gantry_tests::{Node, sides};

#[test]
fn ps_shows_what_passes() {
    let node = Node::start();
    for side in sides(&node) {
        let (a, b, c, d, volume) =
            (side.name("a"), side.name("b"), side.name("c"), side.name("d"), side.name("volume"));
        let mount = format!("{volume}:/v");
        let make = |arguments: &[&str]| side.docker(arguments).ok();
        make(&[
            "run",
            "-d",
            "--name",
            &a,
            "-l",
            "x=1",
            "-l",
            "y",
            "-p",
            "127.0.0.1::80",
            "--expose",
            "91",
            "-v",
            &mount,
            "busybox",
            "sleep",
            "1000",
        ]);
        make(&["create", "--name", &b, "-l", "x=2", "--expose", "91", "busybox"]);
        side.docker(&["run", "--name", &c, "busybox", "sh", "-c", "exit 3"]).fails(3);
        make(&["run", "-d", "--name", &d, "busybox", "sleep", "1000"]);
        make(&["pause", &d]);
        let port = make(&["port", &a, "80"]).rsplit(':').next().unwrap_or_default().to_owned();
        let network = make(&["network", "inspect", "-f", "{{.Id}}", "bridge"]);

        for (options, names) in [
            (&[][..], &["d", "a"][..]),
            (&["-a"], &["d", "c", "b", "a"]),
            (&["-n", "2"], &["d", "c"]),
            (&["-l"], &["d"]),
            (&["-n", "-1"], &["d", "a"]),
            (&["-f", "status=exited"], &["c"]),
            (&["-f", "status=created", "-f", "status=paused"], &["d", "b"]),
            (&["-f", "exited=3"], &[]),
            (&["-a", "-f", "exited=3"], &["c"]),
            (&["-a", "-f", "exited=0"], &[]),
            (&["-a", "-f", "label=x"], &["b", "a"]),
            (&["-a", "-f", "label=x=1", "-f", "label=y"], &["a"]),
            (&["-a", "-f", "label=x=1", "-f", "label=x=2"], &[]),
            (&["-a", "-f", "ancestor=busybox:latest"], &["d", "c", "b", "a"]),
            (&["-a", "-f", "ancestor=no-such-image"], &[]),
            (&["-a", "-f", "before=C"], &["b", "a"]),
            (&["-a", "-f", "since=B"], &["d", "c"]),
            (&["-f", "before=D"], &["a"]),
            (&["-a", "-f", "health=none"], &["d", "c", "b", "a"]),
            (&["-a", "-f", "network=bridge"], &["d", "c", "b", "a"]),
            (&["-a", "-f", "network=ID"], &["d", "c", "a"]),
            (&["-a", "-f", "network=no-such"], &[]),
            (&["-a", "-f", "publish=PORT"], &["a"]),
            (&["-a", "-f", "publish=80"], &[]),
            (&["-a", "-f", "publish=1-65535/tcp"], &["a"]),
            (&["-a", "-f", "publish=PORT/udp"], &[]),
            (&["-a", "-f", "expose=91"], &["a"]),
            (&["-a", "-f", "expose=80"], &["a"]),
            (&["-a", "-f", "expose=90-95/tcp"], &["a"]),
            // These two are alternatives.
            (&["-a", "-f", "publish=1", "-f", "expose=91"], &["a"]),
            (&["-a", "-f", "publish=PORT", "-f", "expose=1"], &["a"]),
            (&["-a", "-f", "publish=1", "-f", "expose=1"], &[]),
            (&["-a", "-f", "volume=VOLUME"], &["a"]),
            (&["-a", "-f", "volume=/v"], &["a"]),
            (&["-a", "-f", "volume=no-such"], &[]),
            (&["-a", "-f", "is-task=true"], &[]),
            (&["-a", "-f", "is-task=false"], &["d", "c", "b", "a"]),
            (&["-a", "-f", "isolation=process"], &["d", "c", "b", "a"]),
        ] {
            let replaced: Vec<String> = options
                .iter()
                .map(|option| {
                    option
                        .replace("PORT", &port)
                        .replace("VOLUME", &volume)
                        .replace("=ID", &format!("={network}"))
                        .replace("=B", &format!("={b}"))
                        .replace("=C", &format!("={c}"))
                        .replace("=D", &format!("={d}"))
                })
                .collect();
            let mine = format!("name={}", side.name(""));
            let mut arguments = vec!["ps", "--format", "{{.Names}}", "-f", &mine];
            arguments.extend(replaced.iter().map(String::as_str));
            let shown: Vec<String> = side.docker(&arguments).ok().lines().map(str::to_owned).collect();
            let wanted: Vec<String> = names.iter().map(|name| side.name(name)).collect();
            assert_eq!(shown, wanted, "{}: {options:?}", side.who);
        }
        side.docker(&["rm", "-fv", &a, &b, &c, &d]).ok();
        side.docker(&["volume", "rm", &volume]).ok();
    }
}

#[test]
fn filters_that_say_nothing_are_refused() {
    let node = Node::start();
    for side in sides(&node) {
        for (filter, words) in [
            (
                "status=bogus",
                "invalid filter 'status=bogus': invalid value for state (bogus): must be one of created, running, paused, restarting, removing, exited, dead",
            ),
            (
                "health=bogus",
                "invalid filter 'health=bogus': invalid value for health (bogus): must be one of none, starting, healthy, unhealthy",
            ),
            ("exited=x", "invalid filter 'exited=x'"),
            ("is-task=x", "invalid filter 'is-task=[x]'"),
            ("publish=x", "error while looking up for publish x"),
            ("expose=95-90", "error while looking up for expose 95-90"),
            ("before=no-such", "No such container: no-such"),
            ("label!=x", "invalid filter 'label!'"),
            ("bogus=1", "invalid filter 'bogus'"),
        ] {
            let said = side.docker(&["ps", "-a", "-f", filter]).fails(1);
            assert!(said.contains(words), "{}: {filter}: {said}", side.who);
        }
    }
}
