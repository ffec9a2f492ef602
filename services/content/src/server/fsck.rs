//! The consistency check.

use gantry_proto::gantry::gc::v1 as pb;
use gantry_proto::gantry::gc::v1::fsck_server::Fsck;
use gantry_rpc::status;
use tonic::{Request, Response, Status};

use crate::recover::Stray;
use crate::store::{Repair, Store};

pub(super) struct Server(pub(super) Store);

#[tonic::async_trait]
impl Fsck for Server {
    async fn check(&self, request: Request<pb::FsckRequest>) -> Result<Response<pb::FsckResponse>, Status> {
        let repair = if request.get_ref().repair { Repair::Yes } else { Repair::No };
        let mut strays = self.0.check(repair).await.map_err(status)?;
        if !request.get_ref().quick {
            strays.extend(self.0.verify(repair).await.map_err(status)?);
        }
        Ok(Response::new(pb::FsckResponse { strays: strays.into_iter().map(stray).collect() }))
    }
}

fn stray((stray, repaired): (Stray, bool)) -> pb::Stray {
    let (kind, name, detail) = match stray {
        Stray::BlobRecord(namespace, digest) => (
            "record",
            digest.to_string(),
            format!("a blob of namespace {namespace} whose bytes are missing or damaged"),
        ),
        Stray::BlobFile(digest) => {
            ("directory", digest.to_string(), "bytes of a blob that no namespace has".to_owned())
        }
        Stray::BlobBytes(digest) => (
            "blob",
            digest.to_string(),
            "its bytes are not those that its digest names: to be set aside, and pulled again".to_owned(),
        ),
        Stray::IngestRecord(key) => (
            "record",
            key.reference,
            format!("an ingest of namespace {} whose bytes are missing", key.namespace),
        ),
        Stray::IngestDirectory(id) => {
            ("ingest", id.as_str().to_owned(), "bytes of an ingest without a record".to_owned())
        }
    };
    pb::Stray { kind: kind.to_owned(), name, detail, repaired }
}
