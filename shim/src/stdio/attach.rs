//! The attach socket of a container, `<bundle>/attach.sock`: clients name a process and
//! the streams they want, then bytes flow until the process's output ends.
//!
//! A connection begins with one length-prefixed `AttachRequest`, answered by one
//! length-prefixed `gantry.rpc.v1.Reply`; see `gantry.shim.v1`.

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

/// A request is a few bytes; more is a mistake.
const LIMIT: u32 = 64 * 1024;

/// Who knows the stdio of a container's processes.
pub trait Processes: Send + Sync + 'static {
    /// The stdio of a process that has not ended; "" is the init.
    fn stdio(&self, exec: &str) -> Result<Arc<Stdio>>;
}

/// Where the socket of a bundle is.
pub fn path(bundle: &Path) -> PathBuf {
    bundle.join("attach.sock")
}

/// Binds the socket of `bundle`: for the group too, which the gateway is in, as its service is.
pub fn bind(bundle: &Path) -> Result<UnixListener> {
    let path = path(bundle);
    let _ = std::fs::remove_file(&path);
    let directory = File::open(bundle).map_err(Error::io("open", bundle))?;
    // By descriptor: a socket's own path must be shorter than 108 bytes.
    let short = format!("/proc/self/fd/{}/attach.sock", directory.as_raw_fd());
    let listener = UnixListener::bind(short).map_err(Error::io("bind", &path))?;
    std::fs::set_permissions(&path, Permissions::from_mode(0o660)).map_err(Error::io("chmod", path))?;
    Ok(listener)
}

/// Serves attaching clients until the task is aborted.
pub async fn serve(listener: UnixListener, processes: Arc<dyn Processes>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, perhaps: others may end.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let processes = processes.clone();
        tokio::spawn(async move {
            let _ = converse(stream, processes.as_ref()).await;
        });
    }
}

/// How many clients are being sent output. One for the process: its end waits for all of them.
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

/// Waits until every client has been sent all that is queued for it, or is gone.
pub async fn drained() {
    let mut listening = LISTENING.subscribe();
    // The sender is a static: it cannot go.
    let _ = listening.wait_for(|count| *count == 0).await;
}

async fn converse(mut stream: UnixStream, processes: &dyn Processes) -> std::io::Result<()> {
    let request = tokio::time::timeout(Duration::from_secs(10), read_request(&mut stream)).await??;
    let stdio = match processes.stdio(&request.exec_id) {
        Ok(stdio) => stdio,
        Err(error) => return refuse(&mut stream, error.code(), &error.to_string()).await,
    };
    // A terminal's output is all one.
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
                // The input only ends the output where Docker's does.
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

/// Moves input; returns when the client's output is to end with its input.
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
            // What the process does not take (any more) is read and forgotten.
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
    // The output goes on to its own end; or until the client, which may have ended its input only, is gone.
    gone(input.as_ref()).await;
}

/// Waits until the client has closed its connection altogether. What it sent is not touched.
async fn gone(stream: &UnixStream) {
    // By a descriptor of its own, which is not told of input or room for output: their readiness belongs to
    // those who read and write. That a connection is gone is told in any case.
    let own = stream.as_fd().try_clone_to_owned();
    if let Ok(own) = own.and_then(|own| crate::async_fd::watch_for(own, Interest::PRIORITY)) {
        while let Ok(mut ready) = own.ready(Interest::PRIORITY).await {
            if ready.ready().is_read_closed() {
                return;
            }
            ready.clear_ready();
        }
    }
    // Out of descriptors, perhaps: it is noticed at the next output.
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
