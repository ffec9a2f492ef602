//! Programs that cannot run, and shims that die.

use std::time::Duration;

use gantry_proto::gantry::shim::v1::{StartFailure, start_failure::Cause};
use serde_json::json;
use tonic::Code;

use crate::shim::{Io, Place, is_alive, make_executable, until};

async fn reason(arguments: &[&str]) -> (Cause, String) {
    let mut place = Place::new(arguments);
    std::fs::write(place.root().join("bin/plain"), "text").expect("a file");
    std::fs::write(place.root().join("bin/lost"), "#!/no/interpreter\n").expect("a file");
    make_executable(&place.root().join("bin/plain"), 0o644);
    make_executable(&place.root().join("bin/lost"), 0o755);
    let mut client = place.connect().await;
    let failed = match client.create(place.create_request(&Io::default())).await {
        Err(failed) => failed,
        Ok(_) => {
            let failed = client.start(place.start_request("")).await.expect_err("cannot start");
            place.wait(&mut client, "").await;
            place.delete(&mut client, "").await.expect("deleted");
            failed
        }
    };
    place.assert_clean();
    assert_eq!(failed.code(), Code::Unknown);
    let detail: StartFailure = gantry_proto::detail(failed.details()).expect("a cause");
    (detail.cause(), failed.message().to_string())
}

#[tokio::test]
async fn a_program_that_cannot_run_is_told_in_dockers_words() {
    for (program, cause, words) in [
        ("missing", Cause::NotFound, "exec: \"missing\": executable file not found in $PATH"),
        (
            "/bin/missing",
            Cause::NotFound,
            "exec: \"/bin/missing\": stat /bin/missing: no such file or directory",
        ),
        ("/bin/plain", Cause::NotPermitted, "exec: \"/bin/plain\": permission denied"),
        ("plain", Cause::NotPermitted, "exec: \"plain\": permission denied"),
        ("/bin", Cause::NotPermitted, "exec: \"/bin\": is a directory: permission denied"),
        ("/bin/lost", Cause::NotFound, "exec /bin/lost: no such file or directory"),
    ] {
        let reason = reason(&[program]).await;
        assert_eq!(reason, (cause, format!("unable to start container process: {words}")));
    }
}

#[tokio::test]
async fn a_program_is_not_found_through_what_the_runtime_has_open() {
    for number in 3..20 {
        let path = format!("/proc/self/fd/{number}/../../../../../../../bin/busybox");
        let mut place = Place::new(&[&path, "echo", "escaped"]);
        std::fs::remove_file(place.root().join("bin/busybox")).expect("removed");
        let mut client = place.connect().await;
        if client.create(place.create_request(&place.json_log())).await.is_ok() {
            client.start(place.start_request("")).await.expect_err("no such program in the container");
            place.wait(&mut client, "").await;
            place.delete(&mut client, "").await.expect("deleted");
        }
        assert_eq!(place.logged("stdout"), "");
        place.assert_clean();
    }
}

#[tokio::test]
async fn a_container_that_is_not_started_ends_with_its_shim() {
    let mut place = Place::new(&["true"]);
    let mut client = place.connect().await;
    let created = client.create(place.create_request(&Io::default())).await.expect("created");
    let pid = created.into_inner().pid;
    let shim = place.shim.take().expect("a shim");
    let _ = std::process::Command::new("kill").args(["-9", &shim.to_string()]).status();
    until("the container is gone", || !is_alive(pid));
    place.delete_dead();
    place.assert_clean();
}

#[tokio::test]
async fn an_exec_that_cannot_run_leaves_the_container_alone() {
    let mut place = Place::new(&["sleep", "100"]);
    let mut client = place.run(&Io::default()).await;
    client.exec(place.exec_request("e1", &["missing"], &Io::default())).await.expect("announced");
    let failed = client.start(place.start_request("e1")).await.expect_err("cannot start");
    assert!(failed.message().contains("executable file not found in $PATH"), "{}", failed.message());
    assert_eq!(place.wait(&mut client, "e1").await, 127);
    place.delete(&mut client, "e1").await.expect("deleted");
    place.kill(&mut client, 9).await.expect("killed");
    place.wait(&mut client, "").await;
    place.finish(&mut client).await;
}

#[tokio::test]
async fn an_unknown_user_and_a_bad_mount_fail_create() {
    let mut place = Place::new(&["true"]);
    place.spec["annotations"] = json!({"io.gantry.user": "x"});
    let mut client = place.connect().await;
    let failed = client.create(place.create_request(&Io::default())).await.expect_err("no such user");
    assert_eq!(failed.message(), "unable to find user x: no matching entries in passwd file");
    place.assert_clean();

    let mut place = Place::new(&["true"]);
    let mounts = place.spec["mounts"].as_array_mut().expect("mounts");
    mounts.push(
        json!({"destination": "/m", "type": "bind", "source": "/no/such/source", "options": ["rbind"]}),
    );
    let mut client = place.connect().await;
    let failed = client.create(place.create_request(&Io::default())).await.expect_err("no such source");
    assert!(failed.message().to_lowercase().contains("no such file or directory"), "{}", failed.message());
    assert!(failed.message().contains("/no/such/source"), "{}", failed.message());
    place.assert_clean();
}

