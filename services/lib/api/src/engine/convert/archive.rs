//! Conversions of files in containers.

use gantry_proto::gantry::engine::v1 as pb;

use super::{moment, nanoseconds};
use crate::engine::{PathStat, PutSpec};

impl From<PathStat> for pb::PathStat {
    fn from(stat: PathStat) -> Self {
        pb::PathStat {
            name: stat.name,
            size: stat.size,
            mode: stat.mode,
            mtime: Some(moment(stat.mtime)),
            link_target: stat.link_target,
        }
    }
}

impl From<pb::PathStat> for PathStat {
    fn from(stat: pb::PathStat) -> Self {
        PathStat {
            name: stat.name,
            size: stat.size,
            mode: stat.mode,
            mtime: nanoseconds(stat.mtime),
            link_target: stat.link_target,
        }
    }
}

alike!(PutSpec, pb::data_request::ArchivePut { container, path, no_overwrite_dir_non_dir, copy_uid_gid });
