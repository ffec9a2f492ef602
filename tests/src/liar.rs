//! A registry that misbehaves as it is told to, in a node's network namespace.
//!
//! It serves one image under every name. A script sees each request first, and may answer otherwise than an honest
//! registry would: with another status, other bytes, too slowly, half, or never.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::Node;
use crate::image::Image;

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `GET`, `HEAD`.
    pub method: String,
    /// `/v2/…`.
    pub path: String,
    /// Where a ranged request begins.
    pub range: Option<usize>,
}

impl Asked {
    /// Whether the bytes of this blob are wanted.
    pub fn is_for(&self, digest: &str) -> bool {
        self.method == "GET" && self.path.ends_with(digest)
    }

    /// Whether a manifest is asked for, or asked about.
    pub fn is_manifest(&self) -> bool {
        self.path.contains("/manifests/")
    }
}

/// An answer, and how it goes wrong.
#[derive(Clone, Debug)]
pub struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    end: End,
    pace: Option<u64>,
}

/// How an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Whole,
    /// So many bytes of the body, then the connection is closed.
    Cut(usize),
    /// So many bytes of the body, then nothing more, and the connection stays.
    Stall(usize),
    /// Not even a status line.
    Silence,
}

impl Answer {
    /// A status and a body.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), end: End::Whole, pace: None }
    }

    /// Nothing at all, for ever.
    pub fn silence() -> Self {
        Self { end: End::Silence, ..Self::new(200, "") }
    }

    /// With a header; of two of the same name the last one counts.
    pub fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_string()));
        self
    }

    /// With another body; the announced length is that of the new one.
    pub fn body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    /// Breaks the connection after so many bytes of the body.
    pub fn cut(self, after: usize) -> Self {
        Self { end: End::Cut(after), ..self }
    }

    /// Sends nothing more after so many bytes of the body.
    pub fn stall(self, after: usize) -> Self {
        Self { end: End::Stall(after), ..self }
    }

    /// Sends at most so many bytes a second.
    pub fn pace(self, bytes: u64) -> Self {
        Self { pace: Some(bytes), ..self }
    }
}

type Script = dyn FnMut(&Asked, Answer) -> Answer + Send;

struct Shared {
    image: Image,
    script: Mutex<Box<Script>>,
    /// Bytes of bodies that were sent, by path.
    served: Mutex<BTreeMap<String, u64>>,
    asked: Mutex<Vec<Asked>>,
    hanging: AtomicUsize,
    ended: AtomicBool,
}

/// The registry; it ends with this value.
pub struct Liar {
    address: SocketAddr,
    shared: Arc<Shared>,
    netns: String,
}

impl Liar {
    /// Serves `image`. `script` is given each request and the honest answer, and returns what is sent.
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

    /// Serves `image` as it should be.
    pub fn honest(node: &Node, image: &Image) -> Self {
        Self::start(node, image, |_, honest| honest)
    }

    /// The image's name here.
    pub fn name(&self, tag: &str) -> String {
        format!("{}/t/liar:{tag}", self.address)
    }

    /// Changes its mind.
    pub fn behave(&self, script: impl FnMut(&Asked, Answer) -> Answer + Send + 'static) {
        *self.shared.script.lock().expect("scripts do not panic") = Box::new(script);
    }

    /// How many bytes of a blob were sent, in all answers together.
    pub fn served(&self, digest: &str) -> u64 {
        let served = self.shared.served.lock().expect("nobody panics with it");
        served.iter().filter(|(path, _)| path.ends_with(digest)).map(|(_, bytes)| bytes).sum()
    }

    /// How many clients wait for an answer, or the rest of one, that will not come.
    pub fn hanging(&self) -> usize {
        self.shared.hanging.load(Ordering::Relaxed)
    }

    /// The requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().expect("nobody panics with it").clone()
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts. The namespace may be gone, and with it the listener's peers.
        let address = self.address;
        let _ = in_netns(&self.netns, move || TcpStream::connect(address));
    }
}

/// Runs `work` on a thread in a network namespace; the sockets that it makes stay there.
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
        let answer = (shared.script.lock().expect("scripts do not panic"))(&asked, honest);
        shared.asked.lock().expect("nobody panics with it").push(asked.clone());
        match send(&mut output, &asked, &answer, shared) {
            Ok(()) if answer.end == End::Whole => {}
            Ok(()) if matches!(answer.end, End::Stall(_) | End::Silence) => {
                shared.hanging.fetch_add(1, Ordering::Relaxed);
                // Until the client hangs up.
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
    // Small enough that what is counted has nearly arrived.
    for piece in answer.body[..length].chunks(16 << 10) {
        output.write_all(piece)?;
        let mut served = shared.served.lock().expect("nobody panics with it");
        *served.entry(asked.path.clone()).or_default() += piece.len() as u64;
        drop(served);
        if let Some(pace) = answer.pace {
            std::thread::sleep(Duration::from_secs_f64(piece.len() as f64 / pace as f64));
        }
    }
    Ok(())
}

/// Reads a request without a body; none when it is not HTTP (a TLS handshake) or the end.
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

/// What a registry that keeps to the protocol answers; ranges included.
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
