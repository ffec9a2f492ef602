//! Clients of the attach socket.

use std::os::unix::fs::PermissionsExt;

use gantry_proto::containerd::v1::types::Status;
use gantry_proto::gantry::shim::v1::AttachRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::shim::{Io, Place, eventually, is_alive, until};

fn all() -> AttachRequest {
    AttachRequest { stdout: true, stderr: true, ..Default::default() }
}

#[tokio::test]
async fn clients_that_come_before_the_start_see_everything() {
    let mut place = Place::new(&["sh", "-c", "echo hello; sleep 0.1; echo bad >&2"]);
    let io = place.json_log();
    let mut client = place.connect().await;
    client.create(place.create_request(&io)).await.expect("created");
    let socket = std::fs::metadata(place.bundle.join("attach.sock")).expect("a socket");
    assert_eq!(socket.permissions().mode() & 0o777, 0o660, "a gateway without privileges must connect");
    let (reply, mut both) = place.attach(all()).await;
    assert!(!reply.terminal);
    let (_, mut errors) = place.attach(AttachRequest { stderr: true, ..Default::default() }).await;
    client.start(place.start_request("")).await.expect("started");
    place.wait(&mut client, "").await;
    let (mut seen, mut bad) = (Vec::new(), Vec::new());
    both.read_to_end(&mut seen).await.expect("read");
    errors.read_to_end(&mut bad).await.expect("read");
    assert_eq!(seen, b"\x01\0\0\0\0\0\0\x06hello\n\x02\0\0\0\0\0\0\x04bad\n");
    assert_eq!(bad, b"\x02\0\0\0\0\0\0\x04bad\n");
    place.finish(&mut client).await;
    assert_eq!(place.logged("stdout"), "hello\n");
}

#[tokio::test]
async fn input_ends_with_its_only_client() {
    let mut place = Place::new(&["cat"]);
    let io = Io { stdin: "attach:".into(), ..place.json_log() };
    let mut client = place.run(&io).await;
    let (_, mut stream) = place.attach(AttachRequest { stdin: true, stdin_once: true, ..all() }).await;
    let text = "x".repeat(300_000);
    let (mut reader, mut writer) = stream.split();
    let read = async {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).await.expect("read");
        bytes
    };
    let write = async {
        writer.write_all(text.as_bytes()).await.expect("written");
        writer.shutdown().await.expect("ended");
    };
    let (bytes, ()) = tokio::join!(read, write);
    assert!(bytes.len() > text.len());
    assert_eq!(place.wait(&mut client, "").await, 0);
    place.finish(&mut client).await;
    assert_eq!(place.logged("stdout"), text);
}

#[tokio::test]
async fn input_stays_open_for_the_next_client() {
    let mut place = Place::new(&["cat"]);
    let io = Io { stdin: "attach:".into(), ..place.json_log() };
    let mut client = place.run(&io).await;
    for text in ["one\n", "two\n"] {
        let (_, mut stream) = place.attach(AttachRequest { stdin: true, ..all() }).await;
        stream.write_all(text.as_bytes()).await.expect("written");
        let mut frame = [0; 12];
        stream.read_exact(&mut frame).await.expect("an echo");
        assert_eq!(&frame[8..], text.as_bytes());
        stream.shutdown().await.expect("ended");
        // Without stdin_once, the client's end of input ends its output.
        assert_eq!(stream.read(&mut frame).await.expect("the end"), 0);
    }
    let request = gantry_proto::containerd::task::v3::CloseIoRequest {
        id: place.id.clone(),
        stdin: true,
        ..Default::default()
    };
    client.close_io(request).await.expect("closed");
    assert_eq!(place.wait(&mut client, "").await, 0);
    place.finish(&mut client).await;
}

/// The payloads of frames of one stream.
fn payload(mut frames: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    while let Some((head, rest)) = frames.split_at_checked(8) {
        let length = u32::from_be_bytes(head[4..].try_into().expect("four bytes")) as usize;
        payload.extend_from_slice(&rest[..length]);
        frames = &rest[length..];
    }
    payload
}

