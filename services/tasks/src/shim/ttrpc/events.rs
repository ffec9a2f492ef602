//! The server side of ttrpc: shims publish events here.
//!
//! This service publishes the events of a task itself. It takes from shims only what they alone see: that the kernel
//! killed a process for want of memory. It answers all other events and drops them; without an answer, a shim written
//! by others would send the event again, and stay for that.

use std::time::Duration;

use gantry_proto::containerd::services::events::v1::ForwardRequest;
use gantry_proto::containerd::types::Envelope;
use gantry_rpc::carry;
use gantry_ttrpc::{Kind, Request, Response};
use prost::Message;
use tokio::net::{UnixListener, UnixStream};
use tonic::Code;

const SERVICE: &str = "containerd.services.events.ttrpc.v1.Events";
const OUT_OF_MEMORY: &str = "/tasks/oom";

/// Receives the out-of-memory events of shims.
pub trait TakeOom: Clone + Send + Sync + 'static {
    /// Takes one event, in its envelope.
    fn take_oom(&self, envelope: Envelope);
}

/// Serves shims until the listener fails; does not return otherwise.
pub async fn serve(listener: UnixListener, taker: impl TakeOom) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                carry::beside(connection(stream, taker.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "event socket of shims: accept failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(mut stream: UnixStream, taker: impl TakeOom) {
    while let Ok((id, call)) = gantry_ttrpc::read(&mut stream, Kind::Request).await {
        let answer = match call {
            Ok(call) => match Request::decode(call.as_slice()) {
                Ok(call) => answer(&call, &taker),
                Err(_) => return,
            },
            Err(oversized) => Response::refused(oversized.status()),
        };
        if gantry_ttrpc::write_answer(&mut stream, id, &answer).await.is_err() {
            return;
        }
    }
}

fn answer(call: &Request, taker: &impl TakeOom) -> Response {
    let refused = |code: Code, message: &str| Response::failed(code.into(), message);
    if call.service != SERVICE || call.method != "Forward" {
        return refused(Code::Unimplemented, "only events are taken here");
    }
    let Ok(ForwardRequest { envelope: Some(envelope) }) = ForwardRequest::decode(call.payload.as_slice())
    else {
        return refused(Code::InvalidArgument, "no event");
    };
    if envelope.topic == OUT_OF_MEMORY {
        taker.take_oom(envelope);
    }
    Response::done(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    impl TakeOom for tokio::sync::mpsc::UnboundedSender<Envelope> {
        fn take_oom(&self, envelope: Envelope) {
            self.send(envelope).unwrap();
        }
    }

    #[tokio::test]
    async fn shims_are_answered() {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let socket = folder.path().join("s");
        let (taker, mut taken) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(serve(UnixListener::bind(&socket).unwrap(), taker));
        let client = super::super::Client::new(socket);
        let request = ForwardRequest { envelope: Some(Envelope::default()) };
        client.call::<_, ()>("ns", SERVICE, "Forward", &request).await.unwrap();
        assert!(client.call::<_, ()>("ns", SERVICE, "Other", &request).await.is_err());
        let oom = Envelope { topic: OUT_OF_MEMORY.into(), ..Envelope::default() };
        let request = ForwardRequest { envelope: Some(oom.clone()) };
        client.call::<_, ()>("ns", SERVICE, "Forward", &request).await.unwrap();
        assert_eq!(taken.recv().await, Some(oom), "the first was of no interest");
        assert!(client.call::<_, ()>("ns", SERVICE, "Forward", &ForwardRequest::default()).await.is_err());
    }
}
