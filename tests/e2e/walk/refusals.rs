//! Containers that are refused: the status and the message.

use gantry_tests::{Node, Side, sides};

/// Creates a container with these members of `HostConfig`. Returns the status and the message.
fn create(side: &Side, host: &str) -> (u16, String) {
    let name = side.name("refused");
    let body = format!(r#"{{"Image":"busybox","HostConfig":{host}}}"#);
    let (status, answer) = side.api("POST", &format!("/containers/create?name={name}"), &body);
    if status == 201 {
        side.docker(&["rm", &name]).ok();
    }
    (status, answer["message"].as_str().unwrap_or_default().to_owned())
}

fn check(rows: &[(&str, u16, &str)]) {
    let node = Node::start();
    let sides = sides(&node);
    let mut wrong = Vec::new();
    for side in &sides {
        for (host, status, words) in rows {
            let answer = create(side, host);
            if answer.0 != *status || !answer.1.contains(words) {
                wrong.push(format!("{}: {host}: {answer:?}, not {status} {words:?}", side.who));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn limits_that_cannot_be() {
    check(&[
        (r#"{"Memory":1024}"#, 400, "Minimum memory limit allowed is 6MB"),
        (r#"{"Memory":-1}"#, 400, "Minimum memory limit allowed is 6MB"),
        (r#"{"MemoryReservation":1024}"#, 400, "Minimum memory reservation allowed is 6MB"),
        (
            r#"{"Memory":100000000,"MemorySwap":50000000}"#,
            400,
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        ),
        (
            r#"{"MemorySwap":50000000}"#,
            400,
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        ),
        (
            r#"{"Memory":10000000,"MemoryReservation":20000000}"#,
            400,
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        ),
        (r#"{"MemorySwappiness":200}"#, 400, "Invalid value: 200, valid memory swappiness range is 0-100"),
        (r#"{"MemorySwappiness":-1}"#, 201, ""),
        (r#"{"OomScoreAdj":1001}"#, 400, "Invalid value 1001, range for oom score adj is [-1000, 1000]"),
        (r#"{"ShmSize":-1}"#, 400, "SHM size can not be less than 0"),
        (r#"{"NanoCpus":-1}"#, 400, "range of CPUs is from 0.01 to "),
        (r#"{"NanoCpus":900000000000}"#, 400, "range of CPUs is from 0.01 to "),
        (
            r#"{"NanoCpus":1000000000,"CpuPeriod":10000}"#,
            400,
            "Conflicting options: Nano CPUs and CPU Period cannot both be set",
        ),
        (
            r#"{"NanoCpus":1000000000,"CpuQuota":10000}"#,
            400,
            "Conflicting options: Nano CPUs and CPU Quota cannot both be set",
        ),
        (r#"{"CpuPeriod":-1}"#, 400, "CPU cfs period can not be less than 1ms"),
        (r#"{"CpuQuota":100}"#, 400, "CPU cfs quota can not be less than 1ms"),
        (r#"{"CpuShares":-1}"#, 400, "invalid CPU shares (-1): value must be a positive integer"),
        (r#"{"CpusetCpus":"abc"}"#, 400, "Invalid value abc for cpuset cpus: invalid format: abc"),
        (r#"{"CpusetCpus":"0,,0"}"#, 400, "Invalid value 0,,0 for cpuset cpus: invalid format: 0,,0"),
        (r#"{"CpusetCpus":"4000"}"#, 400, "Requested CPUs are not available - requested 4000"),
        (r#"{"CpusetMems":"70"}"#, 400, "Requested memory nodes are not available - requested 70"),
        (
            r#"{"IOMaximumBandwidth":1}"#,
            400,
            "invalid option: QoS maximum bandwidth configuration is not supported on linux",
        ),
        (r#"{"PidsLimit":-1}"#, 201, ""),
        (r#"{"Memory":1.5}"#, 400, "invalid JSON: "),
        (r#"{"Memory":"1"}"#, 400, "invalid JSON: "),
        (r#"{"Memory":99999999999999999999999}"#, 400, "invalid JSON: "),
        (r#"{"BlkioWeight":-1}"#, 400, "invalid JSON: "),
    ]);
}

#[test]
fn privileges_and_namespaces_that_are_not_there() {
    check(&[
        (r#"{"CapAdd":["NOSUCH"]}"#, 400, r#"invalid CapAdd: unknown capability: "CAP_NOSUCH""#),
        (r#"{"CapDrop":["NOSUCH"]}"#, 400, r#"invalid CapDrop: unknown capability: "CAP_NOSUCH""#),
        (r#"{"CapAdd":[""]}"#, 400, r#"invalid CapAdd: unknown capability: "CAP_""#),
        (r#"{"CapAdd":"ALL"}"#, 201, ""),
        (r#"{"CapAdd":["net_admin"],"CapDrop":["all"]}"#, 201, ""),
        (r#"{"PidMode":"private"}"#, 400, "invalid PID mode: private"),
        (r#"{"PidMode":"container:nosuch"}"#, 400, "No such container: nosuch"),
        (r#"{"IpcMode":"xx"}"#, 400, "invalid IPC mode: xx"),
        (r#"{"IpcMode":"container:nosuch"}"#, 400, "No such container: nosuch"),
        (r#"{"UTSMode":"private"}"#, 400, "invalid UTS mode: private"),
        (r#"{"UsernsMode":"private"}"#, 201, ""),
        (r#"{"CgroupnsMode":"foo"}"#, 400, "invalid cgroup namespace mode: foo"),
        (r#"{"Isolation":"process"}"#, 400, "invalid isolation (process): linux only supports 'default'"),
        (r#"{"Runtime":"nosuch"}"#, 400, "unknown or invalid runtime name: nosuch"),
        (
            r#"{"RestartPolicy":{"Name":"always","MaximumRetryCount":2}}"#,
            400,
            "invalid restart policy: maximum retry count can only be used with 'on-failure'",
        ),
        (
            r#"{"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":-1}}"#,
            400,
            "invalid restart policy: maximum retry count cannot be negative",
        ),
        (
            r#"{"RestartPolicy":{"Name":"","MaximumRetryCount":-1}}"#,
            400,
            "invalid restart policy: maximum retry count can only be used with 'on-failure' and cannot be negative",
        ),
        (r#"{"RestartPolicy":{"Name":"Always"}}"#, 400, "invalid restart policy: unknown policy 'Always'"),
        (
            r#"{"AutoRemove":true,"RestartPolicy":{"Name":"always"}}"#,
            400,
            "can't create 'AutoRemove' container with restart policy",
        ),
        (r#"{"LogConfig":{"Type":"nosuch"}}"#, 400, "error looking up logging plugin nosuch"),
        (
            r#"{"LogConfig":{"Type":"json-file","Config":{"foo":"bar"}}}"#,
            400,
            "unknown log opt 'foo' for json-file log driver",
        ),
        (
            r#"{"LogConfig":{"Type":"local","Config":{"labels":"x"}}}"#,
            400,
            "unknown log opt 'labels' for log driver local",
        ),
    ]);
}

#[test]
fn mounts_that_contradict_themselves() {
    check(&[
        (r#"{"Binds":["/a:/b","/c:/b"]}"#, 400, "Duplicate mount point: /b"),
        (
            r#"{"Binds":["a b:/b"]}"#,
            400,
            r#"create a b: "a b" includes invalid characters for a local volume name"#,
        ),
        (r#"{"Binds":["v:/b"]}"#, 400, "create v: volume name is too short"),
        (r#"{"VolumesFrom":["nosuch"]}"#, 400, "No such container: nosuch"),
        (r#"{"VolumesFrom":[""]}"#, 400, "volumes-from specification cannot be an empty string"),
        (r#"{"VolumesFrom":["nosuch:xx"]}"#, 400, "invalid mode: xx"),
        (
            r#"{"Mounts":[{"Type":"volume","Source":"vv","Target":"/x","BindOptions":{"Propagation":"rslave"}}]}"#,
            400,
            r#"BindOptions must not be specified on mount type "volume""#,
        ),
        (
            r#"{"Mounts":[{"Type":"bind","Source":"/tmp","Target":"/x","VolumeOptions":{"NoCopy":true}}]}"#,
            400,
            r#"VolumeOptions must not be specified on mount type "bind""#,
        ),
        (
            r#"{"Mounts":[{"Type":"bind","Source":"/tmp","Target":"/x","TmpfsOptions":{"SizeBytes":1}}]}"#,
            400,
            r#"TmpfsOptions must not be specified on mount type "bind""#,
        ),
        (
            r#"{"Mounts":[{"Type":"tmpfs","Target":"/x","TmpfsOptions":{"Options":[["bogus"]]}}]}"#,
            400,
            r#"invalid mount config for type "tmpfs": invalid option: bogus"#,
        ),
        (
            r#"{"Mounts":[{"Type":"bind","Source":"/tmp","Target":"/x","BindOptions":{"Propagation":"foo"}}]}"#,
            400,
            r#"invalid mount config for type "bind": invalid propagation mode: foo"#,
        ),
        (
            r#"{"Mounts":[{"Type":"bind","Source":"/no/such","Target":"/x"}]}"#,
            400,
            r#"invalid mount config for type "bind": bind source path does not exist: /no/such"#,
        ),
        (
            r#"{"Mounts":[{"Type":"bind","Target":"/x"}]}"#,
            400,
            r#"invalid mount config for type "bind": field Source must not be empty"#,
        ),
        (
            r#"{"Mounts":[{"Type":"volume","Target":""}]}"#,
            400,
            r#"invalid mount config for type "volume": field Target must not be empty"#,
        ),
        (
            r#"{"Mounts":[{"Type":"volume","Target":"/"}]}"#,
            400,
            r#"invalid mount config for type "volume": invalid specification: destination can't be '/'"#,
        ),
        (
            r#"{"Mounts":[{"Type":"volume","Target":"rel"}]}"#,
            400,
            r#"invalid mount config for type "volume": invalid mount path: 'rel' mount path must be absolute"#,
        ),
        (
            r#"{"Mounts":[{"Type":"volume","Target":"/x","ReadOnly":true}]}"#,
            400,
            r#"invalid mount config for type "volume": must not set ReadOnly mode when using anonymous volumes"#,
        ),
        (
            r#"{"Mounts":[{"Type":"npipe","Source":"x","Target":"/x"}]}"#,
            400,
            r#"invalid mount config for type "npipe": mount type unknown"#,
        ),
        (r#"{"Mounts":[{"Target":"/x"}]}"#, 400, r#"invalid mount config for type "": mount type unknown"#),
    ]);
}

#[test]
fn words_that_the_reference_says_with_500() {
    let node = Node::start();
    for side in sides(&node) {
        let bind = |text: &str| format!(r#"{{"Binds":["{text}"]}}"#);
        let security = |text: &str| format!(r#"{{"SecurityOpt":["{text}"]}}"#);
        for (host, words) in [
            (bind("/tmp:/y:ro,rw"), "invalid mode: ro,rw"),
            (bind("/tmp:/y:z,Z"), "invalid mode: z,Z"),
            (bind("/tmp:/y:copy"), "invalid mode: copy"),
            (bind("/tmp:/y:nocopy"), "field VolumeOptions must not be specified"),
            (bind("vv:/y:rshared"), "field BindOptions must not be specified"),
            (bind("/tmp:/"), "invalid specification: destination can't be '/'"),
            (security("foo"), r#"invalid --security-opt 1: "foo""#),
            (security("foo=bar"), r#"invalid --security-opt 2: "foo=bar""#),
            (security("no-new-privileges:xx"), r#"invalid --security-opt 2: "no-new-privileges:xx""#),
        ] {
            let (status, said) = create(&side, &host);
            let right = if side.who == "gantry" { 400 } else { 500 };
            assert!(status == right && said.contains(words), "{}: {host}: {status} {said}", side.who);
        }
        let body = r#"{"Image":"busybox","WorkingDir":"/bin/busybox"}"#;
        let (status, answer) = side.api("POST", "/containers/create", body);
        let words = "Cannot mkdir: /bin/busybox is not a directory";
        assert!(status >= 400 && answer["message"] == words, "{}: {status} {answer}", side.who);
    }
}

#[test]
fn names_and_hostnames() {
    let node = Node::start();
    for side in sides(&node) {
        let own = side.name("own");
        side.docker(&["create", "--name", &own, "busybox"]).ok();
        let other = side.name("other");
        side.docker(&["create", "--name", &other, "busybox"]).ok();
        let invalid = "only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed";
        for (path, body, status, words) in [
            ("/containers/create?name=/", r#"{"Image":"busybox"}"#, 400, "Invalid container name (/), "),
            ("/containers/create?name=//x", r#"{"Image":"busybox"}"#, 400, "Invalid container name (//x), "),
            ("/containers/create?name=x", r#"{"Image":"busybox"}"#, 400, invalid),
            (
                "/containers/create",
                r#"{"Image":"busybox","Hostname":"h","HostConfig":{"UTSMode":"host"}}"#,
                400,
                "conflicting options: hostname and the UTS mode",
            ),
            (
                "/containers/create",
                r#"{"Image":"busybox","WorkingDir":"rel"}"#,
                400,
                "the working directory 'rel' is invalid, it needs to be an absolute path",
            ),
            (
                "/containers/create",
                r#"{"Image":"busybox","StopSignal":"SIGNOSUCH"}"#,
                400,
                "invalid signal: SIGNOSUCH",
            ),
            (
                "/containers/create",
                r#"{"Image":"busybox","Env":["=x"]}"#,
                400,
                "invalid environment variable: =x",
            ),
            (
                "/containers/create",
                r#"{"Image":"no-such-image"}"#,
                404,
                "No such image: no-such-image:latest",
            ),
            ("/containers/OWN/rename", "", 400, "Neither old nor new names may be empty"),
            (
                "/containers/OWN/rename?name=OWN",
                "",
                400,
                "Renaming a container with the same name as its current name",
            ),
            (
                "/containers/OWN/rename?name=a/b",
                "",
                400,
                "Error when allocating new name: Invalid container name (/a/b), ",
            ),
            (
                "/containers/OWN/rename?name=OTHER",
                "",
                409,
                "Error when allocating new name: Conflict. The container name ",
            ),
            ("/containers/no-such/rename?name=xx", "", 404, "No such container: no-such"),
        ] {
            let path = path.replace("OWN", &own).replace("OTHER", &other);
            let (was, answer) = side.api("POST", &path, body);
            let said = answer["message"].as_str().unwrap_or_default();
            assert!(was == status && said.contains(words), "{}: {path} {body}: {was} {said}", side.who);
        }
        side.docker(&["rm", &own, &other]).ok();
    }
}
