//! The attach socket of a container, `<bundle>/attach.sock`: a client names a process and its streams, then bytes
//! flow until the process's output ends.
//!
//! A connection begins with one length-prefixed `AttachRequest` and one length-prefixed `gantry.rpc.v1.Reply`; see
//! `gantry.shim.v1`.

use std::fs::{File, Permissions};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use gantry_proto::gantry::rpc::v1::{Reply, Status};
use gantry_proto::gantry::shim::v1::{AttachReply, AttachRequest};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

use super::hub::{Client, Hub};
use super::{Stdio, pump};
use crate::error::{Error, Result};

/// The longest request in bytes; a request has a few.
const LIMIT: u32 = 64 * 1024;

/// Finds the stdio of a container's processes.
pub trait Processes: Send + Sync + 'static {
    /// The stdio of a process that has not ended; "" is the init.
    fn stdio(&self, exec: &str) -> Result<Arc<Stdio>>;
}

/// The path of a bundle's socket.
pub fn path(bundle: &Path) -> PathBuf {
    bundle.join("attach.sock")
}

/// Binds the socket of `bundle`. The group may connect too: the gateway is in the service's group.
pub fn bind(bundle: &Path) -> Result<UnixListener> {
    let path = path(bundle);
    let _ = std::fs::remove_file(&path);
    let directory = File::open(bundle).map_err(Error::io("open", bundle))?;
    // Through a descriptor of the directory: a socket's own path must be shorter than 108 bytes.
    let short = format!("/proc/self/fd/{}/attach.sock", directory.as_raw_fd());
    let listener = UnixListener::bind(short).map_err(Error::io("bind", &path))?;
    std::fs::set_permissions(&path, Permissions::from_mode(0o660)).map_err(Error::io("chmod", path))?;
    Ok(listener)
}

/// Serves attaching clients until the task is aborted.
pub async fn serve(listener: UnixListener, processes: Arc<dyn Processes>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // The process may be out of descriptors; other connections may end.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let processes = processes.clone();
        tokio::spawn(async move {
            let _ = converse(stream, processes.as_ref()).await;
        });
    }
}

/// How many clients the shim sends output to. A static, because the process's end waits for all of them.
static LISTENING: LazyLock<watch::Sender<usize>> = LazyLock::new(watch::Sender::default);

/// Counts one client for as long as it lives.
struct Listening;

impl Listening {
    fn begin() -> Self {
        LISTENING.send_modify(|count| *count += 1);
        Self
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        LISTENING.send_modify(|count| *count -= 1);
    }
}

/// Waits until every client has got all output that is queued for it, or is gone.
pub async fn drained() {
    let mut listening = LISTENING.subscribe();
    // The sender is a static: it is never dropped.
    let _ = listening.wait_for(|count| *count == 0).await;
}

async fn converse(mut stream: UnixStream, processes: &dyn Processes) -> std::io::Result<()> {
    let request = tokio::time::timeout(Duration::from_secs(10), read_request(&mut stream)).await??;
    let stdio = match processes.stdio(&request.exec_id) {
        Ok(stdio) => stdio,
        Err(error) => return refuse(&mut stream, error.code(), &error.to_string()).await,
    };
    // A terminal has one output stream.
    let Some(client) = stdio.hub().attach(request.stdout, request.stderr && !stdio.is_terminal()) else {
        let message = "the process has ended";
        return refuse(&mut stream, tonic::Code::FailedPrecondition, message).await;
    };
    let _listening = Listening::begin();
    let detail = AttachReply { terminal: stdio.is_terminal() };
    let reply = Reply { status: None, detail: detail.encode_to_vec().into() };
    let done = match write_reply(&mut stream, &reply).await {
        Ok(()) => {
            let (mut input, mut output) = stream.into_split();
            let receive = receive(&mut input, &stdio, &client, &request);
            tokio::select! {
                sent = send(&mut output, stdio.hub(), &client) => sent,
                // The end of the input ends the output only where Docker's does.
                () = receive => Ok(()),
            }
        }
        Err(error) => Err(error),
    };
    stdio.hub().detach(&client);
    done
}

async fn send(
    output: &mut tokio::net::unix::OwnedWriteHalf,
    hub: &Hub,
    client: &Client,
) -> std::io::Result<()> {
    while let Some(bytes) = hub.next(client).await {
        output.write_all(&bytes).await?;
    }
    output.shutdown().await
}

/// Moves input. Returns when the end of the input ends the client's output.
async fn receive(
    input: &mut tokio::net::unix::OwnedReadHalf,
    stdio: &Stdio,
    client: &Client,
    request: &AttachRequest,
) {
    let mut buffer = [0; 8192];
    loop {
        match input.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            // Input that the process does not take is read and dropped.
            Ok(length) => {
                if request.stdin {
                    pump::input(stdio, &buffer[..length]).await;
                }
            }
        }
    }
    match request.stdin {
        true if request.stdin_once && !stdio.is_terminal() => stdio.close_stdin(),
        true => client.close(),
        false => {}
    }
    // The output goes on to its end, or until the client disconnects: the client may have ended its input only.
    gone(input.as_ref()).await;
}

/// Waits until the client has closed the connection in both directions. Reads no bytes.
async fn gone(stream: &UnixStream) {
    // A duplicate descriptor, which is not watched for input or for room: the reader and the writer need that
    // readiness. The end of the connection is reported in any case.
    let own = stream.as_fd().try_clone_to_owned();
    if let Ok(own) = own.and_then(|own| crate::async_fd::watch_for(own, Interest::PRIORITY)) {
        while let Ok(mut ready) = own.ready(Interest::PRIORITY).await {
            if ready.ready().is_read_closed() {
                return;
            }
            ready.clear_ready();
        }
    }
    // The process may be out of descriptors; the next write reports the end.
    std::future::pending::<()>().await;
}

async fn read_request(stream: &mut UnixStream) -> std::io::Result<AttachRequest> {
    let length = stream.read_u32().await?;
    if length > LIMIT {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length as usize];
    stream.read_exact(&mut bytes).await?;
    AttachRequest::decode(bytes.as_slice()).map_err(|_| std::io::ErrorKind::InvalidData.into())
}

async fn refuse(stream: &mut UnixStream, code: tonic::Code, message: &str) -> std::io::Result<()> {
    let status = Status { code: code as i32, message: message.to_string() };
    let reply = Reply { status: Some(status), detail: prost::bytes::Bytes::new() };
    write_reply(stream, &reply).await
}

async fn write_reply(stream: &mut UnixStream, reply: &Reply) -> std::io::Result<()> {
    let bytes = reply.encode_to_vec();
    stream.write_u32(bytes.len() as u32).await?;
    stream.write_all(&bytes).await
}
