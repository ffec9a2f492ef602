//! One connection, for one call.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use gantry_rpc::carry;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use crate::error::{Error, Result};
use crate::place::Place;

/// The task that drives a connection; it ends with the connection.
pub(crate) struct Driven(JoinHandle<()>);

impl Drop for Driven {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How long another host may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// The media type of the protocol's documents.
const MEDIA_TYPE: &str = "application/vnd.docker.plugins.v1.2+json";

/// Sends a document. Returns the head of the response.
pub(crate) async fn post(
    place: &Place,
    method: &str,
    document: Bytes,
) -> Result<(Response<Incoming>, Driven)> {
    match place {
        Place::Unix(path) => {
            let dialled =
                |error: io::Error| format!("dial unix {}: connect: {}", path.display(), words(&error));
            let stream = gantry_rpc::socket::connect(path)
                .await
                .map_err(|error| unreachable(place, method, dialled(error)))?;
            exchange(stream, place, method, document).await
        }
        Place::Tcp(host) => exchange(dial(place, method, host).await?, place, method, document).await,
        Place::Tls(host, certificates) => {
            let connector = TlsConnector::from(certificates.configuration()?);
            let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name).trim_matches(['[', ']']);
            let refused = |why: String| Error::Unreachable { url: place.url(method), why };
            let name = ServerName::try_from(name.to_owned()).map_err(|error| refused(error.to_string()))?;
            let stream = dial(place, method, host).await?;
            let secured =
                connector.connect(name, stream).await.map_err(|error| refused(error.to_string()))?;
            exchange(secured, place, method, document).await
        }
    }
}

async fn dial(place: &Place, method: &str, host: &str) -> Result<TcpStream> {
    let failed = |why: &str| unreachable(place, method, format!("dial tcp {host}: {why}"));
    match tokio::time::timeout(CONNECT, TcpStream::connect(host)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(failed(&format!("connect: {}", words(&error)))),
        Err(_) => Err(failed("i/o timeout")),
    }
}

fn unreachable(place: &Place, method: &str, why: String) -> Error {
    Error::Unreachable { url: place.url(method), why }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    place: &Place,
    method: &str,
    document: Bytes,
) -> Result<(Response<Incoming>, Driven)> {
    let broken = |error: hyper::Error| {
        let system = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<io::Error>());
        let why = match system {
            Some(system) => words(system),
            None if error.is_incomplete_message() => "EOF".to_owned(),
            None => gantry_rpc::chain(&error),
        };
        Error::Interrupted { url: place.url(method), why }
    };
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let driven = Driven(carry::beside(async move {
        // The reader of the response gets the error too.
        let _ = connection.await;
    }));
    let request = Request::post(format!("/{method}"))
        .header(http::header::HOST, place.host())
        .header(http::header::USER_AGENT, "Go-http-client/1.1")
        .header(http::header::ACCEPT, MEDIA_TYPE)
        .header(http::header::CONNECTION, "close")
        .body(Full::new(document));
    let request =
        request.map_err(|error| Error::Unreachable { url: place.url(method), why: error.to_string() })?;
    let response = sender.send_request(request).await.map_err(broken)?;
    Ok((response, driven))
}

/// A system error in the form of Docker's clients: without its number, beginning in lower case.
pub(crate) fn words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
