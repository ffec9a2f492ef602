//! Tests of the conversion from a record to a specification.

use super::*;
use crate::record::MountRecord;
use gantry_api::engine::MountPoint;
use gantry_spec::{Access, Source};

fn facts() -> Facts {
    Facts {
        cgroup_v2: false,
        systemd: false,
        swap_limit: true,
        apparmor: false,
        seccomp: true,
        hostname: "machine".to_owned(),
    }
}

fn record() -> Record {
    Record { id: "f".repeat(64), name: "web".to_owned(), ..Default::default() }
}

fn wanted(record: &Record, facts: &Facts) -> Container {
    let around = Surroundings {
        host: facts,
        netns: Namespace::Path("/run/gantry/netns/x".into()),
        shared: Shared { pid: None, ipc: Some("/proc/7/ns/ipc".into()) },
        files: None,
        init: Path::new("/usr/bin/shim"),
        shm: None,
        variables: Vec::new(),
    };
    container(record, &around).expect("a valid record")
}

#[test]
fn modes_become_namespaces() {
    let mut record = record();
    record.host.pid_mode = "host".to_owned();
    record.host.ipc_mode = "container:x".to_owned();
    let namespaces = wanted(&record, &facts()).namespaces;
    assert_eq!(namespaces.network, Namespace::Path("/run/gantry/netns/x".into()));
    assert_eq!(namespaces.pid, Namespace::Host);
    assert_eq!(namespaces.ipc, Namespace::Path("/proc/7/ns/ipc".into()));
    assert_eq!(namespaces.uts, Namespace::Own);
}

#[test]
fn on_cgroup_v2_each_container_has_a_view_of_its_own() {
    for (cgroup_v2, mode, privileged, expected) in [
        (true, "", false, Namespace::Own),
        (true, "", true, Namespace::Own),
        (true, "host", false, Namespace::Host),
        (false, "", false, Namespace::Host),
        (false, "private", false, Namespace::Own),
    ] {
        let mut record = record();
        record.host.cgroupns_mode = mode.to_owned();
        record.host.privileged = privileged;
        let facts = Facts { cgroup_v2, ..facts() };
        assert_eq!(wanted(&record, &facts).namespaces.cgroup, expected, "{cgroup_v2} {mode} {privileged}");
    }
}

#[test]
fn only_binds_are_read_only_all_the_way_down() {
    let mut record = record();
    record.recursive_read_only = true;
    let mount = |kind: &str, rw: bool| MountRecord {
        point: MountPoint { r#type: kind.to_owned(), rw, ..Default::default() },
        ..Default::default()
    };
    let alone = MountRecord { read_only_non_recursive: true, ..mount("bind", false) };
    record.mounts = vec![mount("bind", true), mount("bind", false), mount("volume", false), alone];
    let got = wanted(&record, &facts()).mounts;
    let access = got.iter().map(|mount| match &mount.source {
        Source::Bind(bind) => bind.access,
        Source::Tmpfs(_) => panic!("a bind"),
    });
    assert_eq!(
        access.collect::<Vec<_>>(),
        [Access::ReadWrite, Access::ReadOnlyRecursive, Access::ReadOnly, Access::ReadOnly]
    );
}

#[test]
fn init_needs_a_pid_namespace_of_its_own() {
    let mut record = record();
    record.host.init = Some(true);
    assert_eq!(wanted(&record, &facts()).init.as_deref(), Some(Path::new("/usr/bin/shim")));
    record.host.pid_mode = "host".to_owned();
    assert_eq!(wanted(&record, &facts()).init, None);
}

#[test]
fn without_ipc_there_is_no_shared_memory() {
    let mut record = record();
    record.host.shm_size = 4096;
    assert_eq!(wanted(&record, &facts()).shm, Shm::Own(4096));
    record.host.ipc_mode = "none".to_owned();
    assert_eq!(wanted(&record, &facts()).shm, Shm::None);
}
