//! containerd's ttrpc, for shims written by others: here the client side.
//!
//! A frame is a header of ten bytes (payload length and stream id, big endian;
//! type; flags) and a payload. A unary call is one request frame on an odd
//! stream id and one response frame on the same. One connection carries all
//! calls; a reader task hands each response to its caller, and when it ends,
//! every caller learns that the shim is away.

pub mod events;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot;
use tonic::{Code, Status};

use super::client::Failure;

const REQUEST: u8 = 1;
const RESPONSE: u8 = 2;
const LARGEST: usize = 4 << 20;
const HEADER: usize = 10;

#[derive(Clone, PartialEq, Message)]
struct Call {
    #[prost(string, tag = "1")]
    service: String,
    #[prost(string, tag = "2")]
    method: String,
    #[prost(bytes = "vec", tag = "3")]
    payload: Vec<u8>,
    #[prost(int64, tag = "4")]
    timeout_nano: i64,
    #[prost(message, repeated, tag = "5")]
    metadata: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Answer {
    #[prost(message, optional, tag = "1")]
    status: Option<AnswerStatus>,
    #[prost(bytes = "vec", tag = "2")]
    payload: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct AnswerStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// A client of one ttrpc socket. Cheap to clone; connects when first used and again when it broke.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
    // Held while connecting to a local socket, which takes no time, and while a frame is written.
    connection: Arc<tokio::sync::Mutex<Option<Connection>>>,
}

#[derive(Debug)]
struct Connection {
    writer: OwnedWriteHalf,
    next: u32,
    pending: Pending,
}

/// Callers by stream id; `None` once the connection has ended.
type Pending = Arc<Mutex<Option<HashMap<u32, oneshot::Sender<Answer>>>>>;

/// Forgets a call whose caller went away.
struct Forget(Pending, u32);

impl Drop for Forget {
    fn drop(&mut self) {
        if let Some(calls) = self.0.lock().as_mut() {
            calls.remove(&self.1);
        }
    }
}

impl Client {
    /// A client of the socket.
    pub fn new(socket: PathBuf) -> Client {
        Client { socket, connection: Arc::default() }
    }

    /// One unary call.
    pub async fn call<Q, R>(
        &self,
        namespace: &str,
        service: &str,
        method: &str,
        request: &Q,
    ) -> Result<R, Failure>
    where
        Q: Message,
        R: Message + Default,
    {
        let metadata =
            vec![KeyValue { key: "containerd-namespace-ttrpc".into(), value: namespace.to_owned() }];
        let payload = request.encode_to_vec();
        let call =
            Call { service: service.into(), method: method.into(), payload, timeout_nano: 0, metadata };
        let (answer, _forget) =
            self.send(&call.encode_to_vec()).await.map_err(|error| self.away(&error.to_string()))?;
        let answer = answer.await.map_err(|_| self.away("the connection was closed"))?;
        match answer.status {
            Some(status) if status.code != 0 => {
                Err(Failure::Answered(Status::new(Code::from(status.code), status.message)))
            }
            _ => R::decode(answer.payload.as_slice()).map_err(|error| {
                Failure::Answered(Status::internal(format!("{method}: unreadable answer: {error}")))
            }),
        }
    }

    fn away(&self, reason: &str) -> Failure {
        Failure::Away(format!("{}: {reason}", self.socket.display()))
    }

    async fn send(&self, payload: &[u8]) -> std::io::Result<(oneshot::Receiver<Answer>, Forget)> {
        let mut slot = self.connection.lock().await;
        // Taken out while in use: half a frame, left by a caller that went away, ends the connection.
        let mut connection = match slot.take().filter(|connection| connection.pending.lock().is_some()) {
            Some(connection) => connection,
            None => Connection::open(&self.socket).await?,
        };
        let (id, (sender, receiver)) = (connection.next, oneshot::channel());
        connection.next = connection.next.wrapping_add(2);
        if let Some(calls) = connection.pending.lock().as_mut() {
            calls.insert(id, sender);
        }
        let forget = Forget(connection.pending.clone(), id);
        connection.writer.write_all(&frame(REQUEST, id, payload)).await?;
        *slot = Some(connection);
        Ok((receiver, forget))
    }
}

impl Connection {
    async fn open(socket: &Path) -> std::io::Result<Connection> {
        let (reader, writer) = gantry_rpc::socket::connect(socket).await?.into_split();
        let pending: Pending = Arc::new(Mutex::new(Some(HashMap::new())));
        tokio::spawn(read(reader, pending.clone()));
        Ok(Connection { writer, next: 1, pending })
    }
}

fn frame(kind: u8, id: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER + payload.len());
    frame.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    frame.extend_from_slice(&id.to_be_bytes());
    frame.extend_from_slice(&[kind, 0]);
    frame.extend_from_slice(payload);
    frame
}

async fn read(mut reader: OwnedReadHalf, pending: Pending) {
    while let Ok(Some((id, answer))) = next(&mut reader).await {
        let caller = pending.lock().as_mut().and_then(|calls| calls.remove(&id));
        if let Some(caller) = caller {
            // A caller that went away does not want it.
            let _ = caller.send(answer);
        }
    }
    // Dropping the senders tells every caller.
    pending.lock().take();
}

async fn next(reader: &mut OwnedReadHalf) -> std::io::Result<Option<(u32, Answer)>> {
    loop {
        let mut header = [0u8; HEADER];
        reader.read_exact(&mut header).await?;
        let length = u32::from_be_bytes(header[..4].try_into().expect("four bytes")) as usize;
        let id = u32::from_be_bytes(header[4..8].try_into().expect("four bytes"));
        if length > LARGEST {
            return Ok(None);
        }
        let mut payload = vec![0; length];
        reader.read_exact(&mut payload).await?;
        if header[8] == RESPONSE {
            return Ok(Answer::decode(payload.as_slice()).ok().map(|answer| (id, answer)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn calls_and_errors_cross_the_wire() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            for code in [0, 5] {
                let mut header = [0u8; HEADER];
                stream.read_exact(&mut header).await.unwrap();
                let length = u32::from_be_bytes(header[..4].try_into().unwrap()) as usize;
                let mut payload = vec![0; length];
                stream.read_exact(&mut payload).await.unwrap();
                let call = Call::decode(payload.as_slice()).unwrap();
                let status = Some(AnswerStatus { code, message: call.method });
                let answer = Answer { status, payload: call.payload }.encode_to_vec();
                let id = u32::from_be_bytes(header[4..8].try_into().unwrap());
                stream.write_all(&frame(RESPONSE, id, &answer)).await.unwrap();
            }
        });
        let client = Client::new(socket);
        let said = KeyValue { key: "a".into(), value: "b".into() };
        let echoed: KeyValue = client.call("ns", "s.S", "Echo", &said).await.unwrap();
        assert_eq!(echoed, said);
        let refused = client.call::<_, KeyValue>("ns", "s.S", "Other", &said).await;
        assert!(
            matches!(refused, Err(Failure::Answered(status)) if status.code() == Code::NotFound && status.message() == "Other")
        );
        let closed = client.call::<_, KeyValue>("ns", "s.S", "Third", &said).await;
        assert!(matches!(closed, Err(Failure::Away(_))));
    }
}
