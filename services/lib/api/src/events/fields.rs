//! The fields that event filters know: `namespace`, `topic`, and `event.<field>` for the texts and labels in the
//! events that containerd defines.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeMap;

use gantry_proto::containerd::events as ev;
use gantry_proto::containerd::services::images::v1::{ImageCreate, ImageDelete, ImageUpdate};
use gantry_types::filter::Fields;
use prost_types::Any;

use super::Event;

/// An event as a filter sees it. Decodes the message only when a filter asks for a field of it.
pub struct Filterable<'a> {
    event: &'a Event,
    message: OnceCell<BTreeMap<String, String>>,
}

impl<'a> Filterable<'a> {
    /// The view of this event.
    pub fn new(event: &'a Event) -> Filterable<'a> {
        Filterable { event, message: OnceCell::new() }
    }
}

impl Fields for Filterable<'_> {
    fn field(&self, path: &[String]) -> Option<Cow<'_, str>> {
        let (first, rest) = path.split_first()?;
        match (first.as_str(), rest) {
            ("namespace", []) => some(self.event.namespace.as_str()),
            ("topic", []) => some(self.event.topic.as_str()),
            ("event", [_, ..]) => {
                let texts = self.message.get_or_init(|| texts(&self.event.message));
                texts.get(&rest.join(".")).and_then(|text| some(text))
            }
            _ => None,
        }
    }
}

fn some(text: &str) -> Option<Cow<'_, str>> {
    (!text.is_empty()).then_some(Cow::Borrowed(text))
}

/// The texts of a message by path.
type Texts = BTreeMap<String, String>;

/// A message with known texts.
trait Tell: prost::Name + Default {
    fn tell(self, texts: &mut Texts);
}

macro_rules! tell {
    ($($message:path { $($field:ident),* $(; $labels:ident)? })*) => {
        $(impl Tell for $message {
            fn tell(self, texts: &mut Texts) {
                $(texts.insert(stringify!($field).to_owned(), self.$field);)*
                $(texts.extend(self.$labels.into_iter().map(|(key, value)| (format!("labels.{key}"), value)));)?
            }
        })*
        const DECODERS: &[fn(&Any) -> Option<Texts>] = &[$(decode::<$message>,)* decode::<ev::ContainerCreate>, decode::<ev::TaskCreate>];
    };
}

tell! {
    ev::ContainerUpdate { id, image, snapshot_key; labels }
    ev::ContainerDelete { id }
    ev::ContentCreate { digest }
    ev::ContentDelete { digest }
    ev::NamespaceCreate { name; labels }
    ev::NamespaceUpdate { name; labels }
    ev::NamespaceDelete { name }
    ev::SandboxCreate { sandbox_id }
    ev::SandboxStart { sandbox_id }
    ev::SandboxExit { sandbox_id }
    ev::SnapshotPrepare { key, parent, snapshotter }
    ev::SnapshotCommit { key, name, snapshotter }
    ev::SnapshotRemove { key, snapshotter }
    ev::TaskStart { container_id }
    ev::TaskDelete { container_id, id }
    ev::TaskExit { container_id, id }
    ev::TaskOom { container_id }
    ev::TaskExecAdded { container_id, exec_id }
    ev::TaskExecStarted { container_id, exec_id }
    ev::TaskPaused { container_id }
    ev::TaskResumed { container_id }
    ev::TaskCheckpointed { container_id, checkpoint }
    ImageCreate { name; labels }
    ImageUpdate { name; labels }
    ImageDelete { name }
}

impl Tell for ev::ContainerCreate {
    fn tell(self, texts: &mut Texts) {
        texts.insert("id".to_owned(), self.id);
        texts.insert("image".to_owned(), self.image);
        texts.insert("runtime.name".to_owned(), self.runtime.unwrap_or_default().name);
    }
}

impl Tell for ev::TaskCreate {
    fn tell(self, texts: &mut Texts) {
        let io = self.io.unwrap_or_default();
        let pairs = [
            ("container_id", self.container_id),
            ("bundle", self.bundle),
            ("checkpoint", self.checkpoint),
            ("io.stdin", io.stdin),
            ("io.stdout", io.stdout),
            ("io.stderr", io.stderr),
        ];
        texts.extend(pairs.map(|(key, value)| (key.to_owned(), value)));
    }
}

fn decode<M: Tell>(any: &Any) -> Option<Texts> {
    let message: M = gantry_proto::unpack(any)?.ok()?;
    let mut texts = Texts::new();
    message.tell(&mut texts);
    Some(texts)
}

/// The texts of an event; empty for an unknown type.
fn texts(any: &Any) -> Texts {
    DECODERS.iter().find_map(|decode| decode(any)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use gantry_types::Namespace;

    use super::*;

    fn field(event: &impl prost::Name, path: &[&str]) -> Option<String> {
        let event = Event::now(&Namespace::moby(), "/a/b".parse().unwrap(), event);
        let path: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
        Filterable::new(&event).field(&path).map(Cow::into_owned)
    }

    #[test]
    fn known_events_have_their_texts() {
        let update = ImageUpdate { name: "x".into(), labels: [("a.b".to_owned(), "1".to_owned())].into() };
        assert_eq!(field(&update, &["event", "name"]).as_deref(), Some("x"));
        assert_eq!(field(&update, &["event", "labels", "a", "b"]).as_deref(), Some("1"));
        let io = Some(ev::TaskIo { stdout: "/log".into(), ..Default::default() });
        let create = ev::TaskCreate { container_id: "c".into(), io, ..Default::default() };
        assert_eq!(field(&create, &["event", "io", "stdout"]).as_deref(), Some("/log"));
        assert_eq!(field(&create, &["event", "pid"]), None);
        assert_eq!(field(&prost_types::Timestamp::default(), &["event", "name"]), None);
    }
}
