//! `docker import`: a root file system as tar becomes an image of one layer.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use chrono::{SecondsFormat, Utc};
use gantry_api::content::Owner;
use gantry_api::images::archives::{ArchiveEvent, ImportSpec};
use gantry_archive::compression::Form;
use gantry_types::{Algorithm, Descriptor, DiffId, Digest, Labels, Platform, Reference, media_type};
use serde_json::{Map, Value, json};

use super::create::{Loaded, create};
use super::input;
use super::load::compose;
use super::{Desk, changes};
use crate::content::{ingest_ref, part_ref};
use crate::error::Error;
use gantry_distribution::Download;

/// How often a client hears how far a download is.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// What is asked for, checked.
pub struct Order {
    reference: Option<Reference>,
    comment: String,
    config: Map<String, Value>,
    platform: Platform,
}

impl Order {
    /// Checks a request before a byte is read.
    pub fn parse(spec: &ImportSpec) -> Result<Self, Error> {
        let reference = spec.reference.clone().map(Reference::with_default_tag);
        if reference.as_ref().is_some_and(|reference| reference.digest().is_some()) {
            return Err(Error::Request("cannot import digest reference".into()));
        }
        let mut config = Map::new();
        changes::apply(&mut config, &spec.changes)?;
        let platform = spec.platform.clone().unwrap_or_else(Platform::host);
        let comment = match (spec.message.as_str(), spec.source.as_deref()) {
            ("", None) => "Imported from -".to_owned(),
            ("", Some(source)) => format!("Imported from {source}"),
            (message, _) => message.to_owned(),
        };
        Ok(Self { reference, comment, config, platform })
    }
}

/// Reads the tar off its source or the socket, stores it as it comes, and makes the image.
pub fn import(desk: &Desk, order: &Order, source: Option<Download>) -> Result<(), Error> {
    let purpose = format!("import {}", order.reference.as_ref().map(ToString::to_string).unwrap_or_default());
    desk.leased(&purpose, |owner| {
        let (layer, diff_id) = match source {
            None => receive(desk, owner, &desk.stream)?,
            Some(download) => {
                let address = download.address.clone();
                desk.tell(ArchiveEvent::Source(address))?;
                receive(desk, owner, Told::new(desk, download))?
            }
        };
        make(desk, owner, order, layer, diff_id)
    })
}

fn make(desk: &Desk, owner: &Owner, order: &Order, layer: Descriptor, diff_id: DiffId) -> Result<(), Error> {
    let now = Utc::now().to_rfc3339_opts(SecondsFormat::Nanos, true);
    let mut config = json!({
        "created": now,
        "architecture": order.platform.architecture(),
        "os": order.platform.os(),
        "config": order.config,
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        "history": [{"created": now, "comment": order.comment}],
    });
    if let Some(variant) = order.platform.variant() {
        config["variant"] = variant.into();
    }
    let bytes = serde_json::to_vec(&config).expect("a value of our own serialises");
    let digest = Digest::sha256(&bytes);
    let config = Descriptor::new(media_type::OCI_CONFIG, digest.clone(), bytes.len() as u64);
    let content = &desk.archives.content;
    let reference = part_ref("config", &digest);
    desk.wait(content.write(owner, &reference, &digest, bytes.into(), Labels::new()))?;
    let target = compose(desk, owner, config, vec![layer])?;
    let digest = target.digest.clone();
    let loaded = Loaded { target, name: order.reference.as_ref().map(ToString::to_string) };
    create(desk, owner, &loaded, None)?;
    desk.tell(match &order.reference {
        Some(reference) => ArchiveEvent::Loaded(reference.familiar()),
        None => ArchiveEvent::LoadedId(digest.clone()),
    })?;
    // Docker's answer to an import is the image's id, whether it has a name or not.
    if order.reference.is_some() {
        desk.tell(ArchiveEvent::LoadedId(digest))?;
    }
    Ok(())
}

