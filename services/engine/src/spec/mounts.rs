//! Converts a record's mounts.

use gantry_spec::{Access, Bind, Mount, Source};

use crate::record::{MountRecord, Record};

/// The mounts over the root.
pub fn wanted(record: &Record) -> Vec<Mount> {
    let mount = |own: &MountRecord| Mount {
        destination: own.point.destination.clone(),
        source: if own.is_tmpfs() {
            Source::Tmpfs(own.options.clone())
        } else {
            Source::Bind(bind(own, record.recursive_read_only))
        },
    };
    record.mounts.iter().map(mount).collect()
}

fn bind(own: &MountRecord, recursive_read_only: bool) -> Bind {
    let recursive = own.read_only_force_recursive || (recursive_read_only && !own.read_only_non_recursive);
    Bind {
        source: own.source(),
        part: own.subpath.clone().into(),
        recursive: !own.non_recursive,
        access: if own.point.rw {
            Access::ReadWrite
        } else if recursive && !own.non_recursive && own.point.r#type == "bind" {
            Access::ReadOnlyRecursive
        } else {
            Access::ReadOnly
        },
        propagation: own.point.propagation.clone(),
    }
}
