//! The server through real sockets: unix, TCP and TLS, HTTP/1.1 and HTTP/2.

#![allow(clippy::disallowed_methods, reason = "the work of a test ends with it")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gantry_http::{Body, Clients, Limits, Listener, Peer, Protocols, Server, Tls, upgrade};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(10);

fn limits() -> Limits {
    Limits { drain: Duration::from_secs(5), ..Limits::default() }
}

/// A server that answers with the client's identity and the request's content; dropping it ends it.
struct Running {
    shutdown: CancellationToken,
    server: Server,
}

impl Running {
    fn start(listener: Listener, limits: Limits) -> Self {
        let shutdown = CancellationToken::new();
        let server = Server::new(limits, shutdown.clone());
        let serving = server.clone();
        tokio::spawn(async move { serving.serve(listener, answer).await });
        Self { shutdown, server }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

async fn answer(mut request: Request<Body>) -> Response<Full<Bytes>> {
    let text = |status: StatusCode, text: String| {
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = status;
        response
    };
    match request.uri().path() {
        "/who" => text(StatusCode::OK, request.extensions().get::<Peer>().expect("a peer").to_string()),
        "/slow" => {
            tokio::time::sleep(Duration::from_millis(300)).await;
            text(StatusCode::OK, "at last".to_owned())
        }
        "/raw" => {
            let taken = upgrade::take_over(&mut request, |mut client| async move {
                let mut chunk = [0; 64];
                let count = client.input.read(&mut chunk).await.expect("read");
                client.output.write_all(&chunk[..count]).await.expect("written");
                client.close().await;
            });
            match taken {
                Ok(()) => text(StatusCode::SWITCHING_PROTOCOLS, String::new()),
                Err(error) => text(StatusCode::BAD_REQUEST, error.to_string()),
            }
        }
        _ => match request.into_body().collect().await {
            Ok(body) => text(StatusCode::OK, format!("{} bytes", body.to_bytes().len())),
            Err(error) => text(StatusCode::REQUEST_TIMEOUT, error.to_string()),
        },
    }
}

/// Certificates that are valid for a hundred years; their keys protect nothing.
fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/certificates").join(name)
}

fn tls(protocols: Protocols, clients: Clients<'_>) -> (Listener, std::net::SocketAddr) {
    let tls = Tls::open(&certificate("server.pem"), &certificate("server-key.pem"), clients, protocols);
    let listener = Listener::tcp("127.0.0.1:0".parse().expect("an address")).expect("bound");
    let address = listener.address().expect("an address");
    (listener.with_tls(&tls.expect("opened")), address)
}

/// Connects with the certificate of `who`, or without one.
async fn connect(
    address: std::net::SocketAddr,
    who: Option<&str>,
    protocol: &[u8],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate("authority.pem")).expect("PEM")).expect("added");
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let mut config = match who {
        None => config.with_no_client_auth(),
        Some(who) => {
            let shown = CertificateDer::from_pem_file(certificate(&format!("{who}.pem"))).expect("PEM");
            let key = PrivateKeyDer::from_pem_file(certificate(&format!("{who}-key.pem"))).expect("PEM");
            config.with_client_auth_cert(vec![shown], key).expect("a key")
        }
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config)).connect("localhost".try_into().expect("a name"), stream).await
}

fn get(path: &str) -> Request<Empty<Bytes>> {
    Request::builder().uri(path).header("host", "d").body(Empty::new()).expect("a request")
}

async fn text(response: Response<hyper::body::Incoming>) -> String {
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    String::from_utf8(body.to_vec()).expect("text")
}

/// Everything until the end of the stream.
async fn rest(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut all = String::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut all)).await;
    read.expect("the end").expect("read");
    all
}

#[tokio::test]
async fn a_process_is_known_by_its_credentials() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.sock");
    let _running = Running::start(Listener::unix(&path, 0o600).expect("bound"), limits());
    let stream = UnixStream::connect(&path).await.expect("connected");
    let (mut client, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
    tokio::spawn(connection);
    let uid = rustix::process::getuid().as_raw();
    let expected = format!("process {} of user {uid}", std::process::id());
    for _ in 0..2 {
        assert_eq!(text(client.send_request(get("/who")).await.expect("answered")).await, expected);
    }
}

