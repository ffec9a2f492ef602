//! A content service's data socket: blobs in memory, ingests that grow when a test says so.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use gantry_proto::gantry::content::v1 as pb;
use gantry_rpc::data;
use gantry_types::Digest;
use tokio::net::UnixStream;
use tokio::sync::watch;
use tonic::Status;

#[derive(Clone)]
pub struct Content {
    blobs: Arc<Mutex<HashMap<String, Arc<Blob>>>>,
}

pub struct Blob {
    file: File,
    state: watch::Sender<State>,
}

#[derive(Clone, Debug)]
pub enum State {
    Growing(u64),
    Committed(u64),
    Aborted,
}

impl Content {
    pub async fn start(base: &Path) -> Self {
        let listener = gantry_rpc::socket::bind(&base.join("run/content-data.sock"), 0o600).unwrap();
        let content = Self { blobs: Arc::default() };
        let server = content.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(server.clone().serve(stream));
            }
        });
        content
    }

    /// Puts a whole blob.
    pub fn put(&self, bytes: &[u8]) -> Digest {
        let digest = Digest::sha256(bytes);
        let blob = self.begin(&digest);
        blob.write(bytes, 0);
        blob.set(State::Committed(bytes.len() as u64));
        digest
    }

    /// Begins a blob that arrives bit by bit, or anew.
    pub fn begin(&self, digest: &Digest) -> Arc<Blob> {
        let blob = Arc::new(Blob {
            file: tempfile::tempfile().unwrap(),
            state: watch::channel(State::Growing(0)).0,
        });
        self.blobs.lock().unwrap().insert(digest.to_string(), blob.clone());
        blob
    }

    /// The bytes of a blob.
    pub fn get(&self, digest: &str) -> Vec<u8> {
        let blob = self.blobs.lock().unwrap()[digest].clone();
        let State::Committed(size) = *blob.state.borrow() else { panic!("{digest} is not committed") };
        let mut bytes = vec![0; usize::try_from(size).unwrap()];
        blob.file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    async fn serve(self, mut stream: UnixStream) {
        let request: pb::DataRequest = data::receive(&mut stream).await.unwrap().unwrap();
        match request.action.unwrap() {
            pb::data_request::Action::OpenBlob(open) => {
                let blob = self.blobs.lock().unwrap().get(&open.digest).cloned();
                let size = blob.as_ref().and_then(|blob| match *blob.state.borrow() {
                    State::Committed(size) => Some(size),
                    _ => None,
                });
                match (blob, size) {
                    (Some(blob), Some(size)) => {
                        let detail = pb::BlobState { size: size.try_into().unwrap() };
                        data::accept(&mut stream, &detail, &[blob.file.as_fd()]).await.unwrap();
                    }
                    _ => data::reject(&mut stream, &Status::not_found(open.digest)).await.unwrap(),
                }
            }
            pb::data_request::Action::Follow(follow) => self.follow(stream, follow).await,
            pb::data_request::Action::OpenIngest(_) => self.ingest(stream).await,
        }
    }

    async fn follow(self, mut stream: UnixStream, follow: pb::Follow) {
        let blob = self.blobs.lock().unwrap().get(&follow.digest).cloned();
        let Some(blob) = blob else {
            tokio::time::sleep(std::time::Duration::from_millis(u64::from(follow.wait_millis.min(20)))).await;
            return data::reject(&mut stream, &Status::not_found(follow.digest)).await.unwrap();
        };
        data::accept(&mut stream, &pb::BlobState::default(), &[blob.file.as_fd()]).await.unwrap();
        let mut states = blob.state.subscribe();
        loop {
            let state = states.borrow_and_update().clone();
            let message = match state {
                State::Growing(offset) => {
                    pb::follower_message::Message::Available(offset.try_into().unwrap())
                }
                State::Committed(size) => pb::follower_message::Message::Committed(pb::Committed {
                    status: None,
                    digest: follow.digest.clone(),
                    size: size.try_into().unwrap(),
                }),
                State::Aborted => pb::follower_message::Message::Aborted("thrown away".into()),
            };
            let last = !matches!(state, State::Growing(_));
            if data::send(&mut stream, &pb::FollowerMessage { message: Some(message) }).await.is_err() || last
            {
                return;
            }
            if states.changed().await.is_err() {
                return;
            }
        }
    }

    async fn ingest(self, mut stream: UnixStream) {
        let file = tempfile::tempfile().unwrap();
        data::accept(&mut stream, &pb::IngestState::default(), &[file.as_fd()]).await.unwrap();
        while let Ok(Some(message)) = data::receive::<pb::WriterMessage>(&mut stream).await {
            let answer = match message.message.unwrap() {
                pb::writer_message::Message::Progress(_) => continue,
                pb::writer_message::Message::Commit(commit) => {
                    let mut bytes = vec![0; usize::try_from(commit.size).unwrap()];
                    file.read_exact_at(&mut bytes, 0).unwrap();
                    assert_eq!(file.metadata().unwrap().len(), bytes.len() as u64);
                    let digest = self.put(&bytes).to_string();
                    assert_eq!(commit.expected, digest);
                    pb::Committed { status: None, digest, size: commit.size }
                }
                _ => pb::Committed::default(),
            };
            data::send(&mut stream, &answer).await.unwrap();
        }
    }
}

impl Blob {
    pub fn write(&self, bytes: &[u8], at: u64) {
        self.file.write_all_at(bytes, at).unwrap();
    }

    pub fn set(&self, state: State) {
        self.state.send_replace(state);
    }
}
