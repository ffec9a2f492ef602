//! The cgroup path of a container.

use std::path::{Path, PathBuf};

use crate::Facts;

/// The path below each hierarchy's root; with systemd, a scope in a slice. An empty `parent` is Docker's default.
pub fn path(parent: &str, id: &str, facts: &Facts) -> PathBuf {
    if facts.systemd {
        let slice = if parent.is_empty() { "system.slice" } else { parent };
        if let Some(slice) = gantry_systemd::slice_path(slice) {
            return PathBuf::from(format!("{slice}/docker-{id}.scope"));
        }
    }
    let parent = if parent.is_empty() { "/docker" } else { parent };
    Path::new("/").join(parent).join(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_systemd_keeps_cgroups_a_container_is_a_scope() {
        let facts = Facts { cgroup_v2: true, systemd: true, ..Facts::plain() };
        assert_eq!(path("", "1f", &facts), Path::new("/system.slice/docker-1f.scope"));
        assert_eq!(path("a-b.slice", "1f", &facts), Path::new("/a.slice/a-b.slice/docker-1f.scope"));
        assert_eq!(path("a-b.slice", "1f", &Facts::plain()), Path::new("/a-b.slice/1f"));
        assert_eq!(path("", "1f", &Facts::plain()), Path::new("/docker/1f"));
    }
}
