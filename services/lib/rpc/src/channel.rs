//! Channels to peers.
//!
//! A call is one HTTP/2 stream of a shared connection. A message that is there when the call is made leaves in one
//! piece with the call's head, so that the peer is woken once.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::FutureExt;
use h2::client::SendRequest;
use h2::{Reason, RecvStream, SendStream};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tonic::codegen::http::uri::{Authority, Scheme};
use tonic::codegen::http::{Request, Response, Uri, Version};
use tonic::{Code, Status};
use tower::Service;

use crate::stream::Stream;
use crate::{socket, trace};

/// What a stream may have in flight, in bytes.
const STREAM_WINDOW: u32 = 1 << 20;
/// What all streams of a connection may have in flight: far more than they will, so that streams which nobody reads do
/// not hold up the others.
const CONNECTION_WINDOW: u32 = 1 << 30;
/// The largest piece of a message, in bytes.
const FRAME: u32 = 256 << 10;

/// A channel to a gRPC server. Its calls carry the trace of the span under which they are made. A call that got no
/// answer, because nobody listens or because the connection broke, fails with `UNAVAILABLE` and says which peer is away;
/// so does a stream of answers that breaks. A call whose answer is dropped is cancelled. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Channel {
    peer: &'static str,
    link: Arc<Link>,
}

/// The connection of a channel and its clones.
#[derive(Debug)]
struct Link {
    path: PathBuf,
    // Held while connecting to a local socket, which either works at once or fails at once.
    sender: tokio::sync::Mutex<Option<SendRequest<Bytes>>>,
}

impl Channel {
    /// A channel to the gRPC server at the unix socket `path`. It connects when it is first used and again after the
    /// server was away; until then calls fail, naming `peer`.
    pub fn unix(peer: &'static str, path: PathBuf) -> Self {
        Self { peer, link: Arc::new(Link { path, sender: tokio::sync::Mutex::default() }) }
    }

    /// Sends a call as it is, and waits for the head of the response.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` when there was no answer; what the server reset the call with.
    pub async fn send<B>(&self, request: Request<B>) -> Result<Response<Answer>, Status>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let peer = self.peer;
        let mut sender = self.link.sender().await.map_err(|error| away(peer, &error))?;
        let (head, body) = request.into_parts();
        let head = addressed(Request::from_parts(head, ()));
        let lost = |error: h2::Error| unheard(peer, Status::from_error(error.into()));
        let empty = body.is_end_stream();
        let (response, stream) = sender.send_request(head, empty).map_err(lost)?;
        let mut sending = Box::pin(send_body(body, stream));
        let rest = match empty || sending.as_mut().now_or_never().is_some() {
            true => None,
            false => Some(Sending(tokio::spawn(sending))),
        };
        let response = response.await.map_err(lost)?;
        Ok(response.map(|stream| Answer { peer, stream, _rest: rest }))
    }
}

impl Service<Request<tonic::body::Body>> for Channel {
    type Response = Response<Answer>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Answer>, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<tonic::body::Body>) -> Self::Future {
        trace::inject(request.headers_mut());
        let channel = self.clone();
        Box::pin(async move { channel.send(request).await })
    }
}

impl Link {
    /// A sender of the connection, which is made if there is none or it has ended.
    async fn sender(&self) -> io::Result<SendRequest<Bytes>> {
        let mut kept = self.sender.lock().await;
        if let Some(sender) = kept.take()
            && let Ok(sender) = sender.ready().await
        {
            *kept = Some(sender.clone());
            return Ok(sender);
        }
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", self.path.display()));
        let stream = socket::connect(&self.path).await.and_then(Stream::new).map_err(named)?;
        let (sender, connection) = h2::client::Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME)
            .enable_push(false)
            .handshake(stream)
            .await
            .map_err(io::Error::other)?;
        // Ends with its senders, or with the peer: then their calls fail, and say why.
        tokio::spawn(connection.map(drop));
        *kept = Some(sender.clone());
        Ok(sender)
    }
}

/// The request as HTTP/2 wants it: with a scheme and an authority.
fn addressed(mut request: Request<()>) -> Request<()> {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(Authority::from_static("localhost"));
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    *request.version_mut() = Version::HTTP_2;
    request
}

/// Sends a body, whose last piece says that it is the last if that is known by then. Ends early when the peer wants no
/// more; what is wrong then is told by the response.
async fn send_body<B>(mut body: B, mut stream: SendStream<Bytes>)
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut next = body.frame().await.map(Result::ok);
    while let Some(frame) = next {
        let Some(frame) = frame else { return stream.send_reset(Reason::CANCEL) };
        let Ok(piece) = frame.into_data() else { break };
        let following = body.frame().now_or_never().map(|next| next.map(Result::ok));
        let last = matches!(following, Some(None));
        if stream.send_data(piece, last).is_err() || last {
            return;
        }
        next = match following {
            Some(next) => next,
            None => body.frame().await.map(Result::ok),
        };
        if next.is_none() {
            break;
        }
        // No more than one piece waits for the peer to read.
        stream.reserve_capacity(1);
        while stream.capacity() == 0 {
            let Some(Ok(_)) = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await else { return };
        }
    }
    // It fails when the call has already ended.
    let _ = stream.send_data(Bytes::new(), true);
}

