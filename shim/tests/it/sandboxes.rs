//! A shim as a sandbox, through containerd's sandbox API.

use gantry_proto::containerd::runtime::sandbox::v1 as pb;
use gantry_proto::containerd::runtime::sandbox::v1::sandbox_client::SandboxClient;
use gantry_proto::containerd::task::v3 as task;
use tonic::Code;
use tonic::transport::Channel;

use crate::shim::{Io, Place, dial, is_alive, until};

#[tokio::test]
async fn a_sandbox_ends_with_its_containers_and_the_shim_with_the_sandbox() {
    let mut place = Place::new(&["sleep", "1000"]);
    let mut client = place.connect().await;
    let address = std::fs::read_to_string(place.bundle.join("address")).expect("an address");
    let mut sandboxes = SandboxClient::new(dial(&address).await);
    let name = place.id.clone();
    let id = || name.clone();
    let create = || pb::CreateSandboxRequest { sandbox_id: id(), ..Default::default() };
    sandboxes.create_sandbox(create()).await.expect("made");
    assert_eq!(sandboxes.create_sandbox(create()).await.expect_err("a second").code(), Code::AlreadyExists);
    let other = pb::StartSandboxRequest { sandbox_id: "other".into() };
    assert_eq!(sandboxes.start_sandbox(other).await.expect_err("another").code(), Code::NotFound);
    let start = || pb::StartSandboxRequest { sandbox_id: id() };
    let started = sandboxes.start_sandbox(start()).await.expect("started").into_inner();
    assert_eq!(Some(started.pid), place.shim);
    sandboxes.start_sandbox(start()).await.expect_err("a second time");
    let state = |client: &SandboxClient<Channel>| {
        let mut client = client.clone();
        let request = pb::SandboxStatusRequest { sandbox_id: id(), verbose: true };
        async move {
            let status = client.sandbox_status(request).await.expect("known").into_inner();
            (status.state, status.info["containers"].clone())
        }
    };
    assert_eq!(state(&sandboxes).await, ("SANDBOX_READY".to_owned(), String::new()));

    // Shutdown of the task service does not end a shim with a sandbox.
    client.shutdown(task::ShutdownRequest { id: id(), now: false }).await.expect("heard");
    client.create(place.create_request(&Io::default())).await.expect("created");
    client.start(place.start_request("")).await.expect("started");
    assert_eq!(state(&sandboxes).await, ("SANDBOX_READY".to_owned(), id()));
    let shutdown = || pb::ShutdownSandboxRequest { sandbox_id: id() };
    let busy = sandboxes.shutdown_sandbox(shutdown()).await.expect_err("there is a container");
    assert_eq!(busy.code(), Code::FailedPrecondition);

    let waiting = tokio::spawn({
        let (mut client, request) = (sandboxes.clone(), pb::WaitSandboxRequest { sandbox_id: id() });
        async move { client.wait_sandbox(request).await }
    });
    let stop = pb::StopSandboxRequest { sandbox_id: id(), timeout_secs: 0 };
    sandboxes.stop_sandbox(stop).await.expect("stopped");
    assert!(waiting.await.expect("no panic").expect("ended").into_inner().exited_at.is_some());
    assert_eq!(place.wait(&mut client, "").await, 137);
    place.delete(&mut client, "").await.expect("deleted");
    sandboxes.shutdown_sandbox(shutdown()).await.expect("shut down");
    let shim = place.shim.take().expect("a shim");
    until("the shim is gone", || !is_alive(shim));
}
