//! Options of `docker run`.

use std::time::Duration;

use gantry_tests::{Node, eventually};

fn run(node: &Node, options: &[&str], script: &str) -> String {
    let arguments: Vec<_> =
        ["run", "--rm"].iter().chain(options).chain(&["busybox", "sh", "-c", script]).copied().collect();
    node.docker(&arguments).ok()
}

#[test]
fn environment_directory_user_and_hostname() {
    let node = Node::start();
    assert_eq!(run(&node, &["-e", "A=b c", "-w", "/tmp/new"], "echo $A; pwd"), "b c\n/tmp/new");
    assert_eq!(
        run(&node, &["-u", "alice"], "id"),
        "uid=1000(alice) gid=1000(alice) groups=50(staff),1000(alice)"
    );
    assert_eq!(run(&node, &["-u", "1000:50"], "id -u; id -g; echo $HOME"), "1000\n50\n/home/alice");
    assert_eq!(run(&node, &["--group-add", "staff", "--group-add", "77"], "id -G"), "0 50 77");
    assert_eq!(run(&node, &["--hostname", "h1"], "hostname; grep h1 /etc/hosts | cut -f2"), "h1\nh1");
    node.docker(&["run", "--rm", "-u", "nobody-here", "busybox", "true"]).fails(125);
}

#[test]
fn what_cannot_be_had_is_said_and_leaves_nothing() {
    let node = Node::start();
    for (option, said) in [
        ("--network=nosuch", "network nosuch not found"),
        ("--network=container:nosuch", "No such container: nosuch"),
        ("--cpuset-cpus=4000", "Requested CPUs are not available"),
        ("--log-driver=splunk", "log driver splunk is not supported"),
        ("--log-opt=max-size=10q", "invalid size: '10q'"),
    ] {
        let error = node.docker(&["run", "--rm", option, "busybox", "true"]).fails(125);
        assert!(error.contains(said) && !error.contains("Unable to find image"), "{option}: {error}");
    }
    assert_eq!(node.docker(&["ps", "-aq"]).ok(), "");
}

#[test]
fn entrypoint_replaces_the_command() {
    let node = Node::start();
    let output =
        node.docker(&["run", "--rm", "--entrypoint", "/bin/echo", "busybox", "first", "second"]).ok();
    assert_eq!(output, "first second");
}

#[test]
fn the_root_can_be_read_only() {
    let node = Node::start();
    let script = "touch /x 2>&1; touch /tmp/y && echo written";
    let output = run(&node, &["--read-only", "--tmpfs", "/tmp"], script);
    assert!(output.contains("Read-only file system") && output.ends_with("written"), "{output}");
}

#[test]
fn temporary_file_systems_have_options() {
    let node = Node::start();
    let mounts = run(
        &node,
        &["--tmpfs", "/cache:size=1m,mode=700"],
        "grep ' /cache ' /proc/mounts; stat -c %a /cache",
    );
    assert!(
        mounts.contains("size=1024k") && mounts.contains("noexec") && mounts.ends_with("700"),
        "{mounts}"
    );
}

#[test]
fn capabilities_are_docker_s() {
    let node = Node::start();
    let bounding = |options: &[&str]| run(&node, options, "grep CapBnd /proc/self/status | cut -f2");
    assert_eq!(bounding(&[]), "00000000a80425fb");
    assert_eq!(bounding(&["--cap-drop", "ALL", "--cap-add", "NET_ADMIN"]), "0000000000001000");
    assert_eq!(run(&node, &[], "grep -c ^Seccomp:.2 /proc/self/status"), "1");
}

#[test]
fn privileged_containers_see_devices_and_may_mount() {
    let node = Node::start();
    let script =
        "mount -t tmpfs none /mnt 2>/dev/null || { mkdir -p /mnt; mount -t tmpfs none /mnt; }; echo $?";
    assert_eq!(run(&node, &["--privileged"], script), "0");
    assert_eq!(run(&node, &[], "mkdir -p /mnt; mount -t tmpfs none /mnt 2>/dev/null; echo $?"), "1");
}

#[test]
fn sensitive_paths_are_masked() {
    let node = Node::start();
    assert_eq!(run(&node, &[], "cat /proc/kcore | wc -c"), "0");
    assert_eq!(run(&node, &[], "echo 1 2>/dev/null >/proc/sys/kernel/panic; echo $?"), "1");
}

#[test]
fn resources_are_limited() {
    let node = Node::start();
    let options = ["--memory", "64m", "--cpus", "0.5", "--pids-limit", "50"];
    let script = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us \
                  /sys/fs/cgroup/pids/pids.max 2>/dev/null \
                  || cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max /sys/fs/cgroup/pids.max";
    let limits = run(&node, &options, script);
    assert!(limits.contains("67108864") && limits.contains("50000") && limits.contains("\n50"), "{limits}");
}

#[test]
fn running_out_of_memory_is_told() {
    let node = Node::start();
    let script = "tail /dev/zero";
    node.docker(&["run", "--name", "box", "--memory", "16m", "busybox", "sh", "-c", script]).fails(137);
    // The event may come a moment after the exit.
    eventually("it is told", Duration::from_secs(10), || {
        match node.docker(&["inspect", "-f", "{{.State.OOMKilled}}", "box"]).ok().as_str() {
            "true" => Ok(()),
            other => Err(other.to_owned()),
        }
    });
}

#[test]
fn ulimits_are_set() {
    let node = Node::start();
    assert_eq!(run(&node, &["--ulimit", "nofile=100:200"], "ulimit -n; ulimit -Hn"), "100\n200");
}

#[test]
fn an_init_reaps_orphans() {
    let node = Node::start();
    let script = "(sleep 0.1 &) ; sleep 0.5; ps -o stat,comm | grep -c ^Z; cat /proc/1/comm";
    let output = run(&node, &["--init"], script);
    assert!(output.starts_with("0\n"), "{output}");
    assert!(!output.ends_with("sh"), "{output}");
}

#[test]
fn bad_requests_are_refused_before_anything_is_made() {
    let node = Node::start();
    for options in [
        &["--memory", "1k"][..],
        &["--cap-add", "NO_SUCH"],
        &["-v", "relative/path:/x:nonsense"],
        &["--restart", "always", "--rm"],
        &["--network", "container:nobody"],
        &["--security-opt", "no-such-option"],
    ] {
        let arguments: Vec<_> = ["run"].iter().chain(options).chain(&["busybox", "true"]).copied().collect();
        let outcome = node.docker(&arguments);
        assert_eq!(outcome.code, 125, "{outcome:#?}");
    }
    assert_eq!(node.docker(&["ps", "-aq"]).ok(), "");
}
