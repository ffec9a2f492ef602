//! Attachments over a WebSocket, for clients that cannot hijack a connection, like browsers.
//!
//! The gateway decodes the WebSocket and passes its contents through a socket pair to the code that serves every other attached client.
//! Docker never multiplexes output on a WebSocket, so the gateway takes a process's output out of its frames.
//!
//! ```text
//! client ──frames──> decoder ──raw stdin──> attachment
//! client <──binary frames── demultiplexed <── attachment
//! ```

mod frame;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gantry_http::Socket;
use gantry_http::upgrade::{Client, Input, Output};
use http::StatusCode;
use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, UPGRADE};
use ring::digest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixStream, unix};
use tokio::sync::mpsc;

use crate::error::Error;
use crate::hijack::Terminal;
use crate::multiplex::Demultiplexer;
use crate::response::{self, Response};
pub use frame::Decoder;
use frame::Said;

/// The text that is hashed with a client's key (RFC 6455, 1.3).
const MAGIC: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The version of the protocol.
const VERSION: &str = "13";
const CHUNK: usize = 32 << 10;
/// How long a client may take to answer the close.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);
/// Why a connection ends (RFC 6455, 7.4.1).
const NORMAL: u16 = 1000;
const PROTOCOL_ERROR: u16 = 1002;

/// Answers a client that asks for a WebSocket.
pub fn accept(headers: &HeaderMap) -> Result<Response, Error> {
    let names = |header: HeaderName, wanted: &str| {
        let values = headers.get_all(header).into_iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case(wanted))
    };
    if !names(UPGRADE, "websocket") || !names(CONNECTION, "upgrade") {
        return Err(Error::bad("not websocket protocol"));
    }
    if headers.get("sec-websocket-version").is_none_or(|version| version != VERSION) {
        return Err(Error::bad(format!("missing or bad WebSocket Version: {VERSION} is spoken")));
    }
    let key = headers.get("sec-websocket-key").and_then(|key| key.to_str().ok());
    let key = key.ok_or_else(|| Error::bad("missing Sec-WebSocket-Key"))?;
    let accepted = HeaderValue::try_from(accepted(key.trim()))
        .map_err(|error| Error::internal(format!("cannot accept the WebSocket's key: {error}")))?;
    let mut response = Response::new(response::full(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(HeaderName::from_static("sec-websocket-accept"), accepted);
    Ok(response)
}

/// The answer to a client's key. The hash is no secret and protects nothing.
fn accepted(key: &str) -> String {
    let mut hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key.as_bytes());
    hash.update(MAGIC.as_bytes());
    STANDARD.encode(hash.finish())
}

/// Serves the client inside a WebSocket as `work` serves any other.
pub async fn carry<W: Future<Output = ()>>(
    client: Client,
    terminal: Terminal,
    work: impl FnOnce(Client) -> W,
) -> std::io::Result<()> {
    let (inside, outside) = UnixStream::pair()?;
    let (from, to) = outside.into_split();
    let inside = Client::new(Socket::Unix(inside), Bytes::new())?;
    let Client { mut input, mut output, .. } = client;
    let (answers, asked) = mpsc::channel(16);
    let carried = async move {
        let sending = async {
            send(from, &mut output, asked, terminal).await;
            // A client that is gone gets no close.
            let _ = output.shutdown().await;
        };
        let mut sending = std::pin::pin!(sending);
        let mut receiving = std::pin::pin!(receive(&mut input, to, answers));
        tokio::select! {
            // The client answers with a close of its own, or closes the connection.
            () = &mut sending => drop(tokio::time::timeout(CLOSE_PATIENCE, receiving).await),
            () = &mut receiving => drop(tokio::time::timeout(CLOSE_PATIENCE, sending).await),
        }
    };
    tokio::join!(work(inside), carried);
    Ok(())
}

/// Decodes the client's frames to its end: then both directions end.
async fn receive(input: &mut Input, mut to: unix::OwnedWriteHalf, answers: mpsc::Sender<Bytes>) {
    let (mut decoder, mut chunk) = (Decoder::default(), vec![0; CHUNK]);
    loop {
        match input.read(&mut chunk).await {
            Ok(count) if count > 0 => decoder.feed(&chunk[..count]),
            Ok(_) | Err(_) => return,
        }
        loop {
            let answer = match decoder.next() {
                Ok(None) => break,
                Ok(Some(Said::Data(bytes))) => {
                    // A process that reads no more may still write.
                    let _ = to.write_all(&bytes).await;
                    continue;
                }
                Ok(Some(Said::Ping(payload))) => frame::pong(&payload),
                Ok(Some(Said::Close(_))) => frame::close(NORMAL),
                Err(frame::Violation) => frame::close(PROTOCOL_ERROR),
            };
            let ends = !answer.starts_with(&frame::pong(b"")[..1]);
            if answers.send(answer).await.is_err() || ends {
                return;
            }
        }
    }
}

/// Encodes output and answers, until both end.
async fn send(
    mut from: unix::OwnedReadHalf,
    output: &mut Output,
    mut asked: mpsc::Receiver<Bytes>,
    terminal: Terminal,
) {
    let (mut chunk, mut frames) = (vec![0; CHUNK], Demultiplexer::default());
    loop {
        let sent = tokio::select! {
            answer = asked.recv() => match answer {
                Some(answer) => output.write_all(&answer).await,
                None => return,
            },
            count = from.read(&mut chunk) => match count {
                Ok(count) if count > 0 => {
                    let bytes = match terminal {
                        Terminal::Yes => Bytes::copy_from_slice(&chunk[..count]),
                        Terminal::No => frames.payload(&chunk[..count]).into(),
                    };
                    if bytes.is_empty() { Ok(()) } else { output.write_all(&frame::data(&bytes)).await }
                }
                Ok(_) | Err(_) => {
                    let _ = output.write_all(&frame::close(NORMAL)).await;
                    return;
                }
            },
        };
        if sent.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_accepted_as_the_standard_s_example() {
        assert_eq!(accepted("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn who_wants_something_else_is_refused() {
        let full = [
            ("upgrade", "websocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let headers = |without: &str| {
            let kept = full.iter().filter(|(name, _)| *name != without);
            kept.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect::<HeaderMap>()
        };
        assert_eq!(accept(&headers("")).expect("accepted").status(), StatusCode::SWITCHING_PROTOCOLS);
        for (name, _) in full {
            assert_eq!(accept(&headers(name)).expect_err(name).status(), StatusCode::BAD_REQUEST);
        }
    }
}
