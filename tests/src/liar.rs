//! A registry that misbehaves, in a node's network namespace.
//!
//! It serves one image under every name. A script gets each request first, and may answer otherwise than an honest
//! registry: with another status, other bytes, slowly, in part, or never.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::Node;
use crate::image::Image;

/// A request.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `GET`, `HEAD`.
    pub method: String,
    /// `/v2/…`.
    pub path: String,
    /// The beginning of a range request.
    pub range: Option<usize>,
}

impl Asked {
    /// Whether the request fetches this blob.
    pub fn is_for(&self, digest: &str) -> bool {
        self.method == "GET" && self.path.ends_with(digest)
    }

    /// Whether the request is for a manifest.
    pub fn is_manifest(&self) -> bool {
        self.path.contains("/manifests/")
    }
}

/// A response, and how it fails.
#[derive(Clone, Debug)]
pub struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    end: End,
    pace: Option<u64>,
}

/// How a response ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Whole,
    /// After this many bytes of the body, the connection is closed.
    Cut(usize),
    /// After this many bytes of the body, nothing more is sent, and the connection stays open.
    Stall(usize),
    /// Not even a status line is sent.
    Silence,
}

impl Answer {
    /// A response with a status and a body.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), end: End::Whole, pace: None }
    }

    /// No response, for ever.
    pub fn silence() -> Self {
        Self { end: End::Silence, ..Self::new(200, "") }
    }

    /// Adds a header; of several with the same name the last one counts.
    pub fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_string()));
        self
    }

    /// Replaces the body, and the announced length.
    pub fn body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    /// Closes the connection after this many bytes of the body.
    pub fn cut(self, after: usize) -> Self {
        Self { end: End::Cut(after), ..self }
    }

    /// Sends nothing after this many bytes of the body.
    pub fn stall(self, after: usize) -> Self {
        Self { end: End::Stall(after), ..self }
    }

    /// Sends at most this many bytes per second.
    pub fn pace(self, bytes: u64) -> Self {
        Self { pace: Some(bytes), ..self }
    }
}

type Script = dyn FnMut(&Asked, Answer) -> Answer + Send;

struct Shared {
    image: Image,
    script: Mutex<Box<Script>>,
    /// How many bytes of bodies were sent, by path.
    served: Mutex<BTreeMap<String, u64>>,
    asked: Mutex<Vec<Asked>>,
    hanging: AtomicUsize,
    ended: AtomicBool,
}

/// The registry; dropping it ends it.
pub struct Liar {
    address: SocketAddr,
    shared: Arc<Shared>,
    netns: String,
}

impl Liar {
    /// Serves `image`. `script` gets each request and the honest response, and returns the response to send.
    pub fn start(
        node: &Node,
        image: &Image,
        script: impl FnMut(&Asked, Answer) -> Answer + Send + 'static,
    ) -> Self {
        let netns = node.netns().to_owned();
        let listener = in_netns(&netns, || TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared {
            image: image.clone(),
            script: Mutex::new(Box::new(script)),
            served: Mutex::default(),
            asked: Mutex::default(),
            hanging: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if serving.ended.load(Ordering::Relaxed) {
                    return;
                }
                let serving = Arc::clone(&serving);
                std::thread::spawn(move || converse(stream, &serving));
            }
        });
        Self { address, shared, netns }
    }

    /// Serves `image` honestly.
    pub fn honest(node: &Node, image: &Image) -> Self {
        Self::start(node, image, |_, honest| honest)
    }

    /// The image's name at this registry.
    pub fn name(&self, tag: &str) -> String {
        format!("{}/t/liar:{tag}", self.address)
    }

    /// Replaces the script.
    pub fn behave(&self, script: impl FnMut(&Asked, Answer) -> Answer + Send + 'static) {
        *self.shared.script.lock() = Box::new(script);
    }

    /// How many bytes of a blob were sent in all responses.
    pub fn served(&self, digest: &str) -> u64 {
        let served = self.shared.served.lock();
        served.iter().filter(|(path, _)| path.ends_with(digest)).map(|(_, bytes)| bytes).sum()
    }

    /// How many clients wait for a response, or the rest of one, that will not come.
    pub fn hanging(&self) -> usize {
        self.shared.hanging.load(Ordering::Relaxed)
    }

    /// The requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().clone()
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        // Wakes the accepting thread. The namespace may be gone.
        let address = self.address;
        let _ = in_netns(&self.netns, move || TcpStream::connect(address));
    }
}

