//! The client side of containerd's ttrpc, for shims written by others.
//!
//! One connection carries all calls. A reader task hands each response to its caller; when the task ends, every
//! caller learns that the shim does not answer.

pub mod events;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gantry_rpc::carry;
use gantry_ttrpc::{KeyValue, Kind, Oversized, Request, Response, RpcStatus};
use parking_lot::Mutex;
use prost::Message;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot;
use tonic::{Code, Status};

use super::client::Failure;

/// A client of one ttrpc socket. Cheap to clone; connects at the first call, and again when the connection has ended.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
    // Held while the client connects to a local socket, which takes no time, and while it writes a frame.
    connection: Arc<tokio::sync::Mutex<Option<Connection>>>,
}

#[derive(Debug)]
struct Connection {
    writer: OwnedWriteHalf,
    next: u32,
    pending: Pending,
}

/// Callers by stream id; `None` once the connection has ended.
type Pending = Arc<Mutex<Option<HashMap<u32, oneshot::Sender<Response>>>>>;

/// Removes a call from the pending ones when its caller cancels.
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
            Request { service: service.into(), method: method.into(), payload, timeout_nano: 0, metadata };
        let (answer, _forget) = self.send(&call).await.map_err(|error| match Oversized::of(&error) {
            Some(oversized) => refused(oversized.status()),
            None => self.away(&error.to_string()),
        })?;
        let answer = answer.await.map_err(|_| self.away("the connection was closed"))?;
        let payload = answer.into_result().map_err(refused)?;
        R::decode(payload.as_slice()).map_err(|error| {
            Failure::Answered(Status::internal(format!("{method}: unreadable answer: {error}")))
        })
    }

    fn away(&self, reason: &str) -> Failure {
        Failure::Away(format!("{}: {reason}", self.socket.display()))
    }

    async fn send(&self, call: &Request) -> std::io::Result<(oneshot::Receiver<Response>, Forget)> {
        let mut slot = self.connection.lock().await;
        // Taken out during use: half a frame, left by a caller that cancels, makes the connection useless.
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
        let written = gantry_ttrpc::write(&mut connection.writer, Kind::Request, id, call).await;
        if written.as_ref().err().is_none_or(|error| Oversized::of(error).is_some()) {
            *slot = Some(connection);
        }
        written.map(|()| (receiver, forget))
    }
}

/// The error for an invalid answer.
fn refused(status: RpcStatus) -> Failure {
    let details = status.encode_to_vec().into();
    Failure::Answered(Status::with_details(Code::from(status.code), status.message, details))
}

impl Connection {
    async fn open(socket: &Path) -> std::io::Result<Connection> {
        let (reader, writer) = gantry_rpc::socket::connect(socket).await?.into_split();
        let pending: Pending = Arc::new(Mutex::new(Some(HashMap::new())));
        carry::beside(read(reader, pending.clone()));
        Ok(Connection { writer, next: 1, pending })
    }
}

async fn read(mut reader: OwnedReadHalf, pending: Pending) {
    while let Ok((id, answer)) = gantry_ttrpc::read(&mut reader, Kind::Response).await {
        let answer = match answer {
            Ok(answer) => Response::decode(answer.as_slice()),
            Err(oversized) => Ok(Response::refused(oversized.status())),
        };
        let Ok(answer) = answer else { break };
        let caller = pending.lock().as_mut().and_then(|calls| calls.remove(&id));
        if let Some(caller) = caller {
            // A caller that has cancelled no longer receives.
            let _ = caller.send(answer);
        }
    }
    // Dropping the senders tells every caller.
    pending.lock().take();
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
                let (id, call) = gantry_ttrpc::read(&mut stream, Kind::Request).await.unwrap();
                let call = Request::decode(call.unwrap().as_slice()).unwrap();
                let status = Some(RpcStatus { code, message: call.method, details: vec![b"any".to_vec()] });
                let answer = Response { status, payload: call.payload };
                gantry_ttrpc::write(&mut stream, Kind::Response, id, &answer).await.unwrap();
            }
        });
        let client = Client::new(socket);
        let said = KeyValue { key: "a".into(), value: "b".into() };
        let echoed: KeyValue = client.call("ns", "s.S", "Echo", &said).await.unwrap();
        assert_eq!(echoed, said);
        // A message that is too large is not sent, and the connection stays usable for other calls.
        let large = KeyValue { key: "x".repeat(5 << 20), value: String::new() };
        let refused = client.call::<_, KeyValue>("ns", "s.S", "Large", &large).await;
        let Err(Failure::Answered(status)) = refused else { panic!("not refused: {refused:?}") };
        assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
        let refused = client.call::<_, KeyValue>("ns", "s.S", "Other", &said).await;
        let Err(Failure::Answered(status)) = refused else { panic!("not refused: {refused:?}") };
        assert_eq!((status.code(), status.message()), (Code::NotFound, "Other"));
        let told = RpcStatus::decode(status.details()).unwrap();
        assert_eq!(told.details, [b"any"]);
        let closed = client.call::<_, KeyValue>("ns", "s.S", "Third", &said).await;
        assert!(matches!(closed, Err(Failure::Away(_))));
    }
}
