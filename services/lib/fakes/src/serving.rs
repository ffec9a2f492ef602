//! Fakes on sockets.

use std::path::Path;

use gantry_rpc::socket;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::service::Routes;

/// A fake that is served; dropped, it ends at once, as a service does that dies.
#[derive(Debug)]
pub struct Serving(Vec<JoinHandle<()>>);

impl Drop for Serving {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

/// Serves gRPC on a unix socket.
///
/// # Panics
///
/// When the socket cannot be made.
pub fn routes(path: &Path, routes: Routes) -> Serving {
    let listener = socket::bind(path, 0o600).expect("a socket can be made");
    let server = tonic::transport::Server::builder().add_routes(routes);
    Serving(vec![tokio::spawn(async move {
        server.serve_with_incoming(UnixListenerStream::new(listener)).await.expect("a fake serves");
    })])
}

/// Serves each connection to a data socket by a task of its own.
pub(crate) fn data<F>(path: &Path, serve: impl Fn(UnixStream) -> F + Send + 'static) -> Serving
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = socket::bind(path, 0o600).expect("a socket can be made");
    Serving(vec![tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(serve(stream));
            while connections.try_join_next().is_some() {}
        }
    })])
}

impl Serving {
    pub(crate) fn and(mut self, mut other: Serving) -> Self {
        self.0.append(&mut other.0);
        self
    }
}
