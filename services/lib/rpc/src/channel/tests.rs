use std::path::Path;

use h2::Reason;
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::*;
use crate::{socket, terms};

/// A channel to `path` whose calls have no limit.
fn channel(path: PathBuf) -> Channel {
    Channel::unix("x", path, terms::open)
}

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

/// Responds to each call with the call's own body.
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

/// The head of a gRPC response.
fn grpc() -> Response<()> {
    Response::builder().header("content-type", "application/grpc").body(()).expect("a response")
}

/// The status of a call that the server at `path` does not answer.
async fn refused(path: &Path) -> Status {
    match channel(path.to_owned()).send(unary()).await {
        Ok(response) => response.into_body().collect().await.expect_err("no end"),
        Err(status) => status,
    }
}

#[tokio::test]
async fn a_peer_that_does_not_answer_is_away() {
    let (path, listener) = listener("away");
    // HTTP/2 settings without a response; then the head of a response without a body.
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
async fn bodies_of_all_sizes_go_both_ways() {
    let (path, listener) = listener("sizes");
    tokio::spawn(echo(listener));
    let channel = self::channel(path);
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
    let mut answer = channel(path).send(request(body)).await.expect("an answer").into_body();
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
    let call = tokio::spawn(async move { channel(path).send(request(body)).await });
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
    let call = tokio::spawn(async move { channel(path).send(unary()).await });
    let mut connection = accept(&listener).await;
    let (_, mut respond) = connection.accept().await.expect("a call").expect("no error");
    let mut answer = respond.send_response(grpc(), false).expect("answered");
    answer.send_data(Bytes::from_static(b"half"), false).expect("sent");
    tokio::spawn(async move { connection.accept().await.is_none() });
    let mut body = call.await.expect("no panic").expect("an answer").into_body();
    assert_eq!(body.frame().await.expect("a frame").expect("data").into_data().expect("data"), "half");
    // HTTP/2 does not call it an error: a server sends it after a response when it does not want the rest of a
    // request.
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
    let channel = self::channel(path.clone());
    channel.send(unary()).await.expect("an answer");
    server.abort();
    assert!(server.await.expect_err("ended").is_cancelled());
    assert_eq!(channel.send(unary()).await.expect_err("nobody listens").code(), Code::Unavailable);
    tokio::spawn(echo(socket::bind(&path, 0o600).expect("bound")));
    channel.send(unary()).await.expect("an answer");
}

const SHORT: Duration = Duration::from_millis(150);

fn hasty(path: PathBuf) -> Channel {
    Channel::unix("x", path, |_| Bound::Within(SHORT))
}

fn lasting(path: PathBuf) -> Channel {
    Channel::to_service("x", path, |_| Bound::Alive)
}

#[tokio::test]
async fn a_peer_that_hangs_costs_its_caller_the_deadline() {
    let (path, listener) = listener("hangs");
    let status = hasty(path.clone()).send(unary()).await.expect_err("no head");
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(status.message(), "service x did not answer b/C within 150.0ms");
    // The earlier connection is still in the queue.
    drop(listener.accept().await);
    let call = tokio::spawn(async move { hasty(path).send(unary()).await });
    let mut connection = accept(&listener).await;
    let (request, mut respond) = connection.accept().await.expect("a call").expect("no error");
    let told = deadline::of(request.headers()).expect("told");
    assert!((SHORT..SHORT * 2).contains(&told), "{told:?}");
    let _answer = respond.send_response(Response::new(()), false).expect("answered");
    let driven = tokio::spawn(async move { connection.accept().await.is_none() });
    let answer = call.await.expect("no panic").expect("a head").into_body();
    let status = answer.collect().await.expect_err("no body");
    assert_eq!(status.code(), Code::DeadlineExceeded);
    let error = request.into_body().data().await.expect("hello").and(Ok(())).err();
    assert!(error.is_none_or(|error| error.reason() == Some(Reason::CANCEL)));
    assert!(driven.await.expect("no panic"), "the connection ends with its channel");
}

#[tokio::test]
async fn what_is_left_of_the_caller_s_time_is_all_there_is() {
    let (path, _listener) = listener("left");
    let soon = tokio::time::Instant::now() + Duration::from_millis(50);
    let begun = tokio::time::Instant::now();
    let status = deadline::until(soon, lasting(path).send(unary())).await.expect_err("no answer");
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_request_may_say_its_own_deadline() {
    let (path, _listener) = listener("own");
    let mut request = unary();
    request.headers_mut().insert(deadline::HEADER, "20m".parse().expect("a value"));
    let status = channel(path).send(request).await.expect_err("no answer");
    assert_eq!(status.message(), "service x did not answer b/C within 20.0ms");
}

#[tokio::test]
async fn calls_that_last_end_when_their_peer_falls_silent() {
    let (path, listener) = listener("silent");
    let channel = lasting(path);
    let (one, other) =
        tokio::join!(channel.send(unary()), channel.while_alive(std::future::pending::<Result<(), _>>()));
    for status in [one.expect_err("no answer"), other.expect_err("no end")] {
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        assert!(status.message().starts_with("service x is away: it has not answered for "), "{status}");
    }
    drop(listener);
}

#[tokio::test]
async fn calls_that_last_do_so_while_their_peer_is_alive() {
    let (path, listener) = listener("alive");
    let (answer, answered) = tokio::sync::oneshot::channel::<()>();
    tokio::spawn(async move {
        let mut connection = accept(&listener).await;
        let (_, mut respond) = connection.accept().await.expect("a call").expect("no error");
        let answering = async {
            answered.await.expect("wanted");
            respond.send_response(Response::new(()), true).expect("answered");
            std::future::pending::<()>().await
        };
        tokio::select! {
            _ = connection.accept() => {}
            () = answering => {}
        }
    });
    let channel = lasting(path);
    let call = channel.send(unary());
    tokio::pin!(call);
    let early = tokio::time::timeout(Duration::from_secs(1), &mut call).await;
    assert!(early.is_err(), "PINGs are answered meanwhile");
    answer.send(()).expect("it waits");
    call.await.expect("an answer");
}

#[tokio::test]
async fn a_service_that_is_started_anew_is_waited_for() {
    let (path, listener) = listener("anew");
    drop(listener);
    std::fs::remove_file(&path).expect("removed");
    assert_eq!(
        channel(path.clone()).send(unary()).await.expect_err("nobody listens").code(),
        Code::Unavailable
    );
    let channel = Channel::to_service("x", path.clone(), terms::open);
    assert_eq!(channel.send(unary()).await.expect_err("nobody comes").code(), Code::Unavailable);
    let call = tokio::spawn(async move { channel.send(unary()).await.map(drop) });
    tokio::time::sleep(Duration::from_millis(20)).await;
    let serving = tokio::spawn(echo(socket::bind(&path, 0o600).expect("bound")));
    call.await.expect("no panic").expect("an answer");
    serving.abort();
}

#[tokio::test]
async fn work_beside_calls_does_not_need_them() {
    let (path, listener) = listener("beside");
    drop(listener);
    std::fs::remove_file(&path).expect("removed");
    assert_eq!(lasting(path).while_alive(async { Ok::<_, Status>(7) }).await.expect("done"), 7);
}