/// Runs `work` on a thread in a network namespace; sockets that it makes stay in the namespace.
fn in_netns<T: Send + 'static>(
    netns: &str,
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    let path = format!("/run/netns/{netns}");
    let inside = move || {
        let namespace = std::fs::File::open(path)?;
        let kind = Some(LinkNameSpaceType::Network);
        move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), kind)?;
        work()
    };
    std::thread::spawn(inside).join().expect("sockets do not panic")
}

fn converse(stream: TcpStream, shared: &Shared) {
    let Ok(mut output) = stream.try_clone() else { return };
    let mut input = BufReader::new(stream);
    while let Some(asked) = read_head(&mut input) {
        let honest = honest(&shared.image, &asked);
        let answer = (shared.script.lock())(&asked, honest);
        shared.asked.lock().push(asked.clone());
        match send(&mut output, &asked, &answer, shared) {
            Ok(()) if answer.end == End::Whole => {}
            Ok(()) if matches!(answer.end, End::Stall(_) | End::Silence) => {
                shared.hanging.fetch_add(1, Ordering::Relaxed);
                // Until the client disconnects.
                let _ = input.read_line(&mut String::new());
                shared.hanging.fetch_sub(1, Ordering::Relaxed);
                return;
            }
            _ => return,
        }
    }
}

fn send(output: &mut TcpStream, asked: &Asked, answer: &Answer, shared: &Shared) -> std::io::Result<()> {
    let length = match answer.end {
        End::Silence => return Ok(()),
        End::Cut(length) | End::Stall(length) => length.min(answer.body.len()),
        End::Whole => answer.body.len(),
    };
    let mut head = format!("HTTP/1.1 {} Because\r\n", answer.status);
    if !answer.headers.iter().any(|(name, _)| *name == "content-length") {
        head += &format!("content-length: {}\r\n", answer.body.len());
    }
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    output.write_all(format!("{head}\r\n").as_bytes())?;
    if asked.method == "HEAD" {
        return Ok(());
    }
    // Small pieces, so that nearly all counted bytes have arrived.
    for piece in answer.body[..length].chunks(16 << 10) {
        output.write_all(piece)?;
        let mut served = shared.served.lock();
        *served.entry(asked.path.clone()).or_default() += piece.len() as u64;
        drop(served);
        if let Some(pace) = answer.pace {
            std::thread::sleep(Duration::from_secs_f64(piece.len() as f64 / pace as f64));
        }
    }
    Ok(())
}

/// Reads a request without a body; `None` for anything but HTTP (a TLS handshake) and at the end.
fn read_head(input: &mut BufReader<TcpStream>) -> Option<Asked> {
    let first = *input.fill_buf().ok()?.first()?;
    if !first.is_ascii_uppercase() {
        return None;
    }
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if input.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut words = lines.first()?.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let range = lines[1..].iter().filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
        let value = value.trim().strip_prefix("bytes=")?.strip_suffix('-')?;
        name.eq_ignore_ascii_case("range").then(|| value.parse().ok())?
    });
    Some(Asked { method, path, range })
}

/// The response of a registry that follows the protocol, ranges included.
fn honest(image: &Image, asked: &Asked) -> Answer {
    if asked.is_manifest() {
        let (media_type, bytes) = &image.manifest;
        return Answer::new(200, bytes.clone())
            .header("content-type", media_type)
            .header("docker-content-digest", image.digest());
    }
    let digest = asked.path.rsplit('/').next().unwrap_or_default();
    let Some(blob) = image.blobs.get(digest) else {
        let error = r#"{"errors":[{"code":"BLOB_UNKNOWN","message":"not known here"}]}"#;
        return Answer::new(404, error);
    };
    match asked.range {
        Some(start) if start < blob.len() => {
            let range = format!("bytes {start}-{}/{}", blob.len() - 1, blob.len());
            Answer::new(206, &blob[start..]).header("content-range", range)
        }
        Some(_) => Answer::new(416, ""),
        None => Answer::new(200, blob.clone()),
    }
}
