//! The whole specification of a plain container, and what single settings change of it.

use std::path::{Path, PathBuf};

use super::*;
use crate::record::{MountRecord, Record};

fn facts() -> HostFacts {
    HostFacts {
        cgroup_v2: false,
        systemd: false,
        swap_limit: true,
        apparmor: false,
        seccomp: true,
        hostname: "machine".to_owned(),
    }
}

fn record() -> Record {
    Record {
        id: "f".repeat(64),
        name: "web".to_owned(),
        command: vec!["/bin/sh".to_owned(), "-c".to_owned(), "true".to_owned()],
        config: pb::ContainerConfig {
            hostname: "web".to_owned(),
            env: vec!["A=1".to_owned()],
            ..Default::default()
        },
        host: pb::HostConfig {
            masked_paths: Some(pb::StringList { values: default_masked_paths() }),
            readonly_paths: Some(pb::StringList { values: default_readonly_paths() }),
            ..Default::default()
        },
        ..Default::default()
    }
}

fn made(record: &Record) -> Spec {
    let facts = facts();
    let around = Surroundings {
        host: &facts,
        netns: Netns::Path(PathBuf::from("/run/gantry/netns/x")),
        shared: Shared::default(),
        files: Some(RuntimeFiles {
            hosts: "/c/hosts".into(),
            hostname: "/c/hostname".into(),
            resolv_conf: "/c/resolv.conf".into(),
        }),
        init: Path::new("/usr/bin/shim"),
        shm: None,
        variables: Vec::new(),
    };
    build(record, &around).expect("a valid record")
}

fn destinations(spec: &Spec) -> Vec<String> {
    let mounts = spec.mounts().clone().unwrap_or_default();
    mounts.iter().map(|mount| mount.destination().display().to_string()).collect()
}

#[test]
fn a_plain_container_has_dockers_defaults() {
    let spec = made(&record());
    assert_eq!(
        destinations(&spec),
        [
            "/proc",
            "/dev",
            "/dev/pts",
            "/sys",
            "/sys/fs/cgroup",
            "/dev/mqueue",
            "/dev/shm",
            "/etc/resolv.conf",
            "/etc/hostname",
            "/etc/hosts",
        ]
    );
    let process = spec.process().clone().expect("a process");
    assert_eq!(process.args().clone().unwrap_or_default(), ["/bin/sh", "-c", "true"]);
    assert_eq!(
        process.env().clone().unwrap_or_default(),
        ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=web", "A=1"]
    );
    assert_eq!(process.cwd(), Path::new("/"));
    let linux = spec.linux().clone().expect("linux");
    let kinds: Vec<String> =
        linux.namespaces().clone().unwrap_or_default().iter().map(|one| one.typ().to_string()).collect();
    assert_eq!(kinds, ["mnt", "net", "pid", "ipc", "uts"]);
    assert_eq!(linux.cgroups_path().clone(), Some(Path::new("/docker").join("f".repeat(64))));
    assert!(linux.seccomp().is_some());
    assert_eq!(linux.readonly_paths().clone().map(|paths| paths.len()), Some(5));
    assert_eq!(
        spec.annotations().clone().unwrap_or_default().get(USER_ANNOTATION).map(String::as_str),
        Some("0")
    );
}

#[test]
fn privileged_lifts_the_filter_and_opens_devices() {
    let mut record = record();
    record.host.privileged = true;
    record.host.masked_paths = Some(pb::StringList::default());
    let spec = made(&record);
    let linux = spec.linux().clone().expect("linux");
    assert!(linux.seccomp().is_none());
    assert_eq!(linux.masked_paths().clone(), Some(Vec::new()));
    let resources = linux.resources().clone().expect("resources");
    let rules = resources.devices().clone().unwrap_or_default();
    assert_eq!(rules.len(), 1);
    assert!(rules[0].allow());
}

#[test]
fn host_namespaces_are_left_out() {
    let mut record = record();
    record.host.pid_mode = "host".to_owned();
    record.host.ipc_mode = "host".to_owned();
    record.host.uts_mode = "host".to_owned();
    let spec = made(&record);
    let linux = spec.linux().clone().expect("linux");
    let kinds: Vec<String> =
        linux.namespaces().clone().unwrap_or_default().iter().map(|one| one.typ().to_string()).collect();
    assert_eq!(kinds, ["mnt", "net"]);
    assert_eq!(spec.hostname().clone(), None);
}

