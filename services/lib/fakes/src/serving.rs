//! Serves fakes on sockets.

use std::path::Path;

use gantry_rpc::socket;
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Runtime;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::service::Routes;

/// A served fake. Dropping it ends it at once with all its connections, like a service that dies.
#[derive(Debug)]
pub struct Serving(Vec<Runtime>);

impl Drop for Serving {
    fn drop(&mut self) {
        for runtime in self.0.drain(..) {
            runtime.shutdown_background();
        }
    }
}

/// A runtime of its own, in which the server of a socket runs.
fn apart() -> Runtime {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime can be made")
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
    let runtime = apart();
    {
        let _entered = runtime.enter();
        let listener = listen(path);
        let server = tonic::transport::Server::builder().add_routes(routes);
        tokio::spawn(async move {
            server.serve_with_incoming(UnixListenerStream::new(listener)).await.expect("a fake serves");
        });
    }
    Serving(vec![runtime])
}

/// Serves each connection to a data socket in a task of its own.
pub(crate) fn data<F>(path: &Path, serve: impl Fn(UnixStream) -> F + Send + 'static) -> Serving
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = apart();
    {
        let _entered = runtime.enter();
        let listener = listen(path);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        });
    }
    Serving(vec![runtime])
}

impl Serving {
    pub(crate) fn and(mut self, mut other: Serving) -> Self {
        self.0.append(&mut other.0);
        self
    }
}
