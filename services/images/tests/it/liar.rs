//! A registry that misbehaves as it is told to.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::bundle::{Blob, Bundle};

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub headers: HashMap<String, String>,
}

/// An answer, and how it goes wrong.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// So many bytes of the body, then the connection breaks.
    pub cut: Option<usize>,
    /// Never answers.
    pub hang: bool,
}

impl Answer {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), cut: None, hang: false }
    }

    pub fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    pub fn cut(mut self, after: usize) -> Self {
        self.cut = Some(after);
        self
    }

    /// A body whose length is not announced.
    pub fn chunked(bytes: Vec<u8>) -> Self {
        let body = [format!("{:x}\r\n", bytes.len()).as_bytes(), &bytes, b"\r\n0\r\n\r\n"].concat();
        Self::new(200, body).header("transfer-encoding", "chunked")
    }

    pub fn hang() -> Self {
        Self { hang: true, ..Self::new(200, "") }
    }
}

type Script = dyn FnMut(&Asked) -> Answer + Send;

/// The registry; it ends with this value.
pub struct Liar {
    pub port: u16,
    pub asked: Arc<Mutex<Vec<Asked>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Liar {
    /// Answers every request as `script` says.
    pub async fn start(script: impl FnMut(&Asked) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Mutex<Box<Script>>> = Arc::new(Mutex::new(Box::new(script)));
        let log = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                tokio::spawn(converse(stream, Arc::clone(&script), Arc::clone(&log)));
            }
        });
        Self { port, asked, task }
    }

    pub fn domain(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// How many requests there were for a path that contains `part`.
    pub fn count(&self, method: &str, part: &str) -> usize {
        let asked = self.asked.lock();
        asked.iter().filter(|asked| asked.method == method && asked.path.contains(part)).count()
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn converse(stream: TcpStream, script: Arc<Mutex<Box<Script>>>, log: Arc<Mutex<Vec<Asked>>>) {
    let mut stream = BufReader::new(stream);
    while let Some(asked) = read_head(&mut stream).await {
        let answer = (script.lock())(&asked);
        log.lock().push(asked.clone());
        if answer.hang {
            tokio::time::sleep(Duration::from_secs(3600)).await;
        }
        let mut head = format!("HTTP/1.1 {} Because\r\n", answer.status);
        if !answer.headers.iter().any(|(name, _)| name == "content-length" || name == "transfer-encoding") {
            head += &format!("content-length: {}\r\n", answer.body.len());
        }
        for (name, value) in &answer.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let body = if asked.method == "HEAD" { &[][..] } else { &answer.body };
        let sent = &body[..answer.cut.unwrap_or(body.len()).min(body.len())];
        let written = async {
            stream.write_all(format!("{head}\r\n").as_bytes()).await?;
            stream.write_all(sent).await?;
            stream.flush().await
        };
        if written.await.is_err() || answer.cut.is_some() {
            return;
        }
    }
}

/// Reads a request without a body; none when it is not HTTP (a TLS handshake) or the end.
async fn read_head(stream: &mut BufReader<TcpStream>) -> Option<Asked> {
    let first = *stream.fill_buf().await.ok()?.first()?;
    if !first.is_ascii_uppercase() {
        return None;
    }
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut words = lines.first()?.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers = lines[1..].iter().filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
    Some(Asked { method, path, headers })
}

/// What an honest registry that holds `bundles` answers; ranges included.
pub fn honest(bundles: &[Bundle]) -> impl Fn(&Asked) -> Answer + Send + Clone + 'static {
    let mut manifests: HashMap<String, Blob> = HashMap::new();
    let mut blobs: HashMap<String, Blob> = HashMap::new();
    for (at, bundle) in bundles.iter().enumerate() {
        manifests.insert(bundle.manifest.digest().to_string(), bundle.manifest.clone());
        manifests.insert(format!("{at}"), bundle.manifest.clone());
        let index = bundle.index();
        manifests.insert(format!("index{at}"), index.clone());
        manifests.insert(index.digest().to_string(), index);
        blobs.extend(bundle.blobs().map(|blob| (blob.digest().to_string(), blob.clone())));
    }
    move |asked| {
        let last = asked.path.rsplit('/').next().unwrap_or_default();
        if asked.path.contains("/manifests/") {
            return match manifests.get(last) {
                Some(blob) => Answer::new(200, blob.bytes.to_vec())
                    .header("content-type", &blob.media_type)
                    .header("docker-content-digest", blob.digest()),
                None => unknown("MANIFEST_UNKNOWN"),
            };
        }
        let Some(blob) = blobs.get(last) else { return unknown("BLOB_UNKNOWN") };
        let range = asked
            .headers
            .get("range")
            .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
        match range {
            Some(start) => {
                let length = blob.bytes.len();
                Answer::new(206, blob.bytes[start..].to_vec())
                    .header("content-range", format!("bytes {start}-{}/{length}", length - 1))
            }
            None => Answer::new(200, blob.bytes.to_vec()),
        }
    }
}

pub fn unknown(code: &str) -> Answer {
    Answer::new(404, format!(r#"{{"errors":[{{"code":"{code}","message":"not known here"}}]}}"#))
}
