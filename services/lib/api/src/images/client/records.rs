//! A client of image records, over the service's socket.

use gantry_proto::containerd::services::images::v1 as pb;
use gantry_proto::containerd::types;
use gantry_rpc::context;
use gantry_types::filter::FilterSet;
use gantry_types::{Digest, Namespace};

use super::Client;
use crate::Failure;
use crate::images::records::{Collect, Inspect, Manage};
use crate::images::{NewRecord, Record, RecordUpdate, convert};
use crate::wire;

impl Client {
    fn read_record(&self, call: &'static str, image: Option<pb::Image>) -> Result<Record, Failure> {
        convert::parse_record(image).map_err(self.caller.garbled(call))
    }
}

impl Inspect for Client {
    async fn record(&self, namespace: &Namespace, name: &str) -> Result<Record, Failure> {
        const CALL: &str = "look up a name";
        let request = pb::GetImageRequest { name: name.to_owned() };
        let request = context::with_namespace(request, namespace);
        let answer = self.caller.ask(CALL, self.peers.image_records().get(request)).await?;
        self.read_record(CALL, answer.image)
    }

    async fn records(&self, namespace: &Namespace, filters: &FilterSet) -> Result<Vec<Record>, Failure> {
        const CALL: &str = "list names";
        let request = pb::ListImagesRequest { filters: wire::filter_texts(filters) };
        let request = context::with_namespace(request, namespace);
        let answer = self.caller.ask(CALL, self.peers.image_records().list(request)).await?;
        answer.images.into_iter().map(|image| self.read_record(CALL, Some(image))).collect()
    }
}

impl Manage for Client {
    async fn create_record(&self, namespace: &Namespace, record: NewRecord) -> Result<Record, Failure> {
        const CALL: &str = "make a name";
        let request = context::with_namespace(convert::new_record(record), namespace);
        let answer = self.caller.ask(CALL, self.peers.image_records().create(request)).await?;
        self.read_record(CALL, answer.image)
    }

    async fn update_record(
        &self,
        namespace: &Namespace,
        name: &str,
        update: RecordUpdate,
    ) -> Result<Record, Failure> {
        const CALL: &str = "change a name";
        let Some(request) = convert::update(name, update) else { return self.record(namespace, name).await };
        let request = context::with_namespace(request, namespace);
        let answer = self.caller.ask(CALL, self.peers.image_records().update(request)).await?;
        self.read_record(CALL, answer.image)
    }

    async fn delete_record(
        &self,
        namespace: &Namespace,
        name: &str,
        expected: Option<&Digest>,
        collect: Collect,
    ) -> Result<(), Failure> {
        let target =
            expected.map(|digest| types::Descriptor { digest: digest.to_string(), ..Default::default() });
        let sync = collect == Collect::Now;
        let request = pb::DeleteImageRequest { name: name.to_owned(), sync, target };
        let request = context::with_namespace(request, namespace);
        self.caller.ask("delete a name", self.peers.image_records().delete(request)).await
    }
}
