//! `docker inspect`: the fields of containers that were not started, run, have ended, and have many options.

use gantry_tests::{Node, Side, sides};
use serde_json::{Value, json};

fn inspect(side: &Side, name: &str) -> Value {
    let (status, answer) = side.api("GET", &format!("/containers/{name}/json"), "");
    assert_eq!(status, 200, "{}: {answer}", side.who);
    answer
}

fn check(side: &Side, container: &Value, rows: &[(&str, Value)]) {
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|(pointer, wanted)| {
            let found = container.pointer(pointer).unwrap_or(&Value::Null);
            (found != wanted).then(|| format!("{pointer}: {found}, not {wanted}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}: {wrong:#?}", side.who);
}

fn says(container: &Value, pointer: &str) -> bool {
    container.pointer(pointer).and_then(Value::as_str).is_some_and(|text| !text.is_empty())
}

const ZERO: &str = "0001-01-01T00:00:00Z";
/// Fields that only a start sets.
const FILES: [&str; 4] = ["/HostnamePath", "/HostsPath", "/ResolvConfPath", "/LogPath"];

#[test]
fn a_plain_container_through_its_life() {
    let node = Node::start();
    for side in sides(&node) {
        let name = side.name("plain");
        side.docker(&["create", "--name", &name, "busybox", "sleep", "1000"]).ok();
        let made = inspect(&side, &name);
        let network = |key: &str| format!("/NetworkSettings/Networks/bridge/{key}");
        check(
            &side,
            &made,
            &[
                ("/Name", json!(format!("/{name}"))),
                ("/Path", json!("sleep")),
                ("/Args", json!(["1000"])),
                ("/State/Status", json!("created")),
                ("/State/Running", json!(false)),
                ("/State/Pid", json!(0)),
                ("/State/ExitCode", json!(0)),
                ("/State/Error", json!("")),
                ("/State/StartedAt", json!(ZERO)),
                ("/State/FinishedAt", json!(ZERO)),
                ("/State/Health", Value::Null),
                ("/HostnamePath", json!("")),
                ("/HostsPath", json!("")),
                ("/ResolvConfPath", json!("")),
                ("/LogPath", json!("")),
                ("/RestartCount", json!(0)),
                ("/Platform", json!("linux")),
                ("/Mounts", json!([])),
                ("/ExecIDs", Value::Null),
                ("/Config/Hostname", json!(made["Id"].as_str().unwrap_or_default()[..12])),
                ("/Config/Image", json!("busybox")),
                ("/Config/Cmd", json!(["sleep", "1000"])),
                ("/Config/Entrypoint", Value::Null),
                ("/Config/Volumes", Value::Null),
                ("/Config/Labels", json!({})),
                ("/HostConfig/NetworkMode", json!("bridge")),
                ("/HostConfig/RestartPolicy", json!({ "Name": "no", "MaximumRetryCount": 0 })),
                ("/HostConfig/LogConfig", json!({ "Type": "json-file", "Config": {} })),
                ("/HostConfig/IpcMode", json!("private")),
                ("/HostConfig/ShmSize", json!(67_108_864)),
                ("/HostConfig/Runtime", json!("runc")),
                ("/HostConfig/SecurityOpt", Value::Null),
                ("/HostConfig/OomKillDisable", json!(false)),
                ("/HostConfig/MemorySwappiness", Value::Null),
                ("/HostConfig/PidsLimit", Value::Null),
                ("/HostConfig/Ulimits", Value::Null),
                ("/HostConfig/BlkioDeviceReadBps", Value::Null),
                ("/HostConfig/Init", Value::Null),
                (&network("NetworkID"), json!("")),
                (&network("EndpointID"), json!("")),
            ],
        );
        side.docker(&["start", &name]).ok();
        let up = inspect(&side, &name);
        check(
            &side,
            &up,
            &[
                ("/State/Status", json!("running")),
                ("/State/Running", json!(true)),
                ("/State/FinishedAt", json!(ZERO)),
                ("/NetworkSettings/Ports", json!({})),
            ],
        );
        for pointer in FILES.iter().chain(&["/NetworkSettings/SandboxKey", "/NetworkSettings/SandboxID"]) {
            assert!(says(&up, pointer), "{}: {pointer}", side.who);
        }
        for key in ["NetworkID", "EndpointID", "IPAddress", "Gateway", "MacAddress"] {
            assert!(says(&up, &network(key)), "{}: {key}", side.who);
        }
        side.docker(&["stop", "-t", "0", &name]).ok();
        let ended = inspect(&side, &name);
        check(
            &side,
            &ended,
            &[
                ("/State/Status", json!("exited")),
                ("/State/Running", json!(false)),
                ("/State/Pid", json!(0)),
                ("/State/ExitCode", json!(137)),
                (&network("NetworkID"), up.pointer(&network("NetworkID")).cloned().unwrap_or_default()),
                (&network("EndpointID"), json!("")),
                (&network("IPAddress"), json!("")),
                ("/NetworkSettings/SandboxKey", json!("")),
            ],
        );
        assert!(FILES.iter().all(|pointer| says(&ended, pointer)), "{}", side.who);
        side.docker(&["rm", &name]).ok();
    }
}

#[test]
fn what_was_asked_for_is_shown() {
    let node = Node::start();
    for side in sides(&node) {
        let name = side.name("full");
        for (options, rows) in [
            (
                &["--privileged"][..],
                &[
                    ("/HostConfig/Privileged", json!(true)),
                    ("/HostConfig/MaskedPaths", Value::Null),
                    ("/HostConfig/ReadonlyPaths", Value::Null),
                    ("/HostConfig/SecurityOpt", json!(["label=disable"])),
                ][..],
            ),
            (
                &["--pid", "host", "--uts", "host", "--network", "none"],
                &[
                    ("/HostConfig/PidMode", json!("host")),
                    ("/HostConfig/UTSMode", json!("host")),
                    ("/HostConfig/SecurityOpt", json!(["label=disable"])),
                ],
            ),
            (
                &["--log-driver", "none"],
                &[
                    ("/HostConfig/LogConfig", json!({ "Type": "none", "Config": {} })),
                    ("/LogPath", json!("")),
                ],
            ),
            (
                &[
                    "-m",
                    "100m",
                    "--memory-reservation",
                    "50m",
                    "--memory-swappiness",
                    "10",
                    "--pids-limit",
                    "44",
                ],
                &[
                    ("/HostConfig/Memory", json!(104_857_600)),
                    ("/HostConfig/MemorySwap", json!(209_715_200)),
                    ("/HostConfig/MemoryReservation", json!(52_428_800)),
                    ("/HostConfig/MemorySwappiness", json!(10)),
                    ("/HostConfig/PidsLimit", json!(44)),
                ],
            ),
            (
                &["--cpus", "0.5", "--cpu-shares", "512", "--cpuset-cpus", "0", "--pids-limit", "-1"],
                &[
                    ("/HostConfig/NanoCpus", json!(500_000_000)),
                    ("/HostConfig/CpuShares", json!(512)),
                    ("/HostConfig/CpusetCpus", json!("0")),
                    ("/HostConfig/PidsLimit", Value::Null),
                ],
            ),
            (
                &["--cap-add", "all", "--cap-drop", "net_raw", "--group-add", "50", "--init", "--read-only"],
                &[
                    ("/HostConfig/CapAdd", json!(["all"])),
                    ("/HostConfig/CapDrop", json!(["net_raw"])),
                    ("/HostConfig/GroupAdd", json!(["50"])),
                    ("/HostConfig/Init", json!(true)),
                    ("/HostConfig/ReadonlyRootfs", json!(true)),
                ],
            ),
            (
                &["--ulimit", "nofile=10:20", "--sysctl", "kernel.shmmax=1000", "--tmpfs", "/tm:size=1m"],
                &[
                    ("/HostConfig/Ulimits", json!([{ "Name": "nofile", "Hard": 20, "Soft": 10 }])),
                    ("/HostConfig/Sysctls", json!({ "kernel.shmmax": "1000" })),
                    ("/HostConfig/Tmpfs", json!({ "/tm": "size=1m" })),
                    ("/Mounts", json!([])),
                ],
            ),
            (
                &[
                    "--restart",
                    "on-failure:3",
                    "--stop-signal",
                    "SIGINT",
                    "--stop-timeout",
                    "4",
                    "-l",
                    "a=b=c",
                ],
                &[
                    ("/HostConfig/RestartPolicy", json!({ "Name": "on-failure", "MaximumRetryCount": 3 })),
                    ("/Config/StopSignal", json!("SIGINT")),
                    ("/Config/StopTimeout", json!(4)),
                    ("/Config/Labels", json!({ "a": "b=c" })),
                ],
            ),
            (
                &["-h", "host", "--domainname", "dom", "-u", "1000:50", "-e", "A=b"],
                &[
                    ("/Config/Hostname", json!("host")),
                    ("/Config/Domainname", json!("dom")),
                    ("/Config/User", json!("1000:50")),
                ],
            ),
            (
                &["--health-cmd", "true", "--health-interval", "5s", "--health-retries", "4"],
                &[(
                    "/Config/Healthcheck",
                    json!({ "Test": ["CMD-SHELL", "true"], "Interval": 5_000_000_000_i64, "Retries": 4 }),
                )],
            ),
            (&["--no-healthcheck"], &[("/Config/Healthcheck", json!({ "Test": ["NONE"] }))]),
            (&["--entrypoint", ""], &[("/Path", json!("ls")), ("/Config/Entrypoint", Value::Null)]),
        ] {
            side.docker(&[&["create", "--name", &name], options, &["busybox", "ls"]].concat()).ok();
            check(&side, &inspect(&side, &name), rows);
            side.docker(&["rm", &name]).ok();
        }
    }
}
