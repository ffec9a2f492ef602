//! The labels by which clients control garbage collection: roots, references, expiry.
//!
//! An object keeps what its `containerd.io/gc.ref.*` labels name. The label `containerd.io/gc.root` makes the object
//! a root. `containerd.io/gc.expire` (RFC 3339) says when a lease or an image stops being a root.

use std::time::SystemTime;

use chrono::DateTime;

use crate::{Digest, Labels};

/// Any value makes the object a root.
pub const ROOT: &str = "containerd.io/gc.root";
/// When a lease or an image stops being a root, RFC 3339.
pub const EXPIRE: &str = "containerd.io/gc.expire";
/// On a lease: keeps the named resources only, and not what they refer to.
pub const FLAT: &str = "containerd.io/gc.flat";

const REF_CONTENT: &str = "containerd.io/gc.ref.content";
const REF_IMAGE: &str = "containerd.io/gc.ref.image";
const REF_SNAPSHOT: &str = "containerd.io/gc.ref.snapshot.";
const BACK_CONTENT: &str = "containerd.io/gc.bref.content";
const BACK_IMAGE: &str = "containerd.io/gc.bref.image";
const BACK_CONTAINER: &str = "containerd.io/gc.bref.container";
const BACK_SNAPSHOT: &str = "containerd.io/gc.bref.snapshot.";

/// A reference in a label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Edge {
    /// A blob.
    Content(Digest),
    /// A snapshot of a snapshotter, by key or name.
    Snapshot {
        /// The snapshotter, `overlayfs` for example.
        snapshotter: String,
        /// The snapshot's key or name in it.
        key: String,
    },
    /// An image, by name.
    Image(String),
}

impl Edge {
    /// The type of the resource in garbage collection and leases: `content`, `images`, `snapshots/<snapshotter>`.
    pub fn resource_type(&self) -> String {
        match self {
            Edge::Content(_) => "content".to_owned(),
            Edge::Snapshot { snapshotter, .. } => format!("snapshots/{snapshotter}"),
            Edge::Image(_) => "images".to_owned(),
        }
    }

    /// The resource's key within its type.
    pub fn key(&self) -> &str {
        match self {
            Edge::Content(digest) => digest.as_str(),
            Edge::Snapshot { key, .. } => key,
            Edge::Image(name) => name,
        }
    }
}

/// Whether the labels make their object a root.
pub fn is_root(labels: &Labels) -> bool {
    labels.get(ROOT).is_some_and(|value| !value.is_empty())
}

/// Whether the expiry in the labels is before `now`. A time that does not parse is ignored.
pub fn has_expired(labels: &Labels, now: SystemTime) -> bool {
    let end = labels.get(EXPIRE).and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    end.is_some_and(|end| SystemTime::from(end) < now)
}

/// The references in an object's labels. Labels that do not parse are ignored.
pub fn edges(labels: &Labels) -> impl Iterator<Item = Edge> + '_ {
    labels.iter().filter(|(_, value)| !value.is_empty()).filter_map(|(key, value)| {
        if is_or_extends(key, REF_CONTENT) {
            return value.parse().ok().map(Edge::Content);
        }
        if is_or_extends(key, REF_IMAGE) {
            return Some(Edge::Image(value.clone()));
        }
        let snapshotter =
            key.strip_prefix(REF_SNAPSHOT)?.split('/').next().filter(|name| !name.is_empty())?;
        Some(Edge::Snapshot { snapshotter: snapshotter.to_owned(), key: value.clone() })
    })
}

/// The objects that keep this one, by its back references: their resource type, as in [`Edge::resource_type`] or
/// `containers`, and their key.
pub fn back_references(labels: &Labels) -> impl Iterator<Item = (String, &str)> + '_ {
    labels.iter().filter(|(_, value)| !value.is_empty()).filter_map(|(key, value)| {
        let resource_type = if is_or_extends(key, BACK_CONTENT) {
            "content".to_owned()
        } else if is_or_extends(key, BACK_IMAGE) {
            "images".to_owned()
        } else if is_or_extends(key, BACK_CONTAINER) {
            "containers".to_owned()
        } else {
            let snapshotter =
                key.strip_prefix(BACK_SNAPSHOT)?.split('/').next().filter(|name| !name.is_empty())?;
            format!("snapshots/{snapshotter}")
        };
        Some((resource_type, value.as_str()))
    })
}

/// Whether `key` is the prefix itself, or the prefix and a suffix after `.` or `/`.
fn is_or_extends(key: &str, prefix: &str) -> bool {
    key.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '/']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_from_labels() {
        let digest = Digest::sha256(b"x");
        let labels = Labels::from([
            ("containerd.io/gc.ref.content", digest.as_str()),
            ("containerd.io/gc.ref.content.l.0", digest.as_str()),
            ("containerd.io/gc.ref.content/c", digest.as_str()),
            ("containerd.io/gc.ref.contents", digest.as_str()),
            ("containerd.io/gc.ref.content.bad", "sha256:zz"),
            ("containerd.io/gc.ref.snapshot.overlayfs", "top"),
            ("containerd.io/gc.ref.snapshot.native/2", "other"),
            ("containerd.io/gc.ref.snapshot.", "nowhere"),
            ("containerd.io/gc.ref.image.x", "docker.io/library/x:1"),
            ("other", "1"),
        ]);
        let snapshot = |s: &str, k: &str| Edge::Snapshot { snapshotter: s.into(), key: k.into() };
        let mut found: Vec<Edge> = edges(&labels).collect();
        found.sort();
        assert_eq!(
            found,
            vec![
                Edge::Content(digest.clone()),
                Edge::Content(digest.clone()),
                Edge::Content(digest),
                snapshot("native", "other"),
                snapshot("overlayfs", "top"),
                Edge::Image("docker.io/library/x:1".into()),
            ]
        );
        assert!(back_references(&labels).next().is_none());
        let back = Labels::from([
            ("containerd.io/gc.bref.container.x", "c1"),
            ("containerd.io/gc.bref.snapshot.native", "s1"),
        ]);
        let found: Vec<_> = back_references(&back).collect();
        assert_eq!(found, [("containers".to_owned(), "c1"), ("snapshots/native".to_owned(), "s1")]);
        assert!(!is_root(&labels));
        let now = SystemTime::now();
        let until = |time| has_expired(&Labels::from([(EXPIRE, time)]), now);
        assert!(until("2001-01-01T00:00:00Z") && !until("2901-01-01T00:00:00+01:00") && !until("soon"));
        assert!(!has_expired(&labels, now));
        assert!(is_root(&Labels::from([(ROOT, "2026-01-01T00:00:00Z")])));
    }
}
