//! The other direction: shims publish events over ttrpc.
//!
//! This service publishes itself what happens to a task, so all that is taken
//! from them is what only they see: that the kernel killed for lack of memory.
//! The rest is answered, or those written by others would try again and stay for it.

use std::time::Duration;

use gantry_proto::containerd::services::events::v1::ForwardRequest;
use gantry_proto::containerd::types::Envelope;
use gantry_ttrpc::{Kind, Request, Response};
use prost::Message;
use tokio::net::{UnixListener, UnixStream};
use tonic::Code;

const SERVICE: &str = "containerd.services.events.ttrpc.v1.Events";
const OUT_OF_MEMORY: &str = "/tasks/oom";

/// Who takes what shims tell of want of memory.
pub trait TakeOom: Clone + Send + Sync + 'static {
    /// Takes one event, in its envelope.
    fn take_oom(&self, envelope: Envelope);
}

/// Serves shims, for ever.
pub async fn serve(listener: UnixListener, taker: impl TakeOom) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Ends with the shim.
                tokio::spawn(connection(stream, taker.clone()));
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
        let Ok(call) = Request::decode(call.as_slice()) else { return };
        let answer = answer(&call, &taker);
        if gantry_ttrpc::write(&mut stream, Kind::Response, id, &answer).await.is_err() {
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
