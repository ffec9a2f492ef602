//! The shim process: it has a session, a mount namespace and one thread of its own, is a subreaper, and serves gRPC
//! on the socket that it was started with.

use std::ffi::CStr;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::container::Tools;
use crate::error::{Error, Result};
use crate::events::Publisher;
use crate::helper::{Helpers, dev_null};
use crate::mounts;
use crate::reaper::Reaper;
use crate::server::{Shim, ttrpc};
use crate::stdio::attach;

/// How long calls may take to end once the shim is told to end.
const GRACE: Duration = Duration::from_millis(500);
/// The name (`/proc/<pid>/comm`) of a shim without a container that waits for clients to read its last output.
const FAREWELL: &CStr = c"shim-farewell";
/// How long the shim waits at its end until its events are delivered.
const FLUSH: Duration = Duration::from_secs(5);
/// How long a shim runs without getting a container.
const IDLE: Duration = Duration::from_secs(60);

/// Serves until a client shuts the shim down.
pub fn run(words: &[String]) -> ExitCode {
    match serve(words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("containerd-shim-gantry-v2: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(words: &[String]) -> Result<()> {
    let flags = crate::command::Flags::parse(words)?;
    let listener = take_listener()?;
    let socket = listener
        .local_addr()
        .ok()
        .and_then(|address| address.as_pathname().map(PathBuf::from))
        .unwrap_or_default();
    let _ = rustix::process::setsid();
    nix::sys::prctl::set_child_subreaper(true)
        .map_err(|errno| Error::io("become", "subreaper")(errno.into()))?;
    let bundle = std::env::current_dir().map_err(Error::io("find", "bundle"))?;
    let own = mounts::take_binary()?;
    mounts::enter()?;
    mounts::isolate(&bundle)?;
    // The bundle's mount now covers the working directory: the shim enters it again.
    std::env::set_current_dir(&bundle).map_err(Error::io("enter", &bundle))?;
    let binary = bundle.join("shim");
    mounts::pin_binary(&own, &binary)?;
    drop(own);

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(Error::io("start", "event loop"))?;
    let served = runtime.block_on(async {
        let reaper = Reaper::default();
        tokio::spawn(reaper.clone().run());
        let helpers = Helpers::new(binary, reaper.clone());
        let events = Publisher::start(flags.namespace.clone());
        let tools = Tools { namespace: flags.namespace, helpers, reaper, events: events.clone() };
        let shim = Shim::new(tools);
        let served = listen(shim.clone(), listener, &socket).await;
        // A daemon that does not answer learns the rest from `delete`.
        let _ = tokio::time::timeout(FLUSH, events.flushed()).await;
        // Attached clients get the last output, however late they read it: the shim alone has it.
        if !shim.has_containers() {
            let _ = nix::sys::prctl::set_name(FAREWELL);
            attach::drained().await;
        }
        served
    });
    served.map_err(Error::io("serve", socket))
}

/// Serves until the shim is stopped, and removes its socket.
async fn listen(shim: Shim, listener: UnixListener, socket: &Path) -> io::Result<()> {
    // A shim ends when its client shuts it down. SIGKILL ends it otherwise.
    let mut ignored = signal(SignalKind::terminate())?;
    tokio::spawn(async move { while ignored.recv().await.is_some() {} });
    tokio::spawn(shim.clone().end_when_idle(IDLE));
    let listener = tokio::net::UnixListener::from_std(listener)?;
    let (grpc, incoming) = mpsc::channel(16);
    let accepting = tokio::spawn(sort(listener, grpc, shim.clone()));
    let incoming = ReceiverStream::new(incoming);
    let stopped = shim.clone();
    let serving = tonic::transport::Server::builder()
        .add_routes(shim.routes())
        .serve_with_incoming_shutdown(incoming, async move { stopped.stopped().await });
    let overdue = async {
        shim.stopped().await;
        tokio::time::sleep(GRACE).await;
    };
    let served = tokio::select! {
        served = serving => served.map_err(io::Error::other),
        () = overdue => Ok(()),
    };
    // The path is removed first: once the socket is closed, a new shim may bind the path.
    remove_own(socket);
    accepting.abort();
    let _ = accepting.await;
    served
}

/// Serves each client in the protocol of its first byte: gRPC's is the `P` of the HTTP/2 preface, ttrpc's the highest
/// byte of a length, which is never that large.
async fn sort(listener: tokio::net::UnixListener, grpc: mpsc::Sender<io::Result<UnixStream>>, shim: Shim) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // The process may be out of descriptors; other connections may end.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (grpc, shim) = (grpc.clone(), shim.clone());
        tokio::spawn(async move {
            match first_byte(&stream).await {
                Ok(Some(b'P')) => {
                    let _ = grpc.send(Ok(stream)).await;
                }
                // The client has closed the connection, or has sent a frame that does not parse.
                Ok(Some(_)) => drop(ttrpc::serve(stream, shim).await),
                Ok(None) | Err(_) => {}
            }
        });
    }
}

/// Reads the first byte and leaves it in the socket; `None` at the end.
async fn first_byte(stream: &UnixStream) -> io::Result<Option<u8>> {
    loop {
        stream.readable().await?;
        let mut byte = [0];
        let peeked = stream.try_io(tokio::io::Interest::READABLE, || {
            rustix::net::recv(stream, &mut byte, rustix::net::RecvFlags::PEEK).map_err(io::Error::from)
        });
        match peeked {
            Ok((0, _)) => return Ok(None),
            Ok(_) => return Ok(Some(byte[0])),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// Takes the listener from stdin, which becomes `/dev/null`.
fn take_listener() -> Result<UnixListener> {
    let stdin = io::stdin();
    let listener = stdin.as_fd().try_clone_to_owned().map_err(Error::io("take", "listener"))?;
    rustix::stdio::dup2_stdin(dev_null()?).map_err(Error::errno("close", "stdin"))?;
    let listener = UnixListener::from(listener);
    // listen(2) makes the calling process the peer that clients see: this process, and not the one that bound the
    // socket.
    rustix::net::listen(&listener, 128).map_err(Error::errno("listen", "socket"))?;
    listener.set_nonblocking(true).map_err(Error::io("watch", "listener"))?;
    Ok(listener)
}

fn remove_own(socket: &Path) {
    if !socket.as_os_str().is_empty() {
        let _ = std::fs::remove_file(socket);
    }
}
