//! Execs, and the users that processes run as.

use std::fs::File;
use std::io::{Read, Write};

use gantry_proto::containerd::task::v3 as task;
use rustix::fs::{CWD, Mode, OFlags, mkfifoat};
use rustix::io::Errno;
use serde_json::json;
use tonic::Code;

use crate::shim::{Io, Place, until};

#[tokio::test]
async fn an_exec_joins_the_container_under_its_filter() {
    let mut place = Place::new(&["sleep", "100"]);
    place.spec["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]
    });
    let mut client = place.run(&Io::default()).await;
    let script = "echo $$ > /tmp/pid; grep Seccomp: /proc/self/status; grep -c . /proc/self/cgroup > /dev/null; \
                  mkdir /tmp/x 2>/dev/null || echo denied; grep CapEff /proc/self/status; echo $HOME; exit 3";
    let (output, status) = place.exec(&mut client, "e1", &["sh", "-c", script]).await;
    assert_eq!(status, 3);
    assert_eq!(output, "Seccomp:\t2\ndenied\nCapEff:\t00000000000000e1\n/root\n");
    let pid = std::fs::read_to_string(place.root().join("tmp/pid")).expect("written in the root");
    assert!(pid.trim().parse::<u32>().expect("a pid") < 50, "not in the container's PID namespace");
    place.kill(&mut client, 9).await.expect("killed");
    place.wait(&mut client, "").await;
    place.finish(&mut client).await;
}

#[tokio::test]
async fn an_exec_counts_in_the_cgroup_and_dies_with_the_init() {
    let mut place = Place::new(&["sleep", "100"]);
    let mut client = place.run(&Io::default()).await;
    client.exec(place.exec_request("e1", &["sleep", "100"], &Io::default())).await.expect("announced");
    let again = client.exec(place.exec_request("e1", &["true"], &Io::default())).await;
    assert_eq!(again.expect_err("taken").code(), Code::AlreadyExists);
    client.start(place.start_request("e1")).await.expect("started");
    let pids = client.pids(task::PidsRequest { id: place.id.clone() }).await.expect("pids").into_inner();
    assert_eq!(pids.processes.iter().filter(|process| process.info.is_some()).count(), 1);
    assert_eq!(pids.processes.len(), 2);
    place.kill(&mut client, 9).await.expect("killed");
    assert_eq!(place.wait(&mut client, "e1").await, 137);
    assert_eq!(place.wait(&mut client, "").await, 137);
    let left = std::fs::read_dir(place.bundle.join("execs")).expect("a directory").count();
    assert_eq!(left, 0, "health checks would fill the memory with it");
    let late = client.exec(place.exec_request("e2", &["true"], &Io::default())).await;
    assert_eq!(late.expect_err("ended").code(), Code::FailedPrecondition);
    place.finish(&mut client).await;
}

#[tokio::test]
async fn an_exec_opens_its_fifos_when_it_starts() {
    let mut place = Place::new(&["sleep", "100"]);
    let mut client = place.run(&Io::default()).await;
    let (input, output) = (place.directory.path().join("in"), place.directory.path().join("out"));
    for fifo in [&input, &output] {
        mkfifoat(CWD, fifo, Mode::from_raw_mode(0o600)).expect("a FIFO");
    }
    let io = Io {
        stdin: input.to_string_lossy().into_owned(),
        stdout: output.to_string_lossy().into_owned(),
        ..Io::default()
    };
    client.exec(place.exec_request("e1", &["cat"], &io)).await.expect("announced");
    let open = |path, mode| rustix::fs::open(path, mode | OFlags::NONBLOCK, Mode::empty());
    let early = open(&input, OFlags::WRONLY);
    assert_eq!(early.expect_err("nobody reads yet: a client waits here"), Errno::NXIO);
    let mut output = File::from(open(&output, OFlags::RDONLY).expect("opened"));
    rustix::io::ioctl_fionbio(&output, false).expect("set");
    client.start(place.start_request("e1")).await.expect("started");
    let mut input = File::from(open(&input, OFlags::WRONLY).expect("somebody reads"));
    input.write_all(b"ping").expect("written");
    let close = task::CloseIoRequest { id: place.id.clone(), exec_id: "e1".into(), stdin: true };
    client.close_io(close).await.expect("closed");
    drop(input);
    assert_eq!(place.wait(&mut client, "e1").await, 0);
    let mut said = [0; 4];
    output.read_exact(&mut said).expect("read");
    assert_eq!(&said, b"ping");
    place.delete(&mut client, "e1").await.expect("deleted");
    place.kill(&mut client, 9).await.expect("killed");
    place.wait(&mut client, "").await;
    place.finish(&mut client).await;
}