#[test]
fn user_mounts_come_last_the_shallow_first_and_replace_the_systems() {
    let mut record = record();
    for destination in ["/data/deep", "/data", "/dev/shm"] {
        record.mounts.push(MountRecord {
            point: pb::MountPoint {
                r#type: "bind".to_owned(),
                source: "/src".to_owned(),
                destination: destination.to_owned(),
                rw: destination != "/data",
                ..Default::default()
            },
            ..Default::default()
        });
    }
    record.recursive_read_only = true;
    let spec = made(&record);
    let all = destinations(&spec);
    assert_eq!(all.iter().filter(|path| *path == "/dev/shm").count(), 1);
    let place = |path: &str| all.iter().position(|one| one == path);
    assert!(place("/data") < place("/data/deep"), "{all:?}");
    let mounts = spec.mounts().clone().unwrap_or_default();
    let data = mounts.iter().find(|mount| mount.destination() == Path::new("/data")).expect("mounted");
    assert_eq!(data.options().clone().unwrap_or_default(), ["rbind", "ro", "rro", "rprivate"]);
}

#[test]
fn init_goes_before_the_command() {
    let mut record = record();
    record.host.init = Some(true);
    let spec = made(&record);
    let args = spec.process().as_ref().and_then(|process| process.args().clone()).unwrap_or_default();
    assert_eq!(&args[..3], ["/sbin/docker-init", "--", "/bin/sh"]);
    assert!(destinations(&spec).contains(&"/sbin/docker-init".to_owned()));
}

#[test]
fn where_systemd_keeps_cgroups_a_container_is_a_scope() {
    let facts = HostFacts { cgroup_v2: true, systemd: true, ..facts() };
    let mut record = record();
    record.id = "1f".to_owned();
    assert_eq!(cgroups_path(&record, &facts), Path::new("/system.slice/docker-1f.scope"));
    record.host.resources =
        Some(pb::Resources { cgroup_parent: "a-b.slice".to_owned(), ..Default::default() });
    assert_eq!(cgroups_path(&record, &facts), Path::new("/a.slice/a-b.slice/docker-1f.scope"));
    let facts = HostFacts { systemd: false, ..facts };
    assert_eq!(cgroups_path(&record, &facts), Path::new("/a-b.slice/1f"));
}

#[test]
fn on_cgroup_v2_each_container_has_a_view_of_its_own() {
    for (cgroup_v2, mode, privileged, private) in [
        (true, "", false, true),
        (true, "", true, true),
        (true, "host", false, false),
        (false, "", false, false),
        (false, "private", false, true),
    ] {
        let host = pb::HostConfig { cgroupns_mode: mode.to_owned(), privileged, ..Default::default() };
        let facts = HostFacts { cgroup_v2, ..facts() };
        assert_eq!(private_cgroup_namespace(&host, &facts), private, "{cgroup_v2} {mode} {privileged}");
    }
}

#[test]
fn a_profile_is_the_default_unless_something_is_said() {
    let supported = HostFacts { apparmor: true, ..facts() };
    for (option, privileged, profile) in [
        ("", false, "docker-default"),
        ("", true, "unconfined"),
        ("apparmor=unconfined", false, "unconfined"),
        ("apparmor=mine", false, "mine"),
        ("apparmor=mine", true, "mine"),
    ] {
        let security_opt = Some(option).filter(|option| !option.is_empty()).map(str::to_owned);
        let host = pb::HostConfig {
            security_opt: security_opt.into_iter().collect(),
            privileged,
            ..Default::default()
        };
        let got = apparmor_profile(&host, &supported).expect("valid");
        assert_eq!(got.as_deref(), Some(profile), "{option} {privileged}");
        assert_eq!(apparmor_profile(&host, &facts()).expect("valid"), None, "where there is none");
        let mut record = record();
        record.host = host;
        let exec = exec_process(&record, &supported, &[], &pb::ExecCreateRequest::default()).expect("valid");
        assert_eq!(exec.apparmor_profile().as_deref(), Some(profile), "an exec's");
    }
}
