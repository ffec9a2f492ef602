//! Processes with a terminal.

use gantry_proto::containerd::task::v3 as task;
use gantry_proto::gantry::shim::v1::AttachRequest;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::shim::{Io, Place, eventually};

fn all(exec: &str) -> AttachRequest {
    AttachRequest { exec_id: exec.into(), stdin: true, stdout: true, ..Default::default() }
}

#[tokio::test]
async fn a_terminal_has_its_size_and_belongs_to_the_user() {
    let script = "stty size; ls -l $(tty) | grep -c '33 '; read line; echo got $line; stty size; read x";
    let mut place = Place::new(&["sh", "-c", script]);
    place.spec["process"]["terminal"] = json!(true);
    place.spec["process"]["consoleSize"] = json!({"width": 101, "height": 37});
    place.spec["process"]["user"] = json!({"uid": 33, "gid": 44});
    let io = Io { terminal: true, stdin: "attach:".into(), ..place.json_log() };
    let mut client = place.connect().await;
    client.create(place.create_request(&io)).await.expect("created");
    let (reply, mut stream) = place.attach(all("")).await;
    assert!(reply.terminal);
    client.start(place.start_request("")).await.expect("started");
    eventually("it knows its size", || place.logged("stdout").contains("37 101\r\n")).await;
    let size = task::ResizePtyRequest { id: place.id.clone(), width: 80, height: 24, ..Default::default() };
    client.resize_pty(size).await.expect("resized");
    stream.write_all(b"word\n").await.expect("typed");
    eventually("the new size", || place.logged("stdout").contains("24 80\r\n")).await;
    stream.write_all(b"\n").await.expect("typed");
    let mut bytes = String::new();
    stream.read_to_string(&mut bytes).await.expect("read");
    assert!(bytes.contains("got word\r\n"), "{bytes}");
    assert_eq!(place.wait(&mut client, "").await, 0);
    place.finish(&mut client).await;
    assert_eq!(place.logged("stdout"), bytes);
}

#[tokio::test]
async fn size_and_input_that_come_before_the_terminal_are_not_lost() {
    let mut place = Place::new(&["sleep", "100"]);
    let mut client = place.run(&Io::default()).await;
    let io = Io { terminal: true, stdin: "attach:".into(), stdout: "none:".into(), ..Io::default() };
    let script = "stty size; read line; echo got $line";
    client.exec(place.exec_request("e1", &["sh", "-c", script], &io)).await.expect("announced");
    let (_, mut stream) = place.attach(all("e1")).await;
    stream.write_all(b"word\n").await.expect("typed");
    let (id, exec_id) = (place.id.clone(), "e1".to_owned());
    let size = task::ResizePtyRequest { id, exec_id, width: 101, height: 37 };
    client.resize_pty(size).await.expect("resized");
    client.start(place.start_request("e1")).await.expect("started");
    let mut bytes = String::new();
    stream.read_to_string(&mut bytes).await.expect("read");
    assert!(bytes.contains("37 101\r\n") && bytes.ends_with("got word\r\n"), "{bytes}");
    assert_eq!(place.wait(&mut client, "e1").await, 0);
    place.delete(&mut client, "e1").await.expect("deleted");
    place.kill(&mut client, 9).await.expect("killed");
    place.wait(&mut client, "").await;
    place.finish(&mut client).await;
}

#[tokio::test]
async fn an_exec_may_have_a_terminal() {
    let mut place = Place::new(&["sleep", "100"]);
    let mut client = place.run(&Io::default()).await;
    let io = Io { terminal: true, stdin: "attach:".into(), stdout: "none:".into(), ..Io::default() };
    client
        .exec(place.exec_request("e1", &["sh", "-c", "tty; read x; exit 4"], &io))
        .await
        .expect("announced");
    let (reply, mut stream) = place.attach(all("e1")).await;
    assert!(reply.terminal);
    client.start(place.start_request("e1")).await.expect("started");
    let mut name = [0; 12];
    stream.read_exact(&mut name).await.expect("a terminal's name");
    assert_eq!(&name, b"/dev/pts/0\r\n");
    stream.write_all(b"\n").await.expect("typed");
    assert_eq!(place.wait(&mut client, "e1").await, 4);
    place.delete(&mut client, "e1").await.expect("deleted");
    place.kill(&mut client, 9).await.expect("killed");
    place.wait(&mut client, "").await;
    place.finish(&mut client).await;
}
