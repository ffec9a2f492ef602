//! Conversions of records and their updates. An update changes the fields that its mask names; without a mask, all
//! that can change.

use gantry_proto::containerd::services::images::v1 as pb;
use gantry_types::{Labels, Relabel};
use prost_types::FieldMask;

use super::moment;
use crate::diff::convert::{descriptor, parse_descriptor};
use crate::images::{NewRecord, Record, RecordUpdate};
use crate::wire::Invalid;

const MISSING: Invalid = Invalid::Missing { field: "image" };

pub(in crate::images) fn record(record: Record) -> pb::Image {
    pb::Image {
        name: record.name,
        labels: record.labels.into(),
        target: Some(descriptor(record.target)),
        created_at: Some(record.created.into()),
        updated_at: Some(record.updated.into()),
    }
}

pub(in crate::images) fn parse_record(image: Option<pb::Image>) -> Result<Record, Invalid> {
    let image = image.ok_or(MISSING)?;
    Ok(Record {
        name: image.name,
        target: parse_descriptor(image.target)?,
        labels: Labels::from(image.labels).without_empty(),
        created: moment(image.created_at),
        updated: moment(image.updated_at),
    })
}

pub(in crate::images) fn new_record(record: NewRecord) -> pb::CreateImageRequest {
    let image = pb::Image {
        name: record.name,
        labels: record.labels.into(),
        target: Some(descriptor(record.target)),
        ..Default::default()
    };
    pb::CreateImageRequest { image: Some(image), source_date_epoch: record.at.map(Into::into) }
}

pub(in crate::images) fn parse_new_record(request: pb::CreateImageRequest) -> Result<NewRecord, Invalid> {
    let image = request.image.ok_or(MISSING)?;
    Ok(NewRecord {
        name: image.name,
        target: parse_descriptor(image.target)?,
        labels: Labels::from(image.labels).without_empty(),
        at: request.source_date_epoch.map(|at| moment(Some(at))),
    })
}

/// `None` if nothing changes: without a mask the message would change everything.
pub(in crate::images) fn update(name: &str, update: RecordUpdate) -> Option<pb::UpdateImageRequest> {
    let mut paths = Vec::new();
    let mut image = pb::Image { name: name.to_owned(), ..Default::default() };
    if let Some(target) = update.target {
        image.target = Some(descriptor(target));
        paths.push("target".to_owned());
    }
    if let Some(change) = update.annotations {
        let (annotations, mask) = change.into_update();
        image.target.get_or_insert_default().annotations = annotations.into();
        paths.extend(mask.iter().map(|path| path.replacen("labels", "annotations", 1)));
    }
    if let Some(change) = update.labels {
        let (labels, mask) = change.into_update();
        image.labels = labels.into();
        paths.extend(mask);
    }
    (!paths.is_empty()).then(|| pb::UpdateImageRequest {
        image: Some(image),
        update_mask: Some(FieldMask { paths }),
        source_date_epoch: update.at.map(Into::into),
    })
}

pub(in crate::images) fn parse_update(
    request: pb::UpdateImageRequest,
) -> Result<(String, RecordUpdate), Invalid> {
    let mask = request.update_mask.map(|mask| mask.paths).unwrap_or_default();
    let image = request.image.ok_or(MISSING)?;
    let at = request.source_date_epoch.map(|at| moment(Some(at)));
    let labels = Labels::from(image.labels);
    if mask.is_empty() {
        let target = Some(parse_descriptor(image.target)?);
        let update = RecordUpdate { target, annotations: None, labels: Some(Relabel::All(labels)), at };
        return Ok((image.name, update));
    }
    let (mut of_labels, mut of_annotations, mut of_target) = (Vec::new(), Vec::new(), false);
    for path in mask {
        // Any other path is an error of the labels.
        match path.strip_prefix("annotations") {
            Some(rest) => of_annotations.push(format!("labels{rest}")),
            None if path == "target" => of_target = true,
            None => of_labels.push(path),
        }
    }
    let change = |new: Labels, mask: Vec<String>| match mask.is_empty() {
        true => Ok(None),
        false => Relabel::parse(new, &mask).map(Some),
    };
    let annotations = image.target.as_ref().map(|target| target.annotations.clone()).unwrap_or_default();
    let update = RecordUpdate {
        // A field outside of the mask is not parsed: a client that changes labels sends an empty target.
        target: if of_target { Some(parse_descriptor(image.target)?) } else { None },
        annotations: change(annotations.into(), of_annotations)?,
        labels: change(labels, of_labels)?,
        at,
    };
    Ok((image.name, update))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use gantry_types::{Descriptor, Digest, media_type};

    use super::*;

    fn target(content: &[u8]) -> Descriptor {
        Descriptor::new(media_type::OCI_MANIFEST, Digest::sha256(content), 3)
    }

    #[test]
    fn updates_arrive_as_they_were_sent() {
        let each = |pairs: &[(&str, &str)]| Some(Relabel::Each(pairs.iter().copied().collect()));
        let updates = [
            RecordUpdate { target: Some(target(b"1")), ..Default::default() },
            RecordUpdate { labels: each(&[("a.b/c", "1"), ("gone", "")]), ..Default::default() },
            RecordUpdate { annotations: each(&[("a", "1")]), ..Default::default() },
            RecordUpdate {
                labels: Some(Relabel::All(Labels::new())),
                at: Some(SystemTime::UNIX_EPOCH),
                ..Default::default()
            },
        ];
        for expected in updates {
            let request = update("x", expected.clone()).expect("something changes");
            assert_eq!(parse_update(request).expect("parses"), ("x".to_owned(), expected));
        }
        assert_eq!(update("x", RecordUpdate::default()), None);
        assert_eq!(update("x", RecordUpdate { labels: each(&[]), ..Default::default() }), None);
    }

    #[test]
    fn a_mask_that_names_what_cannot_change_is_refused() {
        let request = |path: &str| pb::UpdateImageRequest {
            image: Some(pb::Image::default()),
            update_mask: Some(FieldMask { paths: vec![path.to_owned()] }),
            source_date_epoch: None,
        };
        for path in ["name", "annotationsx", "target"] {
            assert!(parse_update(request(path)).is_err(), "{path}");
        }
    }
}
