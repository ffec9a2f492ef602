//! The client of content's socket.

mod files;
mod reader;
mod writer;

use gantry_proto::containerd::services::content::v1 as pb;
use gantry_proto::containerd::services::content::v1::content_client::ContentClient;
use gantry_rpc::{Channel, context};
use gantry_types::filter::FilterSet;
use gantry_types::{Digest, Namespace, Relabel};
use prost_types::FieldMask;

pub use files::{Filler, Follower};
pub use reader::Reader;
pub use writer::Writer;

use super::{Expected, Info, Ingest, IngestRef, Inspect, Manage, Owner, Provide, Range, Status, convert};
use crate::Failure;
use crate::wire::{self, Invalid};

client!(
    /// A client of content. Cheap to clone.
    "content", content: ContentClient<Channel>
);

impl Inspect for Client {
    async fn info(&self, namespace: &Namespace, digest: &Digest) -> Result<Info, Failure> {
        const CALL: &str = "look up a blob";
        let request = pb::InfoRequest { digest: digest.to_string() };
        let request = context::with_namespace(request, namespace);
        let answer = self.caller.ask(CALL, self.rpc().info(request)).await?;
        parse_info(answer.info).map_err(self.caller.garbled(CALL))
    }

    async fn walk(&self, namespace: &Namespace, filters: &FilterSet) -> Result<Vec<Info>, Failure> {
        const CALL: &str = "list blobs";
        let request = pb::ListContentRequest { filters: wire::filter_texts(filters) };
        let request = context::with_namespace(request, namespace);
        let mut stream = self.caller.ask(CALL, self.rpc().list(request)).await?;
        let mut blobs = Vec::new();
        while let Some(message) = self.caller.hear(CALL, stream.message()).await? {
            for info in message.info {
                blobs.push(convert::parse_info(info).map_err(self.caller.garbled(CALL))?);
            }
        }
        Ok(blobs)
    }
}

impl Provide for Client {
    type Reader = Reader;

    async fn read(&self, namespace: &Namespace, digest: &Digest, range: Range) -> Result<Reader, Failure> {
        if range.length == Some(0) {
            // On the wire, a size of 0 means "to the end".
            self.info(namespace, digest).await?;
            return Ok(Reader::empty());
        }
        let request = pb::ReadContentRequest {
            digest: digest.to_string(),
            offset: wire::signed(range.start),
            size: wire::signed(range.length.unwrap_or(0)),
        };
        let request = context::with_namespace(request, namespace);
        let stream = self.caller.ask(reader::CALL, self.rpc().read(request)).await?;
        Ok(Reader::new(self.caller, stream))
    }
}

impl Ingest for Client {
    type Writer = Writer;

    async fn open(
        &self,
        owner: &Owner,
        reference: &IngestRef,
        expected: Expected,
    ) -> Result<Writer, Failure> {
        Writer::open(self.caller, self.rpc(), owner, reference, expected).await
    }

    async fn status(&self, namespace: &Namespace, reference: &IngestRef) -> Result<Status, Failure> {
        const CALL: &str = "look up an ingest";
        let request = pb::StatusRequest { r#ref: reference.to_string() };
        let request = context::with_namespace(request, namespace);
        let answer = self.caller.ask(CALL, self.rpc().status(request)).await?;
        let status = answer.status.ok_or(Invalid::Missing { field: "status" });
        status.and_then(convert::parse_status).map_err(self.caller.garbled(CALL))
    }

    async fn statuses(&self, namespace: &Namespace, filters: &FilterSet) -> Result<Vec<Status>, Failure> {
        const CALL: &str = "list ingests";
        let request = pb::ListStatusesRequest { filters: wire::filter_texts(filters) };
        let request = context::with_namespace(request, namespace);
        let answer = self.caller.ask(CALL, self.rpc().list_statuses(request)).await?;
        let statuses = answer.statuses.into_iter().map(convert::parse_status).collect::<Result<_, _>>();
        statuses.map_err(self.caller.garbled(CALL))
    }

    async fn abort(&self, owner: &Owner, reference: &IngestRef) -> Result<(), Failure> {
        let request = pb::AbortRequest { r#ref: reference.to_string() };
        let request = context::with_lease(request, &owner.namespace, owner.lease.as_deref());
        self.caller.ask("abort an ingest", self.rpc().abort(request)).await
    }
}

impl Manage for Client {
    async fn update(
        &self,
        namespace: &Namespace,
        digest: &Digest,
        labels: &Relabel,
    ) -> Result<Info, Failure> {
        const CALL: &str = "label a blob";
        let (labels, paths) = labels.clone().into_update();
        let info = pb::Info { digest: digest.to_string(), labels: labels.into(), ..Default::default() };
        let request = pb::UpdateRequest { info: Some(info), update_mask: Some(FieldMask { paths }) };
        let request = context::with_namespace(request, namespace);
        let answer = self.caller.ask(CALL, self.rpc().update(request)).await?;
        parse_info(answer.info).map_err(self.caller.garbled(CALL))
    }

    async fn delete(&self, owner: &Owner, digest: &Digest) -> Result<(), Failure> {
        let request = pb::DeleteContentRequest { digest: digest.to_string() };
        let request = context::with_lease(request, &owner.namespace, owner.lease.as_deref());
        self.caller.ask("delete a blob", self.rpc().delete(request)).await
    }
}

fn parse_info(info: Option<pb::Info>) -> Result<Info, Invalid> {
    info.ok_or(Invalid::Missing { field: "info" }).and_then(convert::parse_info)
}
