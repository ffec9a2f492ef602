//! Responses: JSON, empty, streamed, and errors, in the form that Docker's clients expect.

use std::convert::Infallible;
use std::io;

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use serde::Serialize;
use tokio::net::UnixStream;
use tokio_util::io::ReaderStream;

use crate::error::Error;
use crate::wire::ErrorBody;

pub use gantry_http::BodyError;

/// The body of any response.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;
/// Any response.
pub type Response = http::Response<Body>;

/// The content type of JSON, exactly so: clients compare the whole header.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The content type of multiplexed output.
pub const MULTIPLEXED: HeaderValue = HeaderValue::from_static("application/vnd.docker.multiplexed-stream");
/// The content type of raw output.
pub const RAW: HeaderValue = HeaderValue::from_static("application/vnd.docker.raw-stream");
/// An archive.
pub const TAR: HeaderValue = HeaderValue::from_static("application/x-tar");
/// Text for people.
pub const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

const ARCHIVE_CHUNK: usize = 64 << 10;
/// A tar ends with two blocks of zeros.
const TAR_END: usize = 1024;

/// A body of known bytes.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// A response without a body.
pub fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(full(Bytes::new()));
    *response.status_mut() = status;
    response
}

/// A response with bytes of a type.
pub fn bytes(content_type: HeaderValue, bytes: impl Into<Bytes>) -> Response {
    let mut response = Response::new(full(bytes));
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// A value as JSON, with a line end as Docker sends it.
pub fn json(status: StatusCode, value: &impl Serialize) -> Result<Response, Error> {
    let mut text = serde_json::to_vec(value).map_err(not_encoded)?;
    text.push(b'\n');
    let mut response = bytes(JSON, text);
    *response.status_mut() = status;
    Ok(response)
}

/// The error for a value that JSON cannot express.
pub fn not_encoded(error: serde_json::Error) -> Error {
    Error::internal(format!("cannot encode the response: {error}"))
}

/// A value as JSON, with 200.
pub fn ok(value: &impl Serialize) -> Result<Response, Error> {
    json(StatusCode::OK, value)
}

/// An error, as Docker's JSON.
pub fn error(error: &Error) -> Response {
    let message = error.to_string();
    let mut response = match error.status() {
        StatusCode::NOT_MODIFIED => empty(StatusCode::NOT_MODIFIED),
        _ => json(StatusCode::OK, &ErrorBody { message: &message }).unwrap_or_else(|_| empty(StatusCode::OK)),
    };
    *response.status_mut() = error.status();
    response
}

/// An error in place of a raw stream: plain text with the stream's content type, after which the connection ends.
pub fn stream_error(error: &Error) -> Response {
    let mut response = bytes(RAW, format!("{error}\r\n"));
    *response.status_mut() = error.status();
    response.headers_mut().insert(http::header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// A response with a streamed body. Its headers leave at once.
pub fn streamed<S, E>(content_type: HeaderValue, chunks: S) -> Response
where
    S: Stream<Item = Result<Bytes, E>> + Send + 'static,
    E: Into<BodyError> + 'static,
{
    let body = StreamBody::new(chunks.map_ok(Frame::data).map_err(Into::into));
    let mut response = Response::new(BodyExt::boxed_unsync(body));
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// A stream of JSON objects, one a line. An error breaks the response off, so that the client sees that it is incomplete.
pub fn json_lines<S, T, E>(values: S) -> Response
where
    S: Stream<Item = Result<T, E>> + Send + 'static,
    T: Serialize + 'static,
    E: Into<BodyError> + 'static,
{
    streamed(JSON, lines(values))
}

/// The lines of [`json_lines`].
pub fn lines<S, T, E>(values: S) -> impl Stream<Item = Result<Bytes, BodyError>> + Send + 'static
where
    S: Stream<Item = Result<T, E>> + Send + 'static,
    T: Serialize + 'static,
    E: Into<BodyError> + 'static,
{
    values.map(|value| {
        let mut line = serde_json::to_vec(&value.map_err(Into::into)?)?;
        line.push(b'\n');
        Ok::<_, BodyError>(Bytes::from(line))
    })
}

/// A tar that another service sends into a socket.
pub fn archive_from(content_type: HeaderValue, socket: UnixStream) -> Response {
    archive(content_type, ReaderStream::with_capacity(socket, ARCHIVE_CHUNK))
}

/// A tar that another service streams. If it stops before the tar's end, that service has failed or died: the response breaks off, so
/// that the client does not take what it has for the whole.
pub fn archive<S, E>(content_type: HeaderValue, chunks: S) -> Response
where
    S: Stream<Item = Result<Bytes, E>> + Send + 'static,
    E: Into<BodyError> + 'static,
{
    let mut zeros = 0;
    let chunks = chunks.map_err(Into::into).map(Some).chain(stream::iter([None]));
    let chunks = chunks.filter_map(move |chunk| {
        let passed = match chunk {
            Some(Ok(chunk)) => {
                zeros = trailing_zeros(zeros, &chunk);
                Some(Ok(chunk))
            }
            None if zeros < TAR_END => {
                Some(Err(BodyError::from(io::Error::from(io::ErrorKind::UnexpectedEof))))
            }
            other => other,
        };
        std::future::ready(passed)
    });
    streamed(content_type, chunks)
}

/// How many zeros are at the end of `before` zeros and `chunk`, up to [`TAR_END`].
fn trailing_zeros(before: usize, chunk: &[u8]) -> usize {
    let last = chunk.iter().rev().take(TAR_END).take_while(|byte| **byte == 0).count();
    if last == chunk.len() { (before + last).min(TAR_END) } else { last }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_tar_may_come_in_pieces() {
        let end = [0; TAR_END];
        assert_eq!(trailing_zeros(0, &end), TAR_END);
        assert_eq!(trailing_zeros(trailing_zeros(7, &end[..1000]), &end[1000..]), TAR_END);
        assert_eq!(trailing_zeros(TAR_END, b"more"), 0);
        assert_eq!(trailing_zeros(5, &[1, 0, 0]), 2);
        assert_eq!(trailing_zeros(5, &[]), 5);
    }
}