#[tokio::test]
async fn a_hook_that_fails_is_told_at_once_and_leaves_nothing() {
    for (hook, words) in [
        ("prestart", "failed to run prestart hooks"),
        ("createRuntime", "failed to run create runtime hooks"),
        ("createContainer", "failed to run create container hooks"),
    ] {
        let mut place = Place::new(&["true"]);
        place.spec["hooks"] = json!({hook: [{"path": "/bin/false", "args": ["false"]}]});
        let mut client = place.connect().await;
        let created = client.create(place.create_request(&Io::default()));
        let failed = tokio::time::timeout(Duration::from_secs(20), created).await.expect("at once");
        let message = failed.expect_err("it failed").message().to_string();
        assert!(message.contains(words), "{message}");
        place.assert_clean();
        // The id is free again.
        place.spec["hooks"] = json!({});
        std::fs::write(place.bundle.join("config.json"), place.spec.to_string()).expect("a spec");
        client.create(place.create_request(&Io::default())).await.expect("created");
        client.start(place.start_request("")).await.expect("started");
        assert_eq!(place.wait(&mut client, "").await, 0);
        place.finish(&mut client).await;
    }
}

#[tokio::test]
async fn a_hook_need_not_read_what_it_is_told() {
    let script = "case $(grep SigIgn /proc/self/status) in *0000000000000000) exit 0;; esac; exit 1";
    let mut place = Place::new(&["sh", "-c", script]);
    // More than a pipe holds: the pipe breaks while the helper writes to the hook.
    place.spec["annotations"] = json!({"large": "x".repeat(1 << 20)});
    let deaf = json!([{"path": "/bin/sh", "args": ["sh", "-c", "exec <&-"]}]);
    place.spec["hooks"] = json!({"prestart": deaf, "createRuntime": deaf, "createContainer": deaf});
    let mut client = place.connect().await;
    client.create(place.create_request(&Io::default())).await.expect("created");
    client.start(place.start_request("")).await.expect("started");
    assert_eq!(place.wait(&mut client, "").await, 0, "the program ignores no signal");
    place.finish(&mut client).await;
}

#[tokio::test]
async fn the_name_of_a_program_may_be_too_long() {
    for name in ["x".repeat(66_000), format!("/{}", "y".repeat(66_000))] {
        let mut place = Place::new(&[&name]);
        let mut client = place.connect().await;
        let created = client.create(place.create_request(&Io::default()));
        let failed = tokio::time::timeout(Duration::from_secs(20), created).await.expect("at once");
        let message = failed.expect_err("no such program").message().to_string();
        assert!(message.starts_with("unable to start container process: exec: \"") && message.len() < 8000);
        place.assert_clean();
    }
}

#[tokio::test]
async fn a_user_namespace_may_have_several_ranges() {
    let mut place =
        Place::new(&["sh", "-c", "cat /proc/self/uid_map /proc/self/gid_map; id -u; exec sleep 100"]);
    let namespaces = place.spec["linux"]["namespaces"].as_array_mut().expect("namespaces");
    namespaces.push(json!({"type": "user"}));
    place.spec["linux"]["uidMappings"] = json!([
        {"containerID": 0, "hostID": 100_000, "size": 10}, {"containerID": 10, "hostID": 200_000, "size": 7}
    ]);
    place.spec["linux"]["gidMappings"] = json!([{"containerID": 0, "hostID": 100_000, "size": 100}]);
    let mut client = place.run(&place.json_log()).await;
    let (output, status) = place.exec(&mut client, "e1", &["id", "-u"]).await;
    assert_eq!((output.as_str(), status), ("0\n", 0));
    place.kill(&mut client, 9).await.expect("killed");
    place.wait(&mut client, "").await;
    place.finish(&mut client).await;
    let words: Vec<String> = place.logged("stdout").split_whitespace().map(str::to_owned).collect();
    assert_eq!(words.join(" "), "0 100000 10 10 200000 7 0 100000 100 0");
}

#[tokio::test]
async fn a_dead_shims_container_is_killed_by_delete() {
    let mut place = Place::new(&["sh", "-c", "sleep 100 & sleep 200"]);
    let mut client = place.run(&place.json_log()).await;
    let pid = place.state(&mut client).await.pid;
    let shim = place.shim.take().expect("a shim");
    let _ = std::process::Command::new("kill").args(["-9", &shim.to_string()]).status();
    until("the shim is gone", || !is_alive(shim));
    assert!(is_alive(pid), "the container outlives its shim");
    let answer = place.delete_dead();
    assert_eq!((answer.pid, answer.exit_status), (pid, 137));
    until("the container is gone", || !is_alive(pid));
    place.assert_clean();
    let again = place.delete_dead();
    assert_eq!(again, answer);
    assert_eq!(std::fs::read_dir(place.directory.path().join("run/s")).expect("sockets").count(), 0);
}

#[tokio::test]
async fn delete_tells_how_a_container_really_ended() {
    let mut place = Place::new(&["sh", "-c", "exit 5"]);
    let mut client = place.run(&Io::default()).await;
    assert_eq!(place.wait(&mut client, "").await, 5);
    let shim = place.shim.take().expect("a shim");
    let _ = std::process::Command::new("kill").args(["-9", &shim.to_string()]).status();
    until("the shim is gone", || !is_alive(shim));
    assert_eq!(place.delete_dead().exit_status, 5);
    place.assert_clean();
}
