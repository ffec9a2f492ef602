//! Conversion between containerd's message, which is also what the store keeps, and the types of this module.

use gantry_proto::containerd::services::containers::v1 as pb;
use gantry_types::{ContainerId, Error, Labels, Relabel};
use prost_types::FieldMask;

use super::{Container, Extensions, InvalidRecord, Part, Record, Runtime, Update};
use crate::wire;

alike!(Runtime, pb::container::Runtime { name, options });

/// Without times.
impl From<Container> for pb::Container {
    fn from(container: Container) -> Self {
        Self {
            id: container.id.to_string(),
            labels: container.labels.into(),
            image: container.image,
            runtime: Some(container.runtime.into()),
            spec: Some(container.spec),
            snapshotter: container.snapshotter,
            snapshot_key: container.snapshot_key,
            extensions: container.extensions.into_iter().collect(),
            sandbox: container.sandbox,
            created_at: None,
            updated_at: None,
        }
    }
}

impl TryFrom<pb::Container> for Container {
    type Error = InvalidRecord;

    fn try_from(message: pb::Container) -> Result<Self, InvalidRecord> {
        let id = message.id.parse()?;
        let Some(spec) = message.spec else {
            return Err(InvalidRecord::Container { id: message.id, reason: "it has no spec" });
        };
        Ok(Self {
            id,
            labels: message.labels.into(),
            image: message.image,
            runtime: message.runtime.unwrap_or_default().into(),
            spec,
            snapshotter: message.snapshotter,
            snapshot_key: message.snapshot_key,
            extensions: message.extensions.into_iter().collect(),
            sandbox: message.sandbox,
        })
    }
}

impl From<Record> for pb::Container {
    fn from(record: Record) -> Self {
        let (created_at, updated_at) = (Some(record.created.into()), Some(record.updated.into()));
        Self { created_at, updated_at, ..record.container.into() }
    }
}

impl TryFrom<pb::Container> for Record {
    type Error = InvalidRecord;

    fn try_from(message: pb::Container) -> Result<Self, InvalidRecord> {
        let created = wire::moment(message.created_at.as_ref());
        let updated = wire::moment(message.updated_at.as_ref());
        Ok(Self { container: message.try_into()?, created, updated })
    }
}

/// The request of an update. Containerd takes one without a mask to name every field.
pub(super) fn update(id: &ContainerId, update: Update) -> pb::UpdateContainerRequest {
    let (container, paths) = match update {
        Update::Whole(container) => (pb::Container { id: id.to_string(), ..container.into() }, Vec::new()),
        Update::Part(part) => masked(id, part),
    };
    pb::UpdateContainerRequest { container: Some(container), update_mask: Some(FieldMask { paths }) }
}

fn masked(id: &ContainerId, part: Part) -> (pb::Container, Vec<String>) {
    let mut container = pb::Container { id: id.to_string(), ..Default::default() };
    let mut mask = Vec::new();
    if let Some(change) = part.labels {
        let (labels, paths) = change.into_update();
        container.labels = labels.into();
        mask.extend(paths);
    }
    match part.extensions {
        Some(Extensions::All(extensions)) => {
            container.extensions = extensions.into_iter().collect();
            mask.push("extensions".to_owned());
        }
        Some(Extensions::Each(extensions)) => {
            mask.extend(extensions.keys().map(|name| format!("extensions.{name}")));
            let set = extensions.into_iter().filter_map(|(name, extension)| Some((name, extension?)));
            container.extensions = set.collect();
        }
        None => {}
    }
    let mut name = |path: &str, is_named: bool| mask.extend(is_named.then(|| path.to_owned()));
    name("image", part.image.is_some());
    name("spec", part.spec.is_some());
    name("snapshotkey", part.snapshot_key.is_some());
    container.image = part.image.unwrap_or_default();
    container.spec = part.spec;
    container.snapshot_key = part.snapshot_key.unwrap_or_default();
    (container, mask)
}