#[tokio::test]
async fn a_slow_client_gets_every_byte_and_so_does_the_log() {
    let script = "i=0; while [ $i -lt 300 ]; do head -c 30000 /dev/zero; echo $i; i=$((i+1)); done";
    let mut place = Place::new(&["sh", "-c", script]);
    let mut client = place.connect().await;
    client.create(place.create_request(&place.json_log())).await.expect("created");
    let (_, mut slow) = place.attach(all()).await;
    let (_, mut quick) = place.attach(all()).await;
    client.start(place.start_request("")).await.expect("started");
    let reading = tokio::spawn(async move {
        let mut bytes = Vec::new();
        quick.read_to_end(&mut bytes).await.expect("read");
        bytes
    });
    // A client that does not read makes the process wait: the shim holds no more than the queue for any client.
    eventually("the slow one is behind", || place.log().metadata().is_ok_and(|log| log.len() > 1 << 20))
        .await;
    assert_eq!(place.state(&mut client).await.status(), Status::Running);
    let mut bytes = Vec::new();
    let mut part = vec![0; 200_000];
    loop {
        let length = slow.read(&mut part).await.expect("read");
        if length == 0 {
            break;
        }
        bytes.extend_from_slice(&part[..length]);
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    assert_eq!(place.wait(&mut client, "").await, 0);
    place.finish(&mut client).await;
    let logged = place.logged("stdout").into_bytes();
    assert!(logged.len() > 300 * 30_000 && logged.ends_with(b"299\n"));
    assert!(payload(&bytes) == logged && payload(&reading.await.expect("joined")) == logged);
}

#[tokio::test]
async fn what_a_removed_container_said_waits_for_whoever_is_late() {
    let mut place = Place::new(&["sh", "-c", "yes 0123456789 | head -n 100000; echo end"]);
    let mut client = place.connect().await;
    client.create(place.create_request(&place.json_log())).await.expect("created");
    let (_, mut late) = place.attach(all()).await;
    client.start(place.start_request("")).await.expect("started");
    // The process's last output fits nowhere but in the shim, and no client reads it.
    assert_eq!(place.wait(&mut client, "").await, 0);
    place.delete(&mut client, "").await.expect("deleted at once");
    place.assert_clean();
    let request = gantry_proto::containerd::task::v3::ShutdownRequest { id: place.id.clone(), now: false };
    client.shutdown(request).await.expect("shut down");
    let sockets = place.directory.path().join("run/s");
    until("nobody finds the shim", || std::fs::read_dir(&sockets).expect("sockets").count() == 0);
    let shim = place.shim.expect("a shim");
    until("it says that it leaves", || {
        std::fs::read_to_string(format!("/proc/{shim}/comm")).is_ok_and(|name| name == "shim-farewell\n")
    });
    let mut bytes = Vec::new();
    late.read_to_end(&mut bytes).await.expect("read");
    assert_eq!(payload(&bytes).len(), 100_000 * 11 + 4);
    assert_eq!(place.logged("stdout").len(), 100_000 * 11 + 4);
    until("the shim is gone", || !is_alive(shim));
    place.shim = None;
}

#[tokio::test]
async fn a_client_that_leaves_lets_the_process_go_on() {
    let mut place = Place::new(&["sh", "-c", "yes 0123456789 | head -n 300000; echo end"]);
    let mut client = place.connect().await;
    client.create(place.create_request(&place.json_log())).await.expect("created");
    let (_, stuck) = place.attach(all()).await;
    client.start(place.start_request("")).await.expect("started");
    eventually("it is behind", || place.log().metadata().is_ok_and(|log| log.len() > 1 << 20)).await;
    drop(stuck);
    assert_eq!(place.wait(&mut client, "").await, 0);
    place.finish(&mut client).await;
    assert_eq!(place.logged("stdout").len(), 300_000 * 11 + 4);
}

#[tokio::test]
async fn an_exec_can_be_attached_to_before_it_starts() {
    let mut place = Place::new(&["sleep", "100"]);
    let mut client = place.run(&place.json_log()).await;
    let io = Io { stdin: "attach:".into(), stdout: "none:".into(), ..Io::default() };
    client.exec(place.exec_request("e1", &["cat"], &io)).await.expect("announced");
    let request = AttachRequest { exec_id: "e1".into(), stdin: true, stdin_once: true, ..all() };
    let (_, mut stream) = place.attach(request).await;
    client.start(place.start_request("e1")).await.expect("started");
    stream.write_all(b"ping").await.expect("written");
    stream.shutdown().await.expect("ended");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.expect("read");
    assert_eq!(bytes, b"\x01\0\0\0\0\0\0\x04ping");
    assert_eq!(place.wait(&mut client, "e1").await, 0);
    place.delete(&mut client, "e1").await.expect("deleted");
    place.kill(&mut client, 9).await.expect("killed");
    place.wait(&mut client, "").await;
    place.finish(&mut client).await;
}

#[tokio::test]
async fn a_client_that_is_gone_is_noticed_in_a_silent_container() {
    let mut place = Place::new(&["sleep", "100"]);
    let io = Io { stdin: "attach:".into(), ..place.json_log() };
    let mut client = place.run(&io).await;
    let descriptors = format!("/proc/{}/fd", place.shim.expect("a shim"));
    let count = || std::fs::read_dir(&descriptors).expect("descriptors").count();
    let before = count();
    for request in [all(), AttachRequest { stdin: true, stdin_once: true, ..all() }] {
        let (_, unread) = place.attach(request.clone()).await;
        let (_, mut halved) = place.attach(request).await;
        halved.shutdown().await.expect("ended");
        eventually("both are attached", || count() >= before + 2).await;
        drop((unread, halved));
        eventually("both are forgotten", || count() <= before).await;
    }
    place.kill(&mut client, 9).await.expect("killed");
    place.wait(&mut client, "").await;
    place.finish(&mut client).await;
}

#[tokio::test]
async fn a_client_that_ends_its_input_only_still_gets_output() {
    let mut place = Place::new(&["sh", "-c", "read line; echo $line; read line; echo $line"]);
    let io = Io { stdin: "attach:".into(), ..place.json_log() };
    let mut client = place.run(&io).await;
    let (_, mut listener) = place.attach(all()).await;
    listener.shutdown().await.expect("ended");
    let (_, mut speaker) = place.attach(AttachRequest { stdin: true, ..all() }).await;
    for _ in 0..2 {
        speaker.write_all(b"hello\n").await.expect("written");
        let mut frame = [0; 14];
        listener.read_exact(&mut frame).await.expect("the output");
        assert_eq!(&frame[8..], b"hello\n");
    }
    assert_eq!(place.wait(&mut client, "").await, 0);
    assert_eq!(listener.read(&mut [0; 1]).await.expect("the end"), 0);
    place.finish(&mut client).await;
}