#[tokio::test]
async fn further_groups_are_an_execs_too() {
    let mut place = Place::new(&["sleep", "100"]);
    place.spec["annotations"] = json!({"io.gantry.groups": "log,777"});
    let mut client = place.run(&Io::default()).await;
    place.spec["process"]["user"] = json!({"uid": 0, "gid": 0, "username": "web"});
    let (output, _) = place.exec(&mut client, "e1", &["id"]).await;
    assert_eq!(output, "uid=33(web) gid=44(web) groups=44(web),55(log),777\n");
    place.spec["process"]["user"] = json!({"uid": 5, "gid": 5});
    let (output, _) = place.exec(&mut client, "e2", &["id"]).await;
    assert_eq!(output, "uid=5 gid=5 groups=55(log),777\n");
    place.kill(&mut client, 9).await.expect("killed");
    place.wait(&mut client, "").await;
    place.finish(&mut client).await;
}

#[tokio::test]
async fn signals_are_let_in_and_limits_are_the_programs_only() {
    let script = "grep SigBlk /proc/self/status; ulimit -n";
    let mut place = Place::new(&["sh", "-c", &format!("{script}; exec sleep 100")]);
    place.spec["process"]["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 5, "hard": 5}]);
    let mut client = place.run(&place.json_log()).await;
    let expected = "SigBlk:\t0000000000000000\n5\n";
    let (output, _) = place.exec(&mut client, "e1", &["sh", "-c", script]).await;
    assert_eq!(output, expected);
    place.kill(&mut client, 9).await.expect("killed");
    place.wait(&mut client, "").await;
    place.finish(&mut client).await;
    assert_eq!(place.logged("stdout"), expected);
}

#[tokio::test]
async fn users_are_found_in_the_containers_root() {
    let mut place = Place::new(&["sh", "-c", "id; echo $HOME; pwd; echo out > /dev/stderr"]);
    place.spec["annotations"] = json!({"io.gantry.user": "web"});
    place.spec["process"]["cwd"] = json!("/made/for/it");
    let mut client = place.run(&place.json_log()).await;
    place.wait(&mut client, "").await;
    place.finish(&mut client).await;
    assert_eq!(
        place.logged("stdout"),
        "uid=33(web) gid=44(web) groups=44(web),55(log)\n/srv\n/made/for/it\n"
    );
    assert_eq!(place.logged("stderr"), "out\n");
}

#[tokio::test]
async fn an_exec_may_name_its_user() {
    let mut place = Place::new(&["sleep", "100"]);
    let mut client = place.run(&Io::default()).await;
    place.spec["process"]["user"] = json!({"uid": 0, "gid": 0, "username": "web:root"});
    let (output, status) = place.exec(&mut client, "e1", &["id"]).await;
    assert_eq!((output.as_str(), status), ("uid=33(web) gid=0(root) groups=0(root)\n", 0));
    place.spec["process"]["user"] = json!({"uid": 0, "gid": 0, "username": "nobody"});
    client.exec(place.exec_request("e2", &["id"], &Io::default())).await.expect("announced");
    let failed = client.start(place.start_request("e2")).await.expect_err("no such user");
    assert_eq!(failed.message(), "unable to find user nobody: no matching entries in passwd file");
    place.kill(&mut client, 9).await.expect("killed");
    until("it ended", || place.bundle.join("exit.json").exists());
    place.finish(&mut client).await;
}

#[tokio::test]
async fn a_filter_with_a_masked_comparison_lets_programs_fork_but_not_unshare() {
    for no_new_privileges in [false, true] {
        let script = "(echo forked); grep -E '^(Seccomp|NoNewPrivs|CapEff):' /proc/self/status; unshare -m true || echo denied; sleep 1";
        let mut place = Place::new(&["sh", "-c", script]);
        let flags = 0x7e02_0000_u64;
        place.spec["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [
                {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
                {"names": ["unshare"], "action": "SCMP_ACT_ERRNO"},
                {"names": ["clone"], "action": "SCMP_ACT_ERRNO",
                 "args": [{"index": 0, "value": flags, "valueTwo": flags, "op": "SCMP_CMP_MASKED_EQ"}]}
            ]
        });
        place.spec["process"]["user"] = json!({"uid": 33, "gid": 44});
        place.spec["process"]["noNewPrivileges"] = json!(no_new_privileges);
        let mut client = place.run(&place.json_log()).await;
        let (output, _) = place
            .exec(&mut client, "e1", &["sh", "-c", "(echo forked); grep Seccomp: /proc/self/status"])
            .await;
        assert_eq!(output, "forked\nSeccomp:\t2\n");
        place.wait(&mut client, "").await;
        place.finish(&mut client).await;
        let nnp = u8::from(no_new_privileges);
        let expected =
            format!("forked\nCapEff:\t0000000000000000\nNoNewPrivs:\t{nnp}\nSeccomp:\t2\ndenied\n");
        assert_eq!(place.logged("stdout"), expected);
    }
}