/// The change that a request without or with a mask asks for.
pub(super) fn parse_update(update: pb::Container, mask: &[String]) -> Result<Update, InvalidRecord> {
    if mask.is_empty() {
        return update.try_into().map(Update::Whole);
    }
    let mut part = Part::default();
    let mut labels: Vec<&str> = Vec::new();
    for path in mask {
        match path.as_str() {
            "image" => part.image = Some(update.image.clone()),
            "snapshotkey" => part.snapshot_key = Some(update.snapshot_key.clone()),
            "spec" => {
                let id = update.id.clone();
                let missing = InvalidRecord::Container { id, reason: "it has no spec" };
                part.spec = Some(update.spec.clone().ok_or(missing)?);
            }
            "extensions" => {
                part.extensions = Some(Extensions::All(update.extensions.clone().into_iter().collect()));
            }
            path if path == "labels" || path.starts_with("labels.") => labels.push(path),
            path => match path.strip_prefix("extensions.") {
                Some(name) => name_extension(&mut part.extensions, name, &update),
                None => return Err(Error::UpdateMask { path: path.to_owned() }.into()),
            },
        }
    }
    if !labels.is_empty() {
        part.labels = Some(Relabel::parse(Labels::from(update.labels), &labels)?);
    }
    Ok(Update::Part(part))
}

/// Adds an extension to those to change, unless all of them change.
fn name_extension(change: &mut Option<Extensions>, name: &str, update: &pb::Container) {
    if let Extensions::Each(each) = change.get_or_insert_with(|| Extensions::Each(Default::default())) {
        each.insert(name.to_owned(), update.extensions.get(name).cloned());
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Any;

    use super::*;

    fn any(value: &[u8]) -> Any {
        Any { type_url: "example.com/thing".to_owned(), value: value.to_vec() }
    }

    fn whole() -> Container {
        let id = "c".parse().expect("an id");
        Container {
            labels: Labels::from([("l", "1")]),
            image: "docker.io/library/x:1".to_owned(),
            snapshotter: "overlayfs".to_owned(),
            snapshot_key: "key".to_owned(),
            extensions: [("x".to_owned(), any(b"\xff"))].into(),
            sandbox: "s".to_owned(),
            ..Container::new(&id, "io.containerd.gantry.v2", any(b"spec"))
        }
    }

    /// What a server reads of the request that a client writes.
    fn there_and_back(given: Update) -> Update {
        let id = "c".parse().expect("an id");
        let request = update(&id, given);
        let mask = request.update_mask.expect("a mask").paths;
        parse_update(request.container.expect("a container"), &mask).expect("it parses")
    }

    #[test]
    fn an_update_is_read_as_it_was_written() {
        let each = [("x".to_owned(), None), ("y.z".to_owned(), Some(any(b"y")))];
        let parts = [
            Part { labels: Some(Relabel::All(Labels::new())), ..Part::default() },
            Part { labels: Some(Relabel::Each(Labels::from([("a.b", "1"), ("c", "")]))), ..Part::default() },
            Part { image: Some(String::new()), snapshot_key: Some("k".to_owned()), ..Part::default() },
            Part { spec: Some(any(b"")), extensions: Some(Extensions::Each(each.into())), ..Part::default() },
            Part { extensions: Some(Extensions::All([("".to_owned(), any(b""))].into())), ..Part::default() },
        ];
        for update in parts.map(Update::Part).into_iter().chain([Update::Whole(whole())]) {
            assert_eq!(there_and_back(update.clone()), update);
        }
    }

    #[test]
    fn a_mask_names_all_labels_or_extensions_or_some() {
        let update = pb::Container::from(whole());
        let paths = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
        let all = paths(&["extensions.y", "labels.l", "extensions", "labels", "extensions.x"]);
        let part = Part {
            labels: Some(Relabel::All(whole().labels)),
            extensions: Some(Extensions::All(whole().extensions)),
            ..Part::default()
        };
        assert_eq!(parse_update(update.clone(), &all), Ok(Update::Part(part)));
        for path in ["created_at", "snapshotter", "", "labelsx"] {
            let unknown = Error::UpdateMask { path: path.to_owned() };
            assert_eq!(parse_update(update.clone(), &paths(&[path])), Err(unknown.into()));
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let record = Record::new(whole()).expect("valid");
        assert_eq!(Record::try_from(pb::Container::from(record.clone())), Ok(record.clone()));
        let message = pb::Container { spec: None, ..record.into() };
        assert!(Record::try_from(message).is_err());
    }
}
