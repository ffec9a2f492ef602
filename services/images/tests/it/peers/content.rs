//! Content, as far as images needs it: blobs and ingests as files, labels in memory.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gantry_proto::containerd::services::content::v1 as api;
use gantry_proto::containerd::services::content::v1::content_server::{self, ContentServer};
use gantry_proto::gantry::content::v1 as pb;
use gantry_proto::gantry::rpc::v1 as rpc;
use gantry_rpc::{data, socket};
use gantry_types::Digest;
use tokio::net::UnixStream;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

#[derive(Clone)]
pub struct Content {
    directory: PathBuf,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    blobs: BTreeMap<String, Blob>,
    ingests: HashMap<String, Ingest>,
    number: usize,
}

#[derive(Clone)]
struct Blob {
    path: PathBuf,
    size: u64,
    labels: HashMap<String, String>,
}

#[derive(Clone)]
struct Ingest {
    path: PathBuf,
    available: u64,
    locked: bool,
    generation: usize,
}

impl Content {
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), state: Arc::default() }
    }

    pub fn routes(&self) -> Routes {
        Routes::new(ContentServer::new(self.clone()))
    }

    fn state<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().expect("not poisoned"))
    }

    pub fn has(&self, digest: &Digest) -> bool {
        self.state(|state| state.blobs.contains_key(digest.as_str()))
    }

    pub fn labels(&self, digest: &Digest) -> HashMap<String, String> {
        self.state(|state| {
            state.blobs.get(digest.as_str()).map(|blob| blob.labels.clone()).unwrap_or_default()
        })
    }

    /// The refs of ingests that are neither committed nor aborted, with their lengths.
    pub fn ingests(&self) -> BTreeMap<String, u64> {
        self.state(|state| {
            state.ingests.iter().map(|(name, ingest)| (name.clone(), ingest.available)).collect()
        })
    }

    pub async fn serve_data(self, path: PathBuf) {
        let listener = socket::bind(&path, 0o600).expect("bound");
        while let Ok((stream, _)) = listener.accept().await {
            let content = self.clone();
            tokio::spawn(async move { content.connection(stream).await });
        }
    }

    async fn connection(&self, mut stream: UnixStream) {
        let Ok(Some(request)) = data::receive::<pb::DataRequest>(&mut stream).await else { return };
        match request.action.expect("an action") {
            pb::data_request::Action::OpenBlob(open) => {
                let blob = self.state(|state| state.blobs.get(&open.digest).cloned());
                let _ = match blob {
                    Some(blob) => {
                        let file = File::open(&blob.path).expect("there");
                        data::accept(&mut stream, &pb::BlobState { size: blob.size as i64 }, &[file.as_fd()])
                            .await
                    }
                    None => data::reject(&mut stream, &Status::not_found(open.digest)).await,
                };
            }
            pb::data_request::Action::OpenIngest(open) => self.write(stream, open).await,
            pb::data_request::Action::Follow(follow) => self.follow(stream, follow).await,
        }
    }

    fn lock(&self, open: &pb::OpenIngest) -> Result<Ingest, Status> {
        self.state(|state| {
            if state.blobs.contains_key(&open.expected) {
                return Err(Status::already_exists(open.expected.clone()));
            }
            state.number += 1;
            let path = self.directory.join(format!("ingest-{}", state.number));
            let fresh = Ingest { path, available: 0, locked: false, generation: 0 };
            let ingest = state.ingests.entry(open.r#ref.clone()).or_insert(fresh);
            if ingest.locked {
                return Err(Status::unavailable(format!("ref {} is locked", open.r#ref)));
            }
            ingest.locked = true;
            Ok(ingest.clone())
        })
    }

    async fn write(&self, mut stream: UnixStream, open: pb::OpenIngest) {
        let ingest = match self.lock(&open) {
            Ok(ingest) => ingest,
            Err(status) => return drop(data::reject(&mut stream, &status).await),
        };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&ingest.path)
            .expect("opened");
        let state = pb::IngestState { offset: ingest.available as i64, total: open.total };
        data::accept(&mut stream, &state, &[file.as_fd()]).await.expect("answered");
        while let Ok(Some(pb::WriterMessage { message: Some(message) })) = data::receive(&mut stream).await {
            use pb::writer_message::Message;
            let answer = match message {
                Message::Progress(offset) => {
                    self.edit(&open.r#ref, |ingest| ingest.available = offset as u64);
                    continue;
                }
                Message::Commit(commit) => self.commit(&open.r#ref, commit),
                Message::Truncate(_) => {
                    file.set_len(0).expect("cut");
                    self.edit(&open.r#ref, |ingest| {
                        ingest.available = 0;
                        ingest.generation += 1;
                    });
                    Ok(pb::Committed::default())
                }
                Message::Abort(_) => {
                    self.state(|state| state.ingests.remove(&open.r#ref));
                    Ok(pb::Committed::default())
                }
            };
            let answer = answer.unwrap_or_else(|status| pb::Committed {
                status: Some(rpc::Status { code: status.code() as i32, message: status.message().into() }),
                ..Default::default()
            });
            if data::send(&mut stream, &answer).await.is_err() {
                break;
            }
        }
        self.edit(&open.r#ref, |ingest| ingest.locked = false);
    }

    fn edit(&self, reference: &str, edit: impl FnOnce(&mut Ingest)) {
        self.state(|state| state.ingests.get_mut(reference).map(edit));
    }

    fn commit(&self, reference: &str, commit: pb::Commit) -> Result<pb::Committed, Status> {
        let ingest = self.state(|state| state.ingests.get(reference).cloned()).expect("locked");
        let bytes = std::fs::read(&ingest.path).expect("readable");
        let bytes = &bytes[..ingest.available as usize];
        let digest = Digest::sha256(bytes).to_string();
        if (commit.size > 0 && commit.size != bytes.len() as i64)
            || (!commit.expected.is_empty() && commit.expected != digest)
        {
            return Err(Status::failed_precondition(format!("expected {}, got {digest}", commit.expected)));
        }
        let size = bytes.len() as u64;
        self.state(|state| {
            state.ingests.remove(reference);
            let known = state.blobs.contains_key(&digest);
            let blob = Blob { path: ingest.path.clone(), size, labels: commit.labels };
            state.blobs.entry(digest.clone()).or_insert(blob);
            match known {
                true => Err(Status::already_exists(digest.clone())),
                false => Ok(pb::Committed { status: None, digest: digest.clone(), size: size as i64 }),
            }
        })
    }

    async fn follow(&self, mut stream: UnixStream, follow: pb::Follow) {
        use pb::follower_message::Message;
        let deadline = tokio::time::Instant::now() + Duration::from_millis(follow.wait_millis.into());
        let path = loop {
            let found = self.state(|state| {
                let blob = state.blobs.get(&follow.digest).map(|blob| blob.path.clone());
                blob.or_else(|| state.ingests.get(&follow.r#ref).map(|ingest| ingest.path.clone()))
            });
            match found.filter(|path| path.exists()) {
                Some(path) => break path,
                None if tokio::time::Instant::now() >= deadline => {
                    return drop(data::reject(&mut stream, &Status::not_found(follow.r#ref)).await);
                }
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        let file = File::open(path).expect("there");
        data::accept(&mut stream, &rpc::Status::default(), &[file.as_fd()]).await.expect("answered");
        let (mut told, mut generation) = (0, None);
        loop {
            let (blob, ingest) = self.state(|state| {
                (state.blobs.get(&follow.digest).cloned(), state.ingests.get(&follow.r#ref).cloned())
            });
            let message = match (blob, ingest) {
                (Some(blob), _) => Some(Message::Committed(pb::Committed {
                    status: None,
                    digest: follow.digest.clone(),
                    size: blob.size as i64,
                })),
                (None, Some(ingest)) if *generation.get_or_insert(ingest.generation) != ingest.generation => {
                    Some(Message::Aborted("begun anew".into()))
                }
                (None, Some(ingest)) if ingest.available > told => {
                    told = ingest.available;
                    Some(Message::Available(told as i64))
                }
                (None, Some(_)) => None,
                (None, None) => Some(Message::Aborted("given up".into())),
            };
            let last = matches!(message, Some(Message::Committed(_) | Message::Aborted(_)));
            if message.is_some() && data::send(&mut stream, &pb::FollowerMessage { message }).await.is_err()
                || last
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

type Stream<T> = tokio_stream::Empty<Result<T, Status>>;

fn unbuilt<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not in these tests"))
}

#[tonic::async_trait]
impl content_server::Content for Content {
    async fn info(&self, request: Request<api::InfoRequest>) -> Result<Response<api::InfoResponse>, Status> {
        let digest = request.into_inner().digest;
        let blob = self
            .state(|state| state.blobs.get(&digest).cloned())
            .ok_or_else(|| Status::not_found(digest.clone()))?;
        let info = api::Info { digest, size: blob.size as i64, labels: blob.labels, ..Default::default() };
        Ok(Response::new(api::InfoResponse { info: Some(info) }))
    }

    async fn update(
        &self,
        request: Request<api::UpdateRequest>,
    ) -> Result<Response<api::UpdateResponse>, Status> {
        let info = request.into_inner().info.expect("an info");
        self.state(|state| {
            let blob =
                state.blobs.get_mut(&info.digest).ok_or_else(|| Status::not_found(info.digest.clone()))?;
            blob.labels.extend(info.labels);
            Ok(Response::new(api::UpdateResponse::default()))
        })
    }

    async fn status(
        &self,
        request: Request<api::StatusRequest>,
    ) -> Result<Response<api::StatusResponse>, Status> {
        let reference = request.into_inner().r#ref;
        match self.state(|state| state.ingests.contains_key(&reference)) {
            true => Ok(Response::new(api::StatusResponse::default())),
            false => Err(Status::not_found(reference)),
        }
    }

    type ListStream = Stream<api::ListContentResponse>;
    type ReadStream = Stream<api::ReadContentResponse>;
    type WriteStream = Stream<api::WriteContentResponse>;

    async fn list(&self, _: Request<api::ListContentRequest>) -> Result<Response<Self::ListStream>, Status> {
        unbuilt()
    }

    async fn delete(&self, _: Request<api::DeleteContentRequest>) -> Result<Response<()>, Status> {
        unbuilt()
    }

    async fn read(&self, _: Request<api::ReadContentRequest>) -> Result<Response<Self::ReadStream>, Status> {
        unbuilt()
    }

    async fn list_statuses(
        &self,
        _: Request<api::ListStatusesRequest>,
    ) -> Result<Response<api::ListStatusesResponse>, Status> {
        unbuilt()
    }

    async fn write(
        &self,
        _: Request<tonic::Streaming<api::WriteContentRequest>>,
    ) -> Result<Response<Self::WriteStream>, Status> {
        unbuilt()
    }

    async fn abort(&self, _: Request<api::AbortRequest>) -> Result<Response<()>, Status> {
        unbuilt()
    }
}
