//! A client that writes and reads HTTP by hand, so that each byte is known.

use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// A request with a JSON body or none.
pub fn request(method: &str, path: &str, body: Option<&str>) -> Vec<u8> {
    let head = format!("{method} {path} HTTP/1.1\r\nHost: d\r\n");
    match body {
        None => format!("{head}\r\n").into_bytes(),
        Some(body) => {
            format!("{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
                .into_bytes()
        }
    }
}

/// A request that asks for the connection.
pub fn upgrade(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// A connection.
pub struct Client {
    stream: UnixStream,
    read: Vec<u8>,
}

/// The head of a reply, then its body too.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub reason: String,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub fn message(&self) -> String {
        self.json()["message"].as_str().expect("a message").to_owned()
    }
}

impl Client {
    pub async fn connect(path: &Path) -> Self {
        Self { stream: UnixStream::connect(path).await.expect("connected"), read: Vec::new() }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("sent");
    }

    /// Sends to a server that may have heard enough.
    pub async fn try_send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    pub async fn close_input(&mut self) {
        self.stream.shutdown().await.expect("half-closed");
    }

    async fn fill(&mut self) -> bool {
        self.stream.read_buf(&mut self.read).await.is_ok_and(|count| count > 0)
    }

    pub async fn head(&mut self) -> Reply {
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            assert!(self.fill().await, "the head ended early: {}", String::from_utf8_lossy(&self.read));
        };
        let head = String::from_utf8(self.read.drain(..end).collect()).expect("text");
        let mut lines = head.trim_end().split("\r\n");
        let mut first = lines.next().expect("a status line").splitn(3, ' ').skip(1);
        let status = first.next().expect("a status").parse().expect("a number");
        let reason = first.next().unwrap_or("").to_owned();
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(key, value)| (key.to_lowercase(), value.to_owned()));
        Reply { status, reason, headers: headers.collect(), body: Vec::new() }
    }

    /// Reads the body that belongs to a head.
    pub async fn body_of(&mut self, mut head: Reply) -> Reply {
        if let Some(length) = head.header("content-length") {
            let length: usize = length.parse().expect("a number");
            while self.read.len() < length {
                assert!(self.fill().await, "the body ended early");
            }
            head.body = self.read.drain(..length).collect();
        } else if head.header("transfer-encoding") == Some("chunked") {
            loop {
                let line = loop {
                    if let Some(end) = self.read.windows(2).position(|window| window == b"\r\n") {
                        break end;
                    }
                    assert!(self.fill().await, "the body ended early");
                };
                let length = std::str::from_utf8(&self.read[..line]).expect("text");
                let length = usize::from_str_radix(length, 16).expect("a length");
                while self.read.len() < line + 2 + length + 2 {
                    assert!(self.fill().await, "the body ended early");
                }
                head.body.extend_from_slice(&self.read[line + 2..line + 2 + length]);
                self.read.drain(..line + 2 + length + 2);
                if length == 0 {
                    break;
                }
            }
        }
        head
    }

    /// Waits for bytes of a body, which stay to be read.
    pub async fn until(&mut self, bytes: &[u8]) {
        while !self.read.windows(bytes.len()).any(|window| window == bytes) {
            assert!(self.fill().await, "the body ended early");
        }
    }

    pub async fn reply(&mut self) -> Reply {
        let head = self.head().await;
        self.body_of(head).await
    }

    /// All bytes until the end.
    pub async fn rest(&mut self) -> Vec<u8> {
        while self.fill().await {}
        std::mem::take(&mut self.read)
    }
}
