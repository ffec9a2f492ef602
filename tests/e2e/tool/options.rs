//! The options of `run`: their effect on the container, and the exit.

use gantry_tests::{Node, json_lines};
use serde_json::{Value, json};

use super::{refused, told_in_one_line};

/// The output of Docker's `inspect`.
fn inspect(node: &Node, name: &str) -> Value {
    let text = node.docker(&["inspect", name]).ok();
    serde_json::from_str::<Value>(&text).expect("JSON")[0].take()
}

/// Options, and the paths and values in the inspect output.
type Row<'r> = (&'r [&'r str], &'r [(&'r str, Value)]);

#[test]
fn what_is_asked_for_is_what_the_container_has() {
    let node = Node::start();
    node.gantry(&["net", "create", "web"]).ok();
    let env = node.root().join("env");
    std::fs::write(&env, "# none\nFROM_FILE=1\nPATH\n").expect("written");
    let labels = node.root().join("labels");
    std::fs::write(&labels, "from.file=yes\n").expect("written");
    let (env, labels) = (env.display().to_string(), labels.display().to_string());
    let rows: &[Row<'_>] = &[
        (
            &["-m", "64m", "--memory-swap", "-1", "--cpus", "0.5"],
            &[
                ("/HostConfig/Memory", json!(64 << 20)),
                ("/HostConfig/MemorySwap", json!(-1)),
                ("/HostConfig/NanoCpus", json!(500_000_000)),
            ],
        ),
        (
            &["--init", "--restart", "on-failure:3"],
            &[
                ("/HostConfig/Init", json!(true)),
                ("/HostConfig/RestartPolicy", json!({"Name": "on-failure", "MaximumRetryCount": 3})),
            ],
        ),
        (
            &[
                "--health-cmd",
                "true",
                "--health-interval",
                "1m30s",
                "--health-retries",
                "2",
                "--health-start-period",
                "5s",
            ],
            &[
                ("/Config/Healthcheck/Test", json!(["CMD-SHELL", "true"])),
                ("/Config/Healthcheck/Interval", json!(90_000_000_000_i64)),
                ("/Config/Healthcheck/Retries", json!(2)),
            ],
        ),
        (&["--no-healthcheck"], &[("/Config/Healthcheck/Test", json!(["NONE"]))]),
        (
            &["-l", "a=b", "--label", "bare", "--label-file", &labels],
            &[("/Config/Labels", json!({"a": "b", "bare": "", "from.file": "yes"}))],
        ),
        (
            &["-e", "A=1", "-e", "NOT_HERE_AT_ALL", "--env-file", &env],
            &[("/Config/Env/0", json!("FROM_FILE=1")), ("/Config/Env/2", json!("A=1"))],
        ),
        (
            &[
                "-v",
                "data:/data:ro",
                "--mount",
                "type=tmpfs,target=/t,tmpfs-size=1m",
                "--tmpfs",
                "/u:size=2m",
            ],
            &[
                ("/HostConfig/Binds", json!(["data:/data:ro"])),
                ("/HostConfig/Mounts/0/TmpfsOptions/SizeBytes", json!(1 << 20)),
                ("/HostConfig/Tmpfs", json!({"/u": "size=2m"})),
            ],
        ),
        (
            &["-p", "8080-8081:80-81", "-p", "127.0.0.1::53/udp", "--expose", "99"],
            &[
                ("/HostConfig/PortBindings/80~1tcp/0/HostPort", json!("8080")),
                ("/HostConfig/PortBindings/81~1tcp/0/HostPort", json!("8081")),
                ("/HostConfig/PortBindings/53~1udp/0/HostIp", json!("127.0.0.1")),
                ("/Config/ExposedPorts/99~1tcp", json!({})),
            ],
        ),
        (
            &["-w", "/tmp", "-u", "1:2", "-h", "me", "--entrypoint", "/bin/echo", "-t", "-i"],
            &[
                ("/Config/WorkingDir", json!("/tmp")),
                ("/Config/User", json!("1:2")),
                ("/Config/Hostname", json!("me")),
                ("/Config/Entrypoint", json!(["/bin/echo"])),
                ("/Config/Tty", json!(true)),
                ("/Config/OpenStdin", json!(true)),
            ],
        ),
        (
            &["--network", "web", "--network-alias", "w", "--link", "other:o"],
            &[
                ("/HostConfig/NetworkMode", json!("web")),
                ("/NetworkSettings/Networks/web/Aliases/0", json!("w")),
            ],
        ),
        (
            &["--privileged", "--cap-add", "NET_ADMIN", "--cap-drop", "CHOWN", "--read-only"],
            &[("/HostConfig/Privileged", json!(true)), ("/HostConfig/ReadonlyRootfs", json!(true))],
        ),
        (
            &[
                "--device",
                "/dev/null:/dev/nil:r",
                "--ulimit",
                "nofile=100:200",
                "--shm-size",
                "8m",
                "--pids-limit",
                "50",
            ],
            &[
                ("/HostConfig/Devices/0/PathInContainer", json!("/dev/nil")),
                ("/HostConfig/Ulimits/0", json!({"Name": "nofile", "Hard": 200, "Soft": 100})),
                ("/HostConfig/ShmSize", json!(8 << 20)),
                ("/HostConfig/PidsLimit", json!(50)),
            ],
        ),
        (
            &["--add-host", "a=10.0.0.1", "--dns", "10.0.0.2", "--dns-search", "example"],
            &[
                ("/HostConfig/ExtraHosts", json!(["a:10.0.0.1"])),
                ("/HostConfig/Dns", json!(["10.0.0.2"])),
                ("/HostConfig/DnsSearch", json!(["example"])),
            ],
        ),
        (
            &[
                "--stop-signal",
                "INT",
                "--stop-timeout",
                "3",
                "--log-opt",
                "max-size=1m",
                "--log-driver",
                "json-file",
            ],
            &[
                ("/Config/StopSignal", json!("INT")),
                ("/Config/StopTimeout", json!(3)),
                ("/HostConfig/LogConfig", json!({"Type": "json-file", "Config": {"max-size": "1m"}})),
            ],
        ),
        (
            &[
                "--security-opt",
                "no-new-privileges",
                "--sysctl",
                "net.ipv4.ip_unprivileged_port_start=0",
                "--ipc",
                "none",
                "--pid",
                "host",
            ],
            &[
                ("/HostConfig/SecurityOpt", json!(["no-new-privileges"])),
                ("/HostConfig/IpcMode", json!("none")),
                ("/HostConfig/PidMode", json!("host")),
            ],
        ),
        (
            &["--security-opt", "systempaths=unconfined", "--security-opt", "seccomp=unconfined"],
            &[
                ("/HostConfig/MaskedPaths", json!([])),
                ("/HostConfig/SecurityOpt", json!(["seccomp=unconfined"])),
            ],
        ),
    ];
    for (options, expected) in rows {
        for (who, name) in [("gantry", "ours"), ("docker", "theirs")] {
            let arguments = [&["create", "--name", name], *options, &["busybox", "true"]].concat();
            let outcome = if who == "gantry" { node.gantry(&arguments) } else { node.docker(&arguments) };
            // The older client lacks some of them.
            if who == "docker" && outcome.code == 125 {
                continue;
            }
            outcome.ok();
            let found = inspect(&node, name);
            for (path, value) in *expected {
                assert_eq!(found.pointer(path), Some(value), "{who} {options:?} {path}");
            }
            node.gantry(&["rm", "-v", name]).ok();
        }
    }
    node.gantry(&["volume", "rm", "data"]).ok();
    node.gantry(&["net", "rm", "web"]).ok();
}

#[test]
fn options_that_make_no_sense_are_told_in_one_line() {
    let node = Node::start();
    let rows: &[(&[&str], &str)] = &[
        (&["--cpus", "many"], "'many' for '--cpus"),
        (&["--restart", "sometimes"], "--restart sometimes"),
        (&["--rm", "--restart", "always"], "cannot specify both --restart and --rm"),
        (&["--health-interval", "5"], "'5' for '--health-interval"),
        (&["--health-retries", "1", "--no-healthcheck"], "--no-healthcheck conflicts"),
        (&["-e", "=x"], "a variable needs a name"),
        (&["--env-file", "/no/such"], "read /no/such"),
        (&["--mount", "type=floppy,target=/a"], "\"floppy\" is no type"),
        (&["--mount", "type=bind,src=/no/such,target=/a"], "/no/such"),
        (&["-v", "/no/such:bad"], "bad"),
        (&["-p", "web"], "\"web\" is no port"),
        (&["-p", "80:70000"], "\"70000\" is no port"),
        (&["--ulimit", "nofile"], "--ulimit nofile"),
        (&["--device", "/dev/null:/x:q"], "--device /dev/null:/x:q"),
        (&["--add-host", "a"], "--add-host a"),
        (&["--network", "nowhere"], "nowhere"),
        (&["--network-alias", "x"], "--network-alias needs one"),
        (&["--log-opt", "x"], "--log-opt x"),
        (&["--security-opt", "seccomp=/no/such"], "seccomp=/no/such"),
        (&["--cap-add", "FLY"], "FLY"),
        (&["--pull", "often"], "'often' for '--pull"),
        (&["-m", "1k"], "inimum memory limit"),
        (&["--cidfile", "/"], "for the container's id"),
    ];
    for (options, words) in rows {
        refused(&node, &[&["run", "--rm"], *options, &["busybox", "true"]].concat(), 125, words);
    }
    let left = node.gantry(&["ps", "-aq"]).ok();
    node.gantry(&[&["rm", "-f", "nobody"][..], &left.lines().collect::<Vec<_>>()].concat());
}

#[test]
fn exit_codes_are_docker_s() {
    let node = Node::start();
    let rows: &[(&[&str], i32, &str)] = &[
        (&["busybox", "sh", "-c", "exit 5"], 5, ""),
        (&["busybox", "/no/such"], 127, "no such file or directory"),
        (&["busybox", "nosuch"], 127, "executable file not found"),
        (&["busybox", "/tmp"], 126, "ermission denied"),
        (&["--pull", "never", "no/such:image"], 125, "No such image"),
        (&["-v", "/tmp:relative", "busybox"], 125, "relative"),
    ];
    for (arguments, code, words) in rows {
        for flags in [&["run"][..], &["run", "--rm"]] {
            let arguments = [flags, *arguments].concat();
            let ours = node.gantry(&arguments);
            assert_eq!(ours.code, *code, "{ours:#?}");
            assert_eq!(node.docker(&arguments).code, *code, "docker {arguments:?}");
            if !words.is_empty() {
                told_in_one_line(&ours, *code, words);
            }
        }
        if *code == 126 || *code == 127 {
            let ours = node.gantry(&[&["run", "-d"], *arguments].concat());
            told_in_one_line(&ours, *code, words);
        }
    }
}

#[test]
fn an_id_is_written_where_it_is_asked_for() {
    let node = Node::start();
    let file = node.root().join("id").display().to_string();
    let id = node.gantry(&["run", "-d", "--cidfile", &file, "busybox", "sleep", "1000"]).ok();
    assert_eq!(std::fs::read_to_string(&file).expect("written"), id);
    refused(&node, &["run", "--cidfile", &file, "busybox", "true"], 125, "for the container's id");
    // A container that is not created leaves no file behind.
    std::fs::remove_file(&file).expect("removed");
    refused(&node, &["run", "--cidfile", &file, "--pull", "never", "no/such"], 125, "No such image");
    assert!(!std::path::Path::new(&file).exists());
}

#[test]
fn health_is_seen_in_the_list() {
    let node = Node::start();
    let probe = ["--health-cmd", "test -e /well", "--health-interval", "100ms", "--health-retries", "1"];
    node.gantry(&[&["run", "-d", "--name", "box"], &probe[..], &["busybox", "sleep", "1000"]].concat()).ok();
    let becomes = |wanted: &str| {
        gantry_tests::eventually(wanted, std::time::Duration::from_secs(20), || {
            let health = node.gantry(&["ps", "--format", "{{.Health}}"]).ok();
            if health == wanted { Ok(()) } else { Err(health) }
        });
    };
    becomes("unhealthy");
    assert_eq!(node.gantry(&["ps", "-q", "--filter", "health=healthy"]).ok(), "");
    node.gantry(&["exec", "box", "touch", "/well"]).ok();
    becomes("healthy");
    let list = node.gantry(&["ps"]).ok();
    assert!(list.contains("HEALTH") && list.contains(" healthy "), "{list}");
    let whole = &json_lines(&node.gantry(&["--json", "inspect", "box"]).ok())[0];
    assert_eq!(whole["health"]["status"], "healthy");
    assert_eq!(whole["healthcheck"]["interval_ns"], 100_000_000);
}
