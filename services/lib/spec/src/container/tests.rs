//! The whole spec of a plain container, and how single settings change it.

use std::path::Path;

use super::*;
use crate::{Access, Bind, Source, environment, masked};

fn plain() -> Container {
    Container {
        process: Process {
            args: ["/bin/sh", "-c", "true"].map(str::to_owned).to_vec(),
            env: environment::docker(&[], &["A=1".to_owned()], "web", false),
            ..Process::default()
        },
        cgroup: "/docker/f".into(),
        namespaces: Namespaces {
            network: Namespace::Path("/run/gantry/netns/x".into()),
            cgroup: Namespace::Host,
            ..Namespaces::default()
        },
        hostname: "web".to_owned(),
        files: Some(RuntimeFiles {
            hosts: "/c/hosts".into(),
            hostname: "/c/hostname".into(),
            resolv_conf: "/c/resolv.conf".into(),
        }),
        masked_paths: masked::hidden(),
        read_only_paths: masked::read_only(),
        ..Container::default()
    }
}

fn made(container: &Container) -> Spec {
    build(container, &Facts::plain()).expect("a valid container")
}

fn destinations(spec: &Spec) -> Vec<String> {
    let mounts = spec.mounts().clone().unwrap_or_default();
    mounts.iter().map(|mount| mount.destination().display().to_string()).collect()
}

fn namespaces(spec: &Spec) -> Vec<String> {
    let namespaces = spec.linux().as_ref().and_then(|linux| linux.namespaces().clone());
    namespaces.unwrap_or_default().iter().map(|one| one.typ().to_string()).collect()
}

#[test]
fn a_plain_container_has_dockers_defaults() {
    let spec = made(&plain());
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
    assert_eq!(namespaces(&spec), ["mnt", "net", "pid", "ipc", "uts"]);
    let linux = spec.linux().clone().expect("linux");
    assert_eq!(linux.cgroups_path().clone(), Some("/docker/f".into()));
    assert!(linux.seccomp().is_some());
    assert_eq!(linux.readonly_paths().clone().map(|paths| paths.len()), Some(5));
    assert_eq!(
        spec.annotations().clone().unwrap_or_default().get(USER_ANNOTATION).map(String::as_str),
        Some("0")
    );
}

#[test]
fn privileged_lifts_the_filter_and_opens_devices() {
    let mut container = plain();
    container.confinement.privileged = true;
    container.masked_paths.clear();
    let spec = made(&container);
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
    let mut container = plain();
    container.namespaces.pid = Namespace::Host;
    container.namespaces.ipc = Namespace::Host;
    container.namespaces.uts = Namespace::Host;
    let spec = made(&container);
    assert_eq!(namespaces(&spec), ["mnt", "net"]);
    assert_eq!(spec.hostname().clone(), None);
    let mounts = spec.mounts().clone().unwrap_or_default();
    assert_eq!(mounts[0].typ().as_deref(), Some("bind"), "the host's /proc is bound");
}

#[test]
fn user_mounts_come_last_the_shallow_first_and_replace_the_systems() {
    let mut container = plain();
    for (destination, access) in [
        ("/data/deep", Access::ReadWrite),
        ("/data", Access::ReadOnlyRecursive),
        ("/dev/shm", Access::ReadWrite),
    ] {
        let bind = Bind {
            source: "/src".into(),
            part: "".into(),
            recursive: true,
            access,
            propagation: String::new(),
        };
        container.mounts.push(Mount { destination: destination.to_owned(), source: Source::Bind(bind) });
    }
    let spec = made(&container);
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
    let spec = made(&Container { init: Some("/usr/bin/shim".into()), ..plain() });
    let args = spec.process().as_ref().and_then(|process| process.args().clone()).unwrap_or_default();
    assert_eq!(&args[..3], ["/sbin/docker-init", "--", "/bin/sh"]);
    assert!(destinations(&spec).contains(&"/sbin/docker-init".to_owned()));
}
