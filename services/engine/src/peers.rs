//! The other services, as the engine needs them: each method is one call, with a deadline, and an error that says what the
//! engine was about to do.

mod attach;
mod events;
mod figures;
mod images;
mod network;
mod records;
mod snapshots;
mod tasks;

use std::path::{Path, PathBuf};
use std::time::Duration;

use gantry_api::network as network_api;
use gantry_proto::gantry::shim::v1::StartFailure;
use gantry_proto::gantry::shim::v1::start_failure::Cause;
use gantry_rpc::context::with_namespace;
use gantry_types::Namespace;
use tonic::{Request, Response, Status};

pub use self::events::{Events, Shortage};
pub use self::images::{Commit, Image, Manifest, Platform};
use crate::error::{Error, Result};

/// A call that does one thing; longer than the terms of those that have an end of their own.
const DEADLINE: Duration = Duration::from_secs(180);
/// A call that may have to unpack an image or stop processes.
const LONG_DEADLINE: Duration = Duration::from_secs(600);
/// Docker's containers live here.
const NAMESPACE: &str = "moby";
const SPEC_TYPE: &str = "types.containerd.io/opencontainers/runtime-spec/1/Spec";
const PROCESS_TYPE: &str = "types.containerd.io/opencontainers/runtime-spec/1/Process";
const RESOURCES_TYPE: &str = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";

/// The other services. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Peers {
    peers: gantry_api::Peers,
    network: network_api::Client,
    namespace: Namespace,
    run: PathBuf,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// 128 and the signal's number for one that was killed.
    pub code: i32,
    /// Nanoseconds since 1970.
    pub at: i64,
}

/// What tasks knows of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Made, not started.
    Created,
    /// Running with this process id.
    Running(u32),
    /// Frozen with this process id.
    Paused(u32),
    /// Ended.
    Stopped(Exit),
    /// Tasks knows of none.
    Absent,
}

impl Task {
    /// The process, while there is one.
    pub fn pid(self) -> Option<u32> {
        match self {
            Task::Running(pid) | Task::Paused(pid) => Some(pid),
            Task::Created | Task::Stopped(_) | Task::Absent => None,
        }
    }
}

/// Where a process's output goes and its input comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stdio {
    /// The log's URI: `json-file:///path?…` or `none:`.
    pub log: String,
    /// The process can be written to.
    pub stdin: bool,
    /// It has a terminal.
    pub terminal: bool,
}

impl Peers {
    /// The services of one root.
    pub fn new(peers: gantry_api::Peers, run: &Path) -> Peers {
        let namespace = NAMESPACE.parse().expect("the name is a valid identifier");
        Peers { network: network_api::Client::new(&peers), peers, namespace, run: run.to_owned() }
    }

    /// The socket on which a container's shim takes attachments.
    pub fn attach_socket(&self, id: &str) -> PathBuf {
        self.run.join("bundles").join(NAMESPACE).join(id).join("attach.sock")
    }

    /// Where the network service pins a network namespace.
    pub fn netns_path(&self, id: &str) -> PathBuf {
        self.run.join("netns").join(id)
    }

    fn request<T>(&self, message: T) -> Request<T> {
        with_namespace(message, &self.namespace)
    }
}

async fn call<T>(
    deadline: Duration,
    work: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Status> {
    match tokio::time::timeout(deadline, work).await {
        Ok(answer) => answer.map(Response::into_inner),
        Err(_) => Err(Status::deadline_exceeded(format!("no answer within {} s", deadline.as_secs()))),
    }
}

/// What is not there is gone already.
fn gone<T>(answer: Result<T, Status>) -> Result<(), Status> {
    match answer {
        Err(status) if status.code() != tonic::Code::NotFound => Err(status),
        _ => Ok(()),
    }
}

/// Input comes by the attach socket; this only says that there is any.
fn stdin_of(stdio: &Stdio) -> String {
    if stdio.stdin { "attach:".to_owned() } else { String::new() }
}

fn json(type_url: &str, document: &impl serde::Serialize) -> Result<prost_types::Any> {
    let value = serde_json::to_vec(document)
        .map_err(|source| Error::Invalid(format!("runtime specification: {source}")))?;
    Ok(prost_types::Any { type_url: type_url.to_owned(), value })
}

/// A process that could not be made or started: the shim says what it comes to, beside its words.
fn start_failure(status: Status) -> Error {
    if matches!(status.code(), tonic::Code::Unavailable | tonic::Code::DeadlineExceeded) {
        return Error::peer("start container", status);
    }
    let message = status.message().to_owned();
    let failure: StartFailure = gantry_proto::detail(status.details()).unwrap_or_default();
    let (cause, stage, errno) = (failure.cause(), failure.stage(), failure.errno);
    tracing::info!(?cause, ?stage, errno, error = message, "a process could not be started");
    let exit_code = match cause {
        Cause::NotFound => 127,
        Cause::NotPermitted => 126,
        Cause::Other => 128,
        // Whom a container runs as is looked up in its own files, before anything is made of it.
        Cause::NoSuchUser => return Error::Unstartable(message),
    };
    Error::StartFailed { message, exit_code }
}

/// `x` as Docker says it when it is missing: `x:latest`.
fn with_tag(reference: &str) -> String {
    let last = reference.rsplit('/').next().unwrap_or(reference);
    if last.contains(':')
        || reference.contains('@')
        || crate::names::is_id_prefix(reference) && reference.len() == 64
    {
        reference.to_owned()
    } else {
        format!("{reference}:latest")
    }
}
