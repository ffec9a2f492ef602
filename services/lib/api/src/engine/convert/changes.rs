//! Conversions of differences between a container and its image.

use gantry_proto::gantry::engine::v1::changes_response as pb;

use crate::engine::{Change, ChangeKind};

impl From<Change> for pb::Change {
    fn from(change: Change) -> Self {
        pb::Change { path: change.path, kind: pb::Kind::from(change.kind).into() }
    }
}

impl From<pb::Change> for Change {
    fn from(change: pb::Change) -> Self {
        Change { kind: change.kind().into(), path: change.path }
    }
}

impl From<ChangeKind> for pb::Kind {
    fn from(kind: ChangeKind) -> Self {
        match kind {
            ChangeKind::Modified => pb::Kind::Modified,
            ChangeKind::Added => pb::Kind::Added,
            ChangeKind::Deleted => pb::Kind::Deleted,
        }
    }
}

impl From<pb::Kind> for ChangeKind {
    fn from(kind: pb::Kind) -> Self {
        match kind {
            pb::Kind::Modified => ChangeKind::Modified,
            pb::Kind::Added => ChangeKind::Added,
            pb::Kind::Deleted => ChangeKind::Deleted,
        }
    }
}
