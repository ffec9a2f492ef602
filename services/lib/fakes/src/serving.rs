//! What runs apart from a test: fakes, on sockets.

use std::path::Path;
use std::time::Duration;

use gantry_rpc::socket;
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Runtime;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::service::Routes;

/// How long work may go on that does not let itself be ended, because it does not wait.
const PATIENCE: Duration = Duration::from_secs(5);

/// A server, or any other work, in a runtime of its own. It has ended with all its connections when the drop returns: to
/// a client, that is a killed process.
#[derive(Debug)]
pub struct Serving(Vec<Runtime>);

impl Drop for Serving {
    fn drop(&mut self) {
        let runtimes = std::mem::take(&mut self.0);
        // A thread of a test's own runtime may not wait for the end of another runtime.
        let end = || runtimes.into_iter().for_each(|runtime| runtime.shutdown_timeout(PATIENCE));
        let ended = std::thread::spawn(end).join();
        assert!(ended.is_ok() || std::thread::panicking(), "a runtime can be ended");
    }
}

impl Serving {
    /// Runs `work` apart from the test's own runtime.
    ///
    /// # Panics
    ///
    /// When there can be no further thread.
    pub fn run(work: impl Future<Output = ()> + Send + 'static) -> Serving {
        Serving::begin(|| drop(tokio::spawn(work)))
    }

    /// Begins work in a new runtime.
    fn begin(start: impl FnOnce()) -> Serving {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime can be made");
        let entered = runtime.enter();
        start();
        drop(entered);
        Serving(vec![runtime])
    }

    pub(crate) fn and(mut self, mut other: Serving) -> Self {
        self.0.append(&mut other.0);
        self
    }
}

fn listen(path: &Path) -> UnixListener {
    socket::bind(path, 0o600).expect("a socket can be made")
}

/// Serves gRPC on a unix socket.
///
/// # Panics
///
/// When the socket cannot be made.
pub fn routes(path: &Path, routes: Routes) -> Serving {
    Serving::begin(|| {
        let incoming = UnixListenerStream::new(listen(path));
        let server = tonic::transport::Server::builder().add_routes(routes);
        tokio::spawn(async move { server.serve_with_incoming(incoming).await.expect("a fake serves") });
    })
}

/// Serves each connection to a data socket in a task of its own.
pub(crate) fn data<F>(path: &Path, serve: impl Fn(UnixStream) -> F + Send + 'static) -> Serving
where
    F: Future<Output = ()> + Send + 'static,
{
    Serving::begin(|| {
        let listener = listen(path);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        });
    })
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read as _};
    use std::os::unix::net::UnixStream as Blocking;

    use super::*;

    /// Also where the test's own runtime has only the thread that drops.
    #[tokio::test]
    async fn connections_have_ended_when_the_drop_returns() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("a.sock");
        let serving = data(&path, |stream| async move {
            let _stream = stream;
            std::future::pending::<()>().await;
        });
        let mut connected = Blocking::connect(&path).expect("it listens");
        connected.set_nonblocking(true).expect("set");
        let waits =
            |ended: std::io::Result<usize>| matches!(ended, Err(e) if e.kind() == ErrorKind::WouldBlock);
        assert!(waits(connected.read(&mut [0])), "it is connected");
        drop(serving);
        assert!(!waits(connected.read(&mut [0])), "it is not");
        Blocking::connect(&path).expect_err("nobody listens");
    }
}