/// The rest of a request's body on its way; the call is cancelled when it is dropped.
#[derive(Debug)]
struct Sending(tokio::task::JoinHandle<()>);

impl Drop for Sending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The body of a response.
#[derive(Debug)]
pub struct Answer {
    peer: &'static str,
    stream: RecvStream,
    _rest: Option<Sending>,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let peer = self.peer;
        let lost = |error: h2::Error| unheard(peer, Status::from_error(error.into()));
        match ready!(self.stream.poll_data(cx)) {
            Some(Ok(piece)) => {
                // It fails when the stream has ended, and then there is nothing to give back.
                let _ = self.stream.flow_control().release_capacity(piece.len());
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Some(Err(error)) => Poll::Ready(Some(Err(lost(error)))),
            None => Poll::Ready(
                ready!(self.stream.poll_trailers(cx))
                    .map(|trailers| trailers.map(Frame::trailers))
                    .map_err(lost)
                    .transpose(),
            ),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }
}

/// Tells a connection that broke from an answer: an answer has no source, it came over the wire.
fn unheard(peer: &str, status: Status) -> Status {
    let Some(mut cause) = status.source() else { return status };
    if !matches!(status.code(), Code::Unavailable | Code::Cancelled | Code::Internal | Code::Unknown) {
        return status;
    }
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    away(peer, cause)
}

fn away(peer: &str, cause: &dyn Error) -> Status {
    Status::unavailable(format!("service {peer} is away: {cause}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use http_body_util::{Full, StreamBody};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;
    use tokio::sync::mpsc;
    use tokio_stream::wrappers::ReceiverStream;

    use super::*;

    fn listener(name: &str) -> (PathBuf, UnixListener) {
        let path = std::env::temp_dir().join(format!("gantry-channel-{}-{name}.sock", std::process::id()));
        let listener = socket::bind(&path, 0o600).expect("bound");
        (path, listener)
    }

    fn request<B>(body: B) -> Request<B> {
        Request::post("/a.b/C").body(body).expect("a request")
    }

    fn unary() -> Request<Full<Bytes>> {
        request(Full::new(Bytes::from_static(b"hello")))
    }

    /// A server's side of a connection.
    async fn accept(listener: &UnixListener) -> h2::server::Connection<tokio::net::UnixStream, Bytes> {
        let (socket, _) = listener.accept().await.expect("a caller");
        h2::server::Builder::new()
            .initial_window_size(64 << 10)
            .handshake(socket)
            .await
            .expect("a client's preface")
    }

    /// Answers each call with its own body.
    async fn echo(listener: UnixListener) {
        loop {
            let mut connection = accept(&listener).await;
            tokio::spawn(async move {
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    tokio::spawn(async move {
                        let mut answer = respond.send_response(Response::new(()), false).expect("answered");
                        let mut body = request.into_body();
                        while let Some(piece) = body.data().await {
                            let Ok(piece) = piece else { return };
                            body.flow_control().release_capacity(piece.len()).expect("released");
                            answer.send_data(piece, false).expect("echoed");
                        }
                        answer.send_trailers(http_trailers()).expect("ended");
                    });
                }
            });
        }
    }

    fn http_trailers() -> tonic::codegen::http::HeaderMap {
        let mut trailers = tonic::codegen::http::HeaderMap::new();
        trailers.insert("grpc-status", 0.into());
        trailers
    }

    /// What a call says that the server at `path` does not answer.
    async fn refused(path: &Path) -> Status {
        match Channel::unix("x", path.to_owned()).send(unary()).await {
            Ok(response) => response.into_body().collect().await.expect_err("no end"),
            Err(status) => status,
        }
    }

    #[tokio::test]
    async fn a_peer_that_does_not_answer_is_away() {
        let (path, listener) = listener("away");
        // Headers of HTTP/2 and no answer; then an answer's headers and no answer.
        const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
        const OK: &[u8] = &[0, 0, 1, 1, 4, 0, 0, 0, 1, 0x88];
        for answer in [SETTINGS.to_vec(), [SETTINGS, OK].concat()] {
            let server = async {
                let (mut stream, _) = listener.accept().await.expect("a caller");
                stream.write_all(&answer).await.expect("sent");
                stream.read_exact(&mut [0; 64]).await.expect("a request");
            };
            let (status, ()) = tokio::join!(refused(&path), server);
            assert_eq!(status.code(), Code::Unavailable, "{status}");
            assert!(status.message().starts_with("service x is away: "), "{status}");
        }
        std::fs::remove_file(&path).expect("removed");
        let status = refused(&path).await;
        assert_eq!(status.code(), Code::Unavailable);
        assert!(status.message().starts_with("service x is away: "), "{status}");
        assert!(status.message().contains("No such file"), "{status}");
    }

    #[tokio::test]
    async fn a_call_leaves_in_one_piece() {
        let (path, listener) = listener("piece");
        tokio::spawn(async move { Channel::unix("x", path).send(unary()).await.map(drop) });
        let (mut socket, _) = listener.accept().await.expect("a caller");
        socket.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.expect("sent");
        let mut received = vec![0; 4096];
        let mut all = Vec::new();
        let last = loop {
            let read = socket.read(&mut received).await.expect("frames");
            all.extend_from_slice(&received[..read]);
            if all.windows(5).any(|piece| piece == b"hello") {
                break &received[..read];
            }
        };
        // DATA (0), 5 bytes, END_STREAM (1), of stream 1; with HEADERS (1), END_HEADERS (4) before it.
        assert!(last.ends_with(&[b"\0\0\x05\0\x01\0\0\0\x01", &b"hello"[..]].concat()), "{last:?}");
        assert!(last.windows(6).any(|piece| piece == [1, 4, 0, 0, 0, 1]), "{last:?}");
    }

    #[tokio::test]
    async fn bodies_of_all_sizes_go_both_ways() {
        let (path, listener) = listener("sizes");
        tokio::spawn(echo(listener));
        let channel = Channel::unix("x", path);
        for size in [0, 1, 64 << 10, 5 << 20] {
            let body = Bytes::from_iter((0..size).map(|at: u32| at.to_le_bytes()[0]));
            let answer = channel.send(request(Full::new(body.clone()))).await.expect("an answer");
            let answer = answer.into_body().collect().await.expect("the whole answer");
            assert_eq!(answer.trailers(), Some(&http_trailers()));
            assert!(answer.to_bytes() == body, "{size} bytes");
        }
    }

    #[tokio::test]
    async fn messages_of_a_stream_do_not_wait_for_each_other() {
        let (path, listener) = listener("stream");
        tokio::spawn(echo(listener));
        let (messages, body) = mpsc::channel::<Result<_, Status>>(1);
        let body = StreamBody::new(ReceiverStream::new(body));
        let mut answer = Channel::unix("x", path).send(request(body)).await.expect("an answer").into_body();
        for message in ["one", "two"] {
            messages.send(Ok(Frame::data(Bytes::from(message)))).await.expect("taken");
            let echoed = answer.frame().await.expect("a frame").expect("no error");
            assert_eq!(echoed.into_data().expect("data"), message);
        }
        drop(messages);
        assert!(answer.frame().await.expect("a frame").expect("no error").is_trailers());
        assert!(answer.frame().await.is_none());
    }

    #[tokio::test]
    async fn an_answer_that_is_dropped_cancels_its_call() {
        let (path, listener) = listener("cancel");
        let (messages, body) = mpsc::channel::<Result<_, Status>>(1);
        let body = StreamBody::new(ReceiverStream::new(body));
        let call = tokio::spawn(async move { Channel::unix("x", path).send(request(body)).await });
        let mut connection = accept(&listener).await;
        let (request, mut respond) = connection.accept().await.expect("a call").expect("no error");
        let _answer = respond.send_response(Response::new(()), false).expect("answered");
        let driven = tokio::spawn(async move { connection.accept().await.is_none() });
        drop(call.await.expect("no panic").expect("an answer"));
        let error = request.into_body().data().await.expect("an end").expect_err("cancelled");
        assert_eq!(error.reason(), Some(Reason::CANCEL));
        messages.closed().await;
        assert!(driven.await.expect("no panic"), "the connection ends with its channel");
    }

    #[tokio::test]
    async fn an_answer_that_is_cut_off_is_no_answer() {
        let (path, listener) = listener("cut");
        let call = tokio::spawn(async move { Channel::unix("x", path).send(unary()).await });
        let mut connection = accept(&listener).await;
        let (_, mut respond) = connection.accept().await.expect("a call").expect("no error");
        let mut answer = respond.send_response(Response::new(()), false).expect("answered");
        answer.send_data(Bytes::from_static(b"half"), false).expect("sent");
        tokio::spawn(async move { connection.accept().await.is_none() });
        let mut body = call.await.expect("no panic").expect("an answer").into_body();
        assert_eq!(body.frame().await.expect("a frame").expect("data").into_data().expect("data"), "half");
        // Not an error to HTTP: it is the way to say that the rest of a request is not wanted, after an answer.
        answer.send_reset(Reason::NO_ERROR);
        let status = body.frame().await.expect("no end").expect_err("half an answer");
        assert_eq!(status.code(), Code::Unavailable, "{status}");
    }

    #[tokio::test]
    async fn a_peer_that_came_back_is_found() {
        let (path, listener) = listener("back");
        let server = tokio::spawn(async move {
            let mut connection = accept(&listener).await;
            let (_, mut respond) = connection.accept().await.expect("a call").expect("no error");
            respond.send_response(Response::new(()), true).expect("answered");
            connection.accept().await.is_none()
        });
        let channel = Channel::unix("x", path.clone());
        channel.send(unary()).await.expect("an answer");
        server.abort();
        assert!(server.await.expect_err("ended").is_cancelled());
        assert_eq!(channel.send(unary()).await.expect_err("nobody listens").code(), Code::Unavailable);
        tokio::spawn(echo(socket::bind(&path, 0o600).expect("bound")));
        channel.send(unary()).await.expect("an answer");
    }
}
