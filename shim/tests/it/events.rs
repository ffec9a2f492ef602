//! The events that a shim publishes over ttrpc.

use std::path::Path;

use gantry_proto::containerd::runc::v1::Options;
use gantry_proto::containerd::services::events::v1::ForwardRequest;
use gantry_proto::containerd::task::v3 as task;
use gantry_proto::containerd::types::Envelope;
use prost::Message;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

use crate::shim::{Io, Place};

/// The fields of a call that the test reads.
#[derive(Clone, PartialEq, Message)]
struct Call {
    #[prost(string, tag = "1")]
    service: String,
    #[prost(string, tag = "2")]
    method: String,
    #[prost(bytes = "vec", tag = "3")]
    payload: Vec<u8>,
}

/// A daemon that receives events on the socket `path`.
fn daemon(path: &Path) -> mpsc::UnboundedReceiver<Envelope> {
    let listener = UnixListener::bind(path).expect("a socket");
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let sender = sender.clone();
            tokio::spawn(async move {
                let _ = take(stream, &sender).await;
            });
        }
    });
    receiver
}

async fn take(mut stream: UnixStream, sender: &mpsc::UnboundedSender<Envelope>) -> std::io::Result<()> {
    loop {
        let length = stream.read_u32().await?;
        let id = stream.read_u32().await?;
        stream.read_u16().await?;
        let mut bytes = vec![0; length as usize];
        stream.read_exact(&mut bytes).await?;
        let call = Call::decode(bytes.as_slice()).expect("a call");
        assert_eq!(
            (call.service.as_str(), call.method.as_str()),
            ("containerd.services.events.ttrpc.v1.Events", "Forward")
        );
        let request = ForwardRequest::decode(call.payload.as_slice()).expect("an event");
        sender.send(request.envelope.expect("an envelope")).expect("somebody looks");
        stream.write_u32(0).await?;
        stream.write_u32(id).await?;
        stream.write_u16(0x0200).await?;
    }
}

#[tokio::test]
async fn containerd_is_told_each_step_in_its_order() {
    let mut place = Place::new(&["sleep", "100"]);
    let socket = place.directory.path().join("events");
    let mut events = daemon(&socket);
    place.events = Some(("TTRPC_ADDRESS", socket));
    let mut client = place.run(&Io::default()).await;
    client.pause(task::PauseRequest { id: place.id.clone() }).await.expect("paused");
    client.resume(task::ResumeRequest { id: place.id.clone() }).await.expect("resumed");
    assert_eq!(place.exec(&mut client, "e1", &["true"]).await.1, 0);
    place.kill(&mut client, 9).await.expect("killed");
    place.wait(&mut client, "").await;
    place.finish(&mut client).await;
    for topic in
        ["create", "start", "paused", "resumed", "exec-added", "exec-started", "exit", "exit", "delete"]
    {
        let event = events.recv().await.expect("an event");
        assert_eq!((event.namespace.as_str(), event.topic), ("test", format!("/tasks/{topic}")));
        assert!(event.timestamp.is_some() && event.event.is_some());
    }
    assert!(events.try_recv().is_err());
}

#[tokio::test]
async fn want_of_memory_is_told_when_it_comes() {
    // dd allocates more than the limit allows; the shell goes on.
    let mut place =
        Place::new(&["sh", "-c", "dd if=/dev/zero of=/dev/null bs=64M count=1; echo $?; exec sleep 100"]);
    place.spec["linux"]["resources"]["memory"] = json!({"limit": 16 << 20, "swap": 16 << 20});
    let socket = place.directory.path().join("events");
    let mut events = daemon(&socket);
    place.events = Some(("GANTRY_EVENTS", socket));
    let mut client = place.run(&place.json_log()).await;
    let event = events.recv().await.expect("an event");
    assert_eq!(event.topic, "/tasks/oom");
    for _ in 0..1000 {
        if !place.logged("stdout").is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    place.kill(&mut client, 9).await.expect("killed");
    place.wait(&mut client, "").await;
    place.finish(&mut client).await;
    assert_eq!(place.logged("stdout"), "137\n");
}

#[tokio::test]
async fn a_shim_may_be_put_into_a_cgroup_of_its_own() {
    let mut place = Place::new(&["true"]);
    let name = format!("{}-shim", place.id);
    let hierarchy = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"]
        .into_iter()
        .find(|path| Path::new(path).join("cgroup.procs").exists());
    let cgroup = Path::new(hierarchy.expect("cgroups")).join(&name);
    std::fs::create_dir(&cgroup).expect("a cgroup");
    let options = Options { shim_cgroup: format!("/{name}"), ..Default::default() };
    place.options = Some(gantry_proto::pack(&options));
    let mut client = place.run(&Io::default()).await;
    let shim = place.shim.expect("a shim").to_string();
    let members = std::fs::read_to_string(cgroup.join("cgroup.procs")).expect("members");
    place.wait(&mut client, "").await;
    place.finish(&mut client).await;
    std::fs::remove_dir(&cgroup).expect("nobody is in it");
    assert!(members.lines().any(|member| member == shim), "{shim} is not in {members:?}");
}