#[tokio::test]
async fn a_certificate_is_who_its_subject_says() {
    let (listener, address) = tls(Protocols::Http1, Clients::MustProve(&certificate("authority.pem")));
    let _running = Running::start(listener, limits());
    let stream = connect(address, Some("client"), b"http/1.1").await.expect("connected");
    let from = stream.get_ref().0.local_addr().expect("an address");
    let (mut client, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
    tokio::spawn(connection);
    let answer = text(client.send_request(get("/who")).await.expect("answered")).await;
    assert_eq!(answer, format!("CN=deploy,O=Example at {from}"));
    for who in [Some("stranger"), None] {
        // In TLS 1.3 the client learns of a refusal after its handshake.
        let answered = async {
            let stream = connect(address, who, b"http/1.1").await.ok()?;
            let (mut client, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
            tokio::spawn(connection);
            client.send_request(get("/who")).await.ok()
        };
        assert!(answered.await.is_none(), "{who:?}");
    }
}

#[tokio::test]
async fn who_may_prove_need_not() {
    let (listener, address) = tls(Protocols::Http1, Clients::MayProve(&certificate("authority.pem")));
    let _running = Running::start(listener, limits());
    let stream = connect(address, None, b"http/1.1").await.expect("connected");
    let from = stream.get_ref().0.local_addr().expect("an address");
    let (mut client, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
    tokio::spawn(connection);
    assert_eq!(text(client.send_request(get("/who")).await.expect("answered")).await, from.to_string());
}

#[tokio::test]
async fn http_2_is_spoken_with_who_asks_for_it() {
    let (listener, address) = tls(Protocols::Http2, Clients::Anyone);
    let running = Running::start(listener, limits());
    let stream = connect(address, None, b"h2").await.expect("connected");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (client, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    let connection = tokio::spawn(connection);
    // More than a flow-control window, in both calls at the same time.
    let put = |size: usize| {
        let mut client = client.clone();
        let body = Full::new(Bytes::from(vec![b'x'; size]));
        let request = Request::put("https://localhost/put").body(body).expect("a request");
        async move { text(client.send_request(request).await.expect("answered")).await }
    };
    let both = tokio::join!(put(1 << 20), put(3));
    assert_eq!(both, ("1048576 bytes".to_owned(), "3 bytes".to_owned()));
    running.shutdown.cancel();
    tokio::time::timeout(PATIENCE, connection)
        .await
        .expect("the server ends it")
        .expect("joined")
        .expect("well");
    running.server.drained().await;
}

#[tokio::test]
async fn an_unused_http_2_connection_ends() {
    let (listener, address) = tls(Protocols::Http2, Clients::Anyone);
    let _running = Running::start(listener, Limits { idle: Duration::from_millis(100), ..limits() });
    let stream = connect(address, None, b"h2").await.expect("connected");
    let (mut client, connection) =
        http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("HTTP/2");
    let connection = tokio::spawn(connection);
    // The call takes longer than the idle time, but the connection is in use.
    let response = client.send_request(get("https://localhost/slow")).await.expect("answered");
    assert_eq!(text(response).await, "at last");
    tokio::time::timeout(PATIENCE, connection).await.expect("it ends").expect("joined").expect("well");
}

#[tokio::test]
async fn a_connection_is_taken_over_within_tls() {
    let (listener, address) = tls(Protocols::Http1, Clients::MustProve(&certificate("authority.pem")));
    let _running = Running::start(listener, limits());
    let mut stream = connect(address, Some("client"), b"http/1.1").await.expect("connected");
    stream
        .write_all(
            b"POST /raw HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\nthere and back",
        )
        .await
        .expect("written");
    let all = rest(&mut stream).await;
    assert!(all.starts_with("HTTP/1.1 101") && all.ends_with("\r\n\r\nthere and back"), "{all}");
    // A client that does not ask for HTTP/2.
    let mut stream = connect(address, Some("client"), b"http/1.1").await.expect("connected");
    stream.write_all(b"POST /raw HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n").await.expect("written");
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 400"));
}

#[tokio::test]
async fn a_client_that_half_closes_tls_is_answered() {
    let (listener, address) = tls(Protocols::Http1, Clients::MustProve(&certificate("authority.pem")));
    let _running = Running::start(listener, limits());
    let mut stream = connect(address, Some("client"), b"http/1.1").await.expect("connected");
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: d\r\n\r\n").await.expect("written");
    stream.shutdown().await.expect("half-closed");
    assert!(rest(&mut stream).await.ends_with("at last"));
}

#[tokio::test]
async fn who_is_too_slow_or_too_large_is_refused() {
    let listener = Listener::tcp("127.0.0.1:0".parse().expect("an address")).expect("bound");
    let address = listener.address().expect("an address");
    let short = Duration::from_millis(100);
    let limits = Limits { idle: short, body_pause: Some(short), headers: 10, head: 8 << 10, ..limits() };
    let _running = Running::start(listener, limits);
    let ask = async |text: &str| {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        stream.write_all(text.as_bytes()).await.expect("written");
        rest(&mut stream).await
    };
    assert_eq!(ask("GET /who HTTP/1.1\r\nHost:").await, "", "half a head");
    let paused = ask("PUT /put HTTP/1.1\r\nHost: d\r\nContent-Length: 9\r\n\r\nhalf").await;
    assert!(paused.starts_with("HTTP/1.1 408") && paused.contains("nothing came for 0 s"), "{paused}");
    let many: String = (0..20).map(|at| format!("X-{at}: {at}\r\n")).collect();
    let many = ask(&format!("GET /who HTTP/1.1\r\n{many}\r\n")).await;
    assert!(many.starts_with("HTTP/1.1 431"), "{many}");
    let long = ask(&format!("GET /who HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(20 << 10))).await;
    assert!(long.starts_with("HTTP/1.1 431"), "{long}");
}

#[tokio::test]
async fn more_connections_than_there_may_be_wait() {
    let listener = Listener::tcp("127.0.0.1:0".parse().expect("an address")).expect("bound");
    let address = listener.address().expect("an address");
    let _running = Running::start(listener, Limits { connections: 1, ..limits() });
    let first = TcpStream::connect(address).await.expect("connected");
    let mut second = TcpStream::connect(address).await.expect("connected");
    second.write_all(b"GET /who HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n").await.expect("written");
    let mut byte = [0];
    let early = tokio::time::timeout(Duration::from_millis(100), second.read(&mut byte)).await;
    assert!(early.is_err(), "the first one has its place");
    drop(first);
    assert!(rest(&mut second).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_connection_that_was_taken_over_counts_until_its_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.sock");
    let listener = Listener::unix(&path, 0o600).expect("bound");
    let _running = Running::start(listener, Limits { connections: 1, ..limits() });
    let mut raw = UnixStream::connect(&path).await.expect("connected");
    let asked = "GET /raw HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
    raw.write_all(asked.as_bytes()).await.expect("written");
    assert!(raw.read(&mut [0; 1024]).await.expect("a head") > 0);
    let mut second = UnixStream::connect(&path).await.expect("connected");
    second.write_all(b"GET /who HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n").await.expect("written");
    let early = tokio::time::timeout(Duration::from_millis(100), second.read(&mut [0])).await;
    assert!(early.is_err(), "the first one has its place");
    raw.write_all(b"bytes").await.expect("written");
    assert_eq!(rest(&mut raw).await, "bytes");
    drop(raw);
    assert!(rest(&mut second).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn what_is_being_answered_at_shutdown_is_answered() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.sock");
    let running = Running::start(Listener::unix(&path, 0o600).expect("bound"), limits());
    let mut busy = UnixStream::connect(&path).await.expect("connected");
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: d\r\n\r\n").await.expect("written");
    let mut idle = UnixStream::connect(&path).await.expect("connected");
    idle.write_all(b"GET /who HTTP/1.1\r\nHost: d\r\n\r\n").await.expect("written");
    assert!(idle.read(&mut [0; 1024]).await.expect("read") > 0);
    running.shutdown.cancel();
    assert_eq!(rest(&mut idle).await, "");
    assert!(rest(&mut busy).await.ends_with("at last"));
    running.server.drained().await;
}
