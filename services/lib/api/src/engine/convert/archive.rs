//! Files of containers.

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

impl From<PutSpec> for pb::data_request::ArchivePut {
    fn from(spec: PutSpec) -> Self {
        pb::data_request::ArchivePut {
            container: spec.container,
            path: spec.path,
            no_overwrite_dir_non_dir: spec.no_overwrite_dir_non_dir,
            copy_uid_gid: spec.copy_uid_gid,
        }
    }
}

impl From<pb::data_request::ArchivePut> for PutSpec {
    fn from(spec: pb::data_request::ArchivePut) -> Self {
        PutSpec {
            container: spec.container,
            path: spec.path,
            no_overwrite_dir_non_dir: spec.no_overwrite_dir_non_dir,
            copy_uid_gid: spec.copy_uid_gid,
        }
    }
}
