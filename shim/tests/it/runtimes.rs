//! The binaries of other runtimes (packages runc and crun).

use gantry_proto::containerd::runc::v1::Options;
use gantry_proto::containerd::task::v3 as task;
use prost_types::Any;
use serde_json::json;

use crate::shim::{Io, Place};

async fn goes_through_its_life(binary: &str) {
    let root = tempfile::tempdir_in("/dev/shm").expect("a directory");
    let options = Options {
        binary_name: binary.into(),
        root: root.path().to_string_lossy().into_owned(),
        ..Default::default()
    };
    let mut place = Place::new(&["sh", "-c", "id -u; exec sleep 100"]);
    place.options = Some(gantry_proto::pack(&options));
    place.hide_unified = binary == "crun";
    place.spec["annotations"] = json!({"io.gantry.user": "web"});
    let io = place.json_log();
    let mut client = place.connect().await;
    client.create(place.create_request(&io)).await.expect("created");
    client.start(place.start_request("")).await.expect("started");
    assert!(root.path().join("test").join(&place.id).exists(), "the state is not where it should be");
    let (output, status) = place.exec(&mut client, "e1", &["sh", "-c", "echo in; exit 3"]).await;
    assert_eq!((output.as_str(), status), ("in\n", 3));
    let update = task::UpdateTaskRequest {
        id: place.id.clone(),
        resources: Some(Any {
            value: json!({"pids": {"limit": 55}}).to_string().into_bytes(),
            ..Default::default()
        }),
        ..Default::default()
    };
    client.update(update).await.expect("updated");
    client.pause(task::PauseRequest { id: place.id.clone() }).await.expect("paused");
    client.resume(task::ResumeRequest { id: place.id.clone() }).await.expect("resumed");
    place.kill(&mut client, 9).await.expect("killed");
    assert_eq!(place.wait(&mut client, "").await, 137);
    place.finish(&mut client).await;
    assert_eq!(place.logged("stdout"), "33\n");

    // A bundle with an id of 64 digits has a path that is too long for a socket.
    let mut place = Place::with_long_id(&["stty", "size"]);
    place.options = Some(gantry_proto::pack(&options));
    place.hide_unified = binary == "crun";
    place.spec["process"]["terminal"] = json!(true);
    let io = Io { terminal: true, ..place.json_log() };
    let mut client = place.connect().await;
    client.create(place.create_request(&io)).await.expect("created");
    let size = task::ResizePtyRequest { id: place.id.clone(), width: 99, height: 33, ..Default::default() };
    client.resize_pty(size).await.expect("resized");
    client.start(place.start_request("")).await.expect("started");
    assert_eq!(place.wait(&mut client, "").await, 0);
    place.finish(&mut client).await;
    assert_eq!(place.logged("stdout"), "33 99\r\n");

    let mut place = Place::new(&["missing"]);
    place.options = Some(gantry_proto::pack(&options));
    place.hide_unified = binary == "crun";
    let mut client = place.connect().await;
    let failed = match client.create(place.create_request(&Io::default())).await {
        Err(failed) => failed,
        Ok(_) => client.start(place.start_request("")).await.expect_err("cannot start"),
    };
    let message = failed.message();
    assert!(message.contains("executable file") && message.contains("not found in $PATH"), "{message}");
}

#[tokio::test]
async fn runc_makes_containers() {
    goes_through_its_life("runc").await;
}

#[tokio::test]
async fn crun_makes_containers() {
    goes_through_its_life("crun").await;
}
