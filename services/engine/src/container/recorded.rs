//! A container's record in the tasks service, from which tasks starts the container and which keeps its root from
//! collection.

use std::collections::HashMap;

use oci_spec::runtime::Spec;

use super::Container;
use super::specs::Specs;
use crate::error::Result;
use crate::peers::Records;
use crate::record::{Record, Stage};
use crate::volumes::images;

/// Makes the record, or replaces the specification in an existing one.
pub(crate) async fn record(records: &Records, record: &Record, spec: &Spec) -> Result<()> {
    let image = if record.image_name.is_empty() { &record.image_id } else { &record.image_name };
    records.create(&record.id, image, labels(record), &record.snapshotter, spec).await
}

/// Makes the record of a container that the tasks service has lost. Nothing happens if the record is there, or if the
/// container is being created or removed.
pub(crate) async fn record_again(records: &Records, specs: &Specs, container: &Container) -> Result<()> {
    let _turn = container.operate().await;
    let found = container.record();
    let unmade = container.life().is_unmade();
    // Checked again, because the container may be in creation or removal.
    let missing = !records.ids().await?.iter().any(|id| id == container.id());
    if found.stage != Stage::Ready || unmade || !missing {
        return Ok(());
    }
    tracing::warn!(container = %container.id(), "tasks has no record of the container: it is made again");
    record(records, &found, &specs.preliminary(&found)?).await
}

/// A container's labels for containerd, which limits their length. The engine alone keeps longer ones.
fn labels(record: &Record) -> HashMap<String, String> {
    let short = |(key, value): &(&String, &String)| key.len() + value.len() <= 4096;
    let labels = record.config.labels.iter().filter(short).map(|(key, value)| (key.clone(), value.clone()));
    labels.chain(images::references(record)).collect()
}
