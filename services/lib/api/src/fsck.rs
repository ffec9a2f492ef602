//! The promise of every service with records or kernel objects: to find what is missing, damaged, or without a
//! record.
//!
//! A check compares records with the disk and the kernel, and changes nothing. A repair mends what it finds where
//! nothing is lost by it: it never removes data of volumes, and never ends a process.

use gantry_proto::gantry::gc::v1 as pb;
use gantry_proto::gantry::gc::v1::fsck_server::{Fsck, FsckServer};
use gantry_rpc::{Code, Coded, status};
use tonic::{Request, Response, Status};

use crate::call::Caller;
use crate::{Failure, Peers, Promise};

/// Checks a service.
pub trait Check: Promise {
    /// Everything that the check finds.
    fn check(
        &self,
        repair: Repair,
        depth: Depth,
    ) -> impl Future<Output = Result<Vec<Stray>, Self::Error>> + Send;
}

/// Whether the check repairs what it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    /// It does, where nothing is lost by it.
    Yes,
    /// It only reports.
    No,
}

/// How thorough the check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Reads every blob.
    Whole,
    /// Leaves out what takes long.
    Quick,
}

/// An object without a record, a record without its object, or a damaged object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// `mount`, `netns`, `link`, `nft`, `cgroup`, `ingest`, `directory`, `process`, `record`, `blob`.
    pub kind: String,
    /// The object's name.
    pub name: String,
    /// What is wrong with it.
    pub detail: String,
    /// It was repaired.
    pub repaired: bool,
}

/// A client of a service's check. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    peers: Peers,
    service: &'static str,
    caller: Caller,
}

impl Client {
    /// The check of a service among `peers`.
    pub fn new(peers: &Peers, service: &'static str) -> Self {
        Self { peers: peers.clone(), service, caller: Caller::new(service) }
    }
}

impl Promise for Client {
    type Error = Failure;
}

impl Check for Client {
    async fn check(&self, repair: Repair, depth: Depth) -> Result<Vec<Stray>, Failure> {
        let request = pb::FsckRequest { repair: repair == Repair::Yes, quick: depth == Depth::Quick };
        let mut rpc = self.peers.fsck(self.service);
        match self.caller.ask("check what it has", rpc.check(request)).await {
            // The service has no records or kernel objects.
            Err(failure) if failure.code() == Code::Unimplemented => Ok(Vec::new()),
            answer => Ok(answer?.strays.into_iter().map(parse_stray).collect()),
        }
    }
}

/// The service over an implementation.
pub fn service<S: Check + 'static>(subject: S) -> FsckServer<Server<S>> {
    FsckServer::new(Server(subject))
}

/// Parses, calls, converts.
#[derive(Debug, Clone)]
pub struct Server<S>(S);

#[tonic::async_trait]
impl<S: Check + 'static> Fsck for Server<S> {
    async fn check(&self, request: Request<pb::FsckRequest>) -> Result<Response<pb::FsckResponse>, Status> {
        let request = request.get_ref();
        let repair = if request.repair { Repair::Yes } else { Repair::No };
        let depth = if request.quick { Depth::Quick } else { Depth::Whole };
        let strays = self.0.check(repair, depth).await.map_err(status)?;
        Ok(Response::new(pb::FsckResponse { strays: strays.into_iter().map(stray).collect() }))
    }
}

fn stray(stray: Stray) -> pb::Stray {
    pb::Stray { kind: stray.kind, name: stray.name, detail: stray.detail, repaired: stray.repaired }
}

fn parse_stray(stray: pb::Stray) -> Stray {
    Stray { kind: stray.kind, name: stray.name, detail: stray.detail, repaired: stray.repaired }
}
