//! The other direction: shims written by others publish their events over ttrpc.
//!
//! This service publishes itself what happens to a task, so all that is taken
//! from them is what only they see: that the kernel killed for lack of memory.
//! The rest is answered, or they would try again and stay for it.

use std::time::Duration;

use gantry_proto::containerd::services::events::v1::ForwardRequest;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tonic::Code;

use super::{Answer, AnswerStatus, Call, HEADER, LARGEST, REQUEST, RESPONSE, frame};
use crate::events::Publisher;

const SERVICE: &str = "containerd.services.events.ttrpc.v1.Events";
const OUT_OF_MEMORY: &str = "/tasks/oom";

/// Serves shims, for ever.
pub async fn serve(listener: UnixListener, publisher: Publisher) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Ends with the shim.
                tokio::spawn(connection(stream, publisher.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "event socket of shims: accept failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(mut stream: UnixStream, publisher: Publisher) {
    while let Ok(Some((id, call))) = request(&mut stream).await {
        let answer = answer(&call, &publisher).encode_to_vec();
        if stream.write_all(&frame(RESPONSE, id, &answer)).await.is_err() {
            return;
        }
    }
}

async fn request(stream: &mut UnixStream) -> std::io::Result<Option<(u32, Call)>> {
    loop {
        let mut header = [0u8; HEADER];
        stream.read_exact(&mut header).await?;
        let length = u32::from_be_bytes(header[..4].try_into().expect("four bytes")) as usize;
        let id = u32::from_be_bytes(header[4..8].try_into().expect("four bytes"));
        if length > LARGEST {
            return Ok(None);
        }
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await?;
        if header[8] == REQUEST {
            return Ok(Call::decode(payload.as_slice()).ok().map(|call| (id, call)));
        }
    }
}

fn answer(call: &Call, publisher: &Publisher) -> Answer {
    let refused = |code: Code, message: &str| Answer {
        status: Some(AnswerStatus { code: code.into(), message: message.to_owned() }),
        payload: Vec::new(),
    };
    if call.service != SERVICE || call.method != "Forward" {
        return refused(Code::Unimplemented, "only events are taken here");
    }
    let Ok(ForwardRequest { envelope: Some(envelope) }) = ForwardRequest::decode(call.payload.as_slice())
    else {
        return refused(Code::InvalidArgument, "no event");
    };
    if envelope.topic == OUT_OF_MEMORY {
        publisher.forward(envelope);
    }
    Answer { status: None, payload: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn shims_are_answered() {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let socket = folder.path().join("s");
        let control = gantry_rpc::Channel::unix("control", folder.path().join("none"));
        let (publisher, _courier) = crate::events::queue(control);
        tokio::spawn(serve(UnixListener::bind(&socket).unwrap(), publisher));
        let client = super::super::Client::new(socket);
        let envelope = Some(Default::default());
        let request = ForwardRequest { envelope };
        client.call::<_, ()>("ns", SERVICE, "Forward", &request).await.unwrap();
        assert!(client.call::<_, ()>("ns", SERVICE, "Other", &request).await.is_err());
        assert!(client.call::<_, ()>("ns", SERVICE, "Forward", &ForwardRequest::default()).await.is_err());
    }
}