/// Stores the layer as it is sent, and computes beside it what it is uncompressed.
fn receive(desk: &Desk, owner: &Owner, source: impl Read) -> Result<(Descriptor, DiffId), Error> {
    let broke = |source| Error::Stream { op: "read", source };
    let (form, mut reader) = Form::peek(input::buffered(source)).map_err(broke)?;
    if reader.fill_buf().map_err(broke)?.is_empty() {
        return Err(Error::Archive("it is empty".into()));
    }
    let reference = ingest_ref(format!("import-{}", owner.lease.as_deref().unwrap_or_default()));
    let (stored, diff_id) = match form {
        Form::Plain => {
            let stored = desk.store(owner, &reference, 0, None, &mut reader)?;
            let diff_id = DiffId::new(stored.digest.clone());
            (stored, diff_id)
        }
        // No media type has a word for these.
        Form::Bzip2 | Form::Xz => {
            let decoder = form.decoder(reader);
            let mut plain = decoder.map_err(broke)?;
            let stored = desk.store(owner, &reference, 0, None, &mut plain)?;
            let diff_id = DiffId::new(stored.digest.clone());
            (stored, diff_id)
        }
        Form::Gzip | Form::Zstd => std::thread::scope(|scope| {
            // A second thread decompresses what the first one stores.
            let (sender, receiver) = mpsc::sync_channel::<Vec<u8>>(8);
            let hashing =
                scope.spawn(move || diff_id_of(form, Chunks { receiver, chunk: Vec::new(), at: 0 }));
            let stored = desk.store(owner, &reference, 0, None, &mut Tee { reader: &mut reader, sender });
            let diff_id = hashing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok::<_, Error>((stored?, diff_id?))
        })?,
    };
    let media_type = match form {
        Form::Plain | Form::Bzip2 | Form::Xz => media_type::OCI_LAYER,
        Form::Gzip => media_type::OCI_LAYER_GZIP,
        Form::Zstd => media_type::OCI_LAYER_ZSTD,
    };
    Ok((Descriptor::new(media_type, stored.digest, stored.size), diff_id))
}

fn diff_id_of(form: Form, chunks: Chunks) -> Result<DiffId, Error> {
    let decoder = form.decoder(BufReader::with_capacity(256 << 10, chunks));
    let mut decoder = decoder.map_err(|source| Error::Stream { op: "read", source })?;
    let mut hasher = Algorithm::Sha256.hasher();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match decoder.read(&mut buffer) {
            Ok(0) => return Ok(DiffId::new(hasher.finish())),
            Ok(length) => hasher.update(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::Archive(format!("it does not decompress: {error}"))),
        }
    }
}

/// Tells the client how much of a download has come.
struct Told<'a> {
    desk: &'a Desk,
    download: Download,
    current: u64,
    told: Option<Instant>,
}

impl<'a> Told<'a> {
    fn new(desk: &'a Desk, download: Download) -> Self {
        Self { desk, download, current: 0, told: None }
    }
}

impl Read for Told<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.download.read(buffer)?;
        self.current += length as u64;
        // Also how it is found out that the client has gone.
        if length == 0 || self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            self.told = Some(Instant::now());
            let (current, total) = (self.current, self.download.length);
            let told = self.desk.tell(ArchiveEvent::Importing { current, total });
            told.map_err(|error| io::Error::other(error.to_string()))?;
        }
        Ok(length)
    }
}

/// Passes on what it reads, as long as the receiver takes it.
struct Tee<'a, R> {
    reader: &'a mut R,
    sender: mpsc::SyncSender<Vec<u8>>,
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer)?;
        if length > 0 {
            // The other side ends early when it cannot decompress: that is its error to report.
            let _ = self.sender.send(buffer[..length].to_vec());
        }
        Ok(length)
    }
}

struct Chunks {
    receiver: mpsc::Receiver<Vec<u8>>,
    chunk: Vec<u8>,
    at: usize,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.chunk.len() {
            match self.receiver.recv() {
                Ok(chunk) => (self.chunk, self.at) = (chunk, 0),
                Err(mpsc::RecvError) => return Ok(0),
            }
        }
        let length = buffer.len().min(self.chunk.len() - self.at);
        buffer[..length].copy_from_slice(&self.chunk[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}
