//! Removes all containers that do not run.

use gantry_api::engine::{Filter, Pruned, RemoveSpec, Status};

use super::list::filters_of;
use super::remove::Removal;
use crate::containers::Containers;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::peers::Snapshots;

/// Removes containers that do not run. Returns their ids and the bytes that were freed.
pub async fn prune(
    containers: &Containers,
    snapshots: &Snapshots,
    removal: &Removal,
    events: &Events,
    filters: &[Filter],
) -> Result<Pruned> {
    let filters = filters_of(filters);
    if let Some(unknown) = filters.unknown(&["label", "label!", "until"]) {
        return Err(Error::Invalid(format!("invalid filter '{unknown}'")));
    }
    let until =
        filters.until("until").map_err(|text| Error::Invalid(format!("invalid filter 'until={text}'")))?;
    let mut answer = Pruned::default();
    for container in containers.all() {
        let record = container.record();
        let unused = |status: Status| matches!(status, Status::Created | Status::Exited | Status::Dead);
        let wanted = unused(container.status())
            && record.stage == crate::record::Stage::Ready
            && until.is_none_or(|until| record.created_at < until)
            && filters.labels("label", &record.config.labels)
            && filters.labels_absent("label!", &record.config.labels);
        if !wanted {
            continue;
        }
        let size = snapshots.usage(&record.snapshotter, &record.id).await.unwrap_or(0);
        let request = RemoveSpec { container: record.id.clone(), ..Default::default() };
        match removal.remove(&request).await {
            Ok(()) => {
                answer.deleted.push(record.id.clone());
                answer.space_reclaimed += u64::try_from(size).unwrap_or(0);
            }
            Err(error) => {
                tracing::warn!(container = %record.id, error = %gantry_rpc::chain(&error), "container not pruned");
            }
        }
    }
    let attributes = [("reclaimed".to_owned(), answer.space_reclaimed.to_string())].into();
    events.publish("container", "prune", "", attributes);
    Ok(answer)
}
