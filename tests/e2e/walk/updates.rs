//! `docker update`: its changes and its conflicts.

use gantry_tests::{Node, Side, sides};

fn show(side: &Side, name: &str, template: &str) -> String {
    side.docker(&["inspect", "-f", template, name]).ok()
}

#[test]
fn a_limit_of_processes_is_set_and_lifted() {
    let node = Node::start();
    for side in sides(&node) {
        let name = side.name("pids");
        side.docker(&["run", "-d", "--name", &name, "--pids-limit", "50", "busybox", "sleep", "1000"]).ok();
        let read = "cat /sys/fs/cgroup/pids/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids.max";
        let limit = || side.docker(&["exec", &name, "sh", "-c", read]).ok();
        assert_eq!(limit(), "50", "{}", side.who);
        for (body, shown, real) in [
            (r#"{"PidsLimit":-1}"#, "0", "max"),
            (r#"{"PidsLimit":20}"#, "20", "20"),
            (r#"{}"#, "20", "20"),
            (r#"{"PidsLimit":0}"#, "0", "max"),
        ] {
            let (status, answer) = side.api("POST", &format!("/containers/{name}/update"), body);
            assert_eq!(status, 200, "{}: {body}: {answer}", side.who);
            let seen = (show(&side, &name, "{{.HostConfig.PidsLimit}}"), limit());
            assert_eq!(seen, (shown.to_owned(), real.to_owned()), "{}: {body}", side.who);
        }
        side.docker(&["rm", "-f", &name]).ok();
    }
}

#[test]
fn limits_are_changed_together_with_what_they_contradict() {
    let node = Node::start();
    for side in sides(&node) {
        let name = side.name("limits");
        let options = ["--rm", "-m", "100m", "--cpus", "0.5"];
        side.docker(&[&["run", "-d", "--name", &name], &options[..], &["busybox", "sleep", "1000"]].concat())
            .ok();
        for (body, status, words) in [
            (r#"{"Memory":52428800}"#, 200, ""),
            (
                r#"{"Memory":1000000000}"#,
                409,
                "Memory limit should be smaller than already set memoryswap limit",
            ),
            (r#"{"Memory":300000000,"MemorySwap":400000000}"#, 200, ""),
            (r#"{"Memory":-1}"#, 400, "Minimum memory limit allowed is 6MB"),
            (r#"{"CpuQuota":10000}"#, 409, "CPU Quota cannot be updated as NanoCPUs has already been set"),
            (r#"{"CpuPeriod":50000}"#, 409, "CPU Period cannot be updated as NanoCPUs has already been set"),
            (r#"{"NanoCpus":500000000,"CpuQuota":10000}"#, 400, "Nano CPUs and CPU Quota cannot both be set"),
            (r#"{"NanoCpus":1000000000}"#, 200, ""),
            (r#"{"CpusetCpus":"4000"}"#, 400, "Requested CPUs are not available"),
            (
                r#"{"RestartPolicy":{"Name":"always"}}"#,
                409,
                "Restart policy cannot be updated because AutoRemove",
            ),
            (r#"{"RestartPolicy":{"Name":"bogus"}}"#, 400, "invalid restart policy: unknown policy 'bogus'"),
            (
                r#"{"RestartPolicy":{"Name":"always","MaximumRetryCount":3}}"#,
                400,
                "maximum retry count can only be used with 'on-failure'",
            ),
            (r#"{"PidsLimit":"x"}"#, 400, "invalid JSON: "),
        ] {
            let (was, answer) = side.api("POST", &format!("/containers/{name}/update"), body);
            let said = answer["message"].as_str().unwrap_or_default();
            assert!(was == status && said.contains(words), "{}: {body}: {was} {said}", side.who);
        }
        let template = "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.NanoCpus}}";
        assert_eq!(show(&side, &name, template), "300000000 400000000 1000000000", "{}", side.who);
        side.docker(&["rm", "-f", &name]).ok();
    }
}

#[test]
fn memory_needs_swap_beside_it_where_none_was_limited() {
    let node = Node::start();
    for side in sides(&node) {
        let name = side.name("free");
        side.docker(&["run", "-d", "--name", &name, "busybox", "sleep", "1000"]).ok();
        let above = "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time";
        for (body, status, words, shown) in [
            (r#"{"Memory":33554432}"#, 409, above, "0 0"),
            (r#"{"Memory":33554432,"MemorySwap":-1}"#, 200, "", "33554432 -1"),
            (r#"{"Memory":67108864}"#, 409, above, "33554432 -1"),
            (r#"{"Memory":67108864,"MemorySwap":134217728}"#, 200, "", "67108864 134217728"),
            (r#"{"Memory":100663296}"#, 200, "", "100663296 134217728"),
        ] {
            let (answer, said) = side.api("POST", &format!("/containers/{name}/update"), body);
            let said = said["message"].as_str().unwrap_or("");
            assert!(answer == status && said.contains(words), "{}: {body}: {answer} {said}", side.who);
            let limits = show(&side, &name, "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}}");
            assert_eq!(limits, shown, "{}: {body}", side.who);
        }
        side.docker(&["rm", "-f", &name]).ok();
    }
}
