//! The present engine reads databases that released engines have written. `data/0.1.0` is a database that the store
//! of 0.1.0 wrote: a container with every field of that release set, a default container in each state, volumes, and
//! execs.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use gantry_api::engine::{
    BindOptions, ContainerConfig, DeviceMapping, DeviceRequest, EndpointSettings, ExecSpec, HealthConfig,
    HostConfig, LogConfig, Mount, MountPoint, PortBinding, Resources, RestartPolicy, ThrottleDevice,
    TmpfsOptions, Ulimit, VolumeOptions, WeightDevice,
};
use gantry_disk::Table;
use gantry_engine::container::life::{Memory, Past, Pause, Phase, Running};
use gantry_engine::record::{
    ExecRecord, LinkRecord, MountRecord, Record, Stage, VolumeRecord,
    stored::{self, StateRecord},
};
use gantry_engine::store::Store;
use prost::Message;

/// A copy of the release's database that the test may change.
fn database(release: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/data").join(release);
    std::fs::create_dir(directory.path().join("db")).expect("made");
    std::fs::copy(data.join("db.copy"), directory.path().join("db.copy")).expect("copied");
    for file in std::fs::read_dir(data.join("db")).expect("the release's").flatten() {
        std::fs::copy(file.path(), directory.path().join("db").join(file.file_name())).expect("copied");
    }
    directory
}

fn open(directory: &tempfile::TempDir) -> Store {
    Store::open(&directory.path().join("db"), &[]).expect("opened")
}

#[tokio::test]
async fn what_0_1_0_has_written_is_read_as_it_was() {
    let directory = database("0.1.0");
    let store = open(&directory);
    assert_eq!(store.identity().await.expect("read"), IDENTITY);
    let mut containers = store.containers().await.expect("readable");
    containers.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    let mut expected = expected();
    expected.sort_by(|(a, ..), (b, ..)| a.name.cmp(&b.name));
    assert_eq!(containers.len(), expected.len());
    for ((record, life), (expected, phase, past)) in containers.iter().zip(&expected) {
        assert_eq!(record, expected);
        assert_eq!((life.phase(), life.past()), (phase, past), "{}", record.name);
    }
    assert_eq!(store.volumes().await.expect("readable"), volumes());
    assert_eq!(store.execs().await.expect("readable"), execs());
}

#[tokio::test]
async fn what_is_written_back_is_the_same() {
    let directory = database("0.1.0");
    let store = open(&directory);
    let before = written(&store);
    for (record, life) in store.containers().await.expect("readable") {
        store.put(&record, &life.recorded()).await.expect("written");
    }
    store.put_volumes(&store.volumes().await.expect("readable")).await.expect("written");
    for exec in store.execs().await.expect("readable") {
        store.put_exec(&exec).await.expect("written");
    }
    assert_eq!(written(&store), before);
    drop(store);
    // The next start changes nothing.
    assert_eq!(written(&open(&directory)), before);
}

/// The whole content, as bytes.
fn written(store: &Store) -> Vec<(String, Vec<u8>)> {
    fn of<T: Message + Default>(table: &Table<String, T>) -> Vec<(String, Vec<u8>)> {
        let all = table.scan_all().expect("readable");
        all.into_iter()
            .map(|(key, value)| (format!("{} {key}", table.name()), value.encode_to_vec()))
            .collect()
    }
    let database = store.database();
    let mut all = of::<stored::Container>(&database.table("containers"));
    all.extend(of::<StateRecord>(&database.table("states")));
    all.extend(of::<VolumeRecord>(&database.table("volumes")));
    all.extend(of::<stored::Exec>(&database.table("execs")));
    assert_eq!(all.len(), 25);
    all
}

const IDENTITY: &str = "445b6cfa-a117-4d2f-9d39-394c7a004d8c";
const AT: i64 = 1_700_000_000_000_000_000;

fn s(text: &str) -> String {
    text.to_owned()
}

fn l(list: &[&str]) -> Vec<String> {
    list.iter().map(|one| s(one)).collect()
}

fn m(list: &[(&str, &str)]) -> HashMap<String, String> {
    list.iter().map(|(key, value)| (s(key), s(value))).collect()
}

fn b(list: &[(&str, &str)]) -> BTreeMap<String, String> {
    list.iter().map(|(key, value)| (s(key), s(value))).collect()
}

fn id(digit: char) -> String {
    digit.to_string().repeat(64)
}

fn throttle(path: &str, rate: u64) -> Vec<ThrottleDevice> {
    vec![ThrottleDevice { path: s(path), rate }]
}

fn running(pid: u32, pause: Pause) -> Phase {
    Phase::Running(Running { pid, pause, ..Running::default() })
}

fn expected() -> Vec<(Record, Phase, Past)> {
    let started = Past {
        begun_at: AT + 3,
        started_at: AT + 3,
        networks: b(&[("bridge", &id('9'))]),
        ..Past::default()
    };
    let ended = Past { finished_at: AT + 6, ..started.clone() };
    let complete = Past {
        exit_code: 137,
        error: s("boom"),
        begun_at: AT + 4,
        started_at: AT + 4,
        finished_at: AT + 5,
        restart_count: 3,
        stopped_by_hand: true,
        networks: b(&[("front", &id('9')), ("back", &id('7'))]),
        memory: Memory::RanOutTold,
    };
    let failed = Past { exit_code: 127, error: s("no such device"), ..Past::default() };
    let empty = Record {
        config: ContainerConfig::default(),
        host: HostConfig::default(),
        networks: BTreeMap::new(),
        ..plain('0', "empty", Stage::Ready)
    };
    let restarting = Past { restart_count: 2, exit_code: 1, ..ended.clone() };
    let exited = Past { exit_code: 143, stopped_by_hand: true, ..ended };
    vec![
        (full(), running(4711, Pause::No), complete),
        (plain('1', "created", Stage::Ready), Phase::Created, Past::default()),
        (plain('2', "running", Stage::Ready), running(12, Pause::No), started.clone()),
        (plain('3', "paused", Stage::Ready), running(13, Pause::ByHand), started.clone()),
        (plain('4', "restarting", Stage::Ready), Phase::Restarting { held: false }, restarting),
        (plain('5', "exited", Stage::Ready), Phase::Exited, exited),
        (plain('6', "removing", Stage::Removing), Phase::Removing, started.clone()),
        (plain('7', "dead", Stage::Removing), Phase::Dead, started),
        (plain('8', "creating", Stage::Creating), Phase::Created, Past::default()),
        (empty, Phase::Created, failed),
    ]
}

fn volumes() -> Vec<VolumeRecord> {
    vec![
        VolumeRecord {
            name: s("data"),
            driver: s("local"),
            created_at: AT + 7,
            labels: b(&[("vl", "1")]),
            options: b(&[("type", "nfs"), ("o", "addr=10.0.0.1,rw"), ("device", ":/export")]),
            anonymous: false,
        },
        VolumeRecord {
            name: id('d'),
            driver: s("local"),
            created_at: AT + 8,
            anonymous: true,
            ..Default::default()
        },
    ]
}

fn execs() -> Vec<ExecRecord> {
    let asked = ExecSpec {
        container: s("web"),
        attach_stdin: true,
        attach_stdout: true,
        attach_stderr: true,
        detach_keys: s("ctrl-p"),
        tty: true,
        env: l(&["A=b"]),
        cmd: l(&["ls", "-l"]),
        privileged: true,
        user: s("1000"),
        working_dir: s("/tmp"),
        console_height: 25,
        console_width: 81,
    };
    let bare = ExecSpec { container: id('2'), cmd: l(&["true"]), ..Default::default() };
    let unstarted = format!("{}0", "f".repeat(63));
    vec![
        ExecRecord {
            id: id('e'),
            container: id('a'),
            spec: asked,
            started: true,
            pid: 4712,
            exit_code: None,
        },
        ExecRecord {
            id: unstarted,
            container: id('2'),
            spec: bare.clone(),
            started: false,
            pid: 0,
            exit_code: None,
        },
        ExecRecord { id: id('f'), container: id('2'), spec: bare, started: true, pid: 0, exit_code: Some(0) },
    ]
}

fn full() -> Record {
    let config = ContainerConfig {
        hostname: s("web-host"),
        domainname: s("example.org"),
        user: s("1000:1001"),
        attach_stdin: true,
        attach_stdout: true,
        attach_stderr: true,
        exposed_ports: l(&["80/tcp", "53/udp"]),
        tty: true,
        open_stdin: true,
        stdin_once: true,
        env: l(&["PATH=/bin", "EMPTY="]),
        cmd: Some(l(&["-c", "serve"])),
        entrypoint: Some(l(&["/bin/sh"])),
        healthcheck: Some(HealthConfig {
            test: l(&["CMD", "true"]),
            interval: 1_000_000_001,
            timeout: 2_000_000_002,
            start_period: 3_000_000_003,
            start_interval: 4_000_000_004,
            retries: 5,
        }),
        image: s("busybox:1.36"),
        volumes: l(&["/data", "/cache"]),
        working_dir: s("/srv"),
        network_disabled: true,
        mac_address: s("02:42:ac:11:00:02"),
        labels: m(&[("com.example.a", "1"), ("com.example.b", "")]),
        stop_signal: s("SIGQUIT"),
        stop_timeout: Some(-1),
        shell: l(&["/bin/ash", "-c"]),
        on_build: l(&["RUN true"]),
    };
    let resources = Resources {
        cpu_shares: 101,
        memory: 102 << 20,
        nano_cpus: 103,
        cgroup_parent: s("/gantry.parent"),
        blkio_weight: 104,
        blkio_weight_device: vec![WeightDevice { path: s("/dev/sda"), weight: 105 }],
        blkio_device_read_bps: throttle("/dev/sdb", 106),
        blkio_device_write_bps: throttle("/dev/sdc", 107),
        blkio_device_read_iops: throttle("/dev/sdd", 108),
        blkio_device_write_iops: throttle("/dev/sde", 109),
        cpu_period: 110,
        cpu_quota: 111,
        cpu_realtime_period: 112,
        cpu_realtime_runtime: 113,
        cpuset_cpus: s("0-1"),
        cpuset_mems: s("0"),
        devices: vec![DeviceMapping {
            path_on_host: s("/dev/null"),
            path_in_container: s("/dev/nothing"),
            cgroup_permissions: s("rw"),
        }],
        device_cgroup_rules: l(&["c 1:3 mr"]),
        device_requests: vec![DeviceRequest {
            driver: s("nvidia"),
            count: -1,
            device_ids: l(&["0", "1"]),
            capabilities: vec![l(&["gpu", "compute"]), l(&["utility"])],
            options: m(&[("o", "p")]),
        }],
        kernel_memory_tcp: 114,
        memory_reservation: 115,
        memory_swap: 116,
        memory_swappiness: Some(0),
        oom_kill_disable: Some(true),
        pids_limit: Some(117),
        ulimits: vec![Ulimit { name: s("nofile"), soft: 118, hard: 119 }],
    };
    let host = HostConfig {
        binds: l(&["/srv:/srv:ro", "data:/data"]),
        container_id_file: s("/run/id"),
        log_config: Some(LogConfig {
            r#type: s("local"),
            config: m(&[("max-size", "1m"), ("max-file", "3")]),
        }),
        network_mode: s("front"),
        port_bindings: HashMap::from([
            (
                s("80/tcp"),
                vec![
                    PortBinding { host_ip: s("127.0.0.1"), host_port: s("8080") },
                    PortBinding { host_ip: s(""), host_port: s("8000-8010") },
                ],
            ),
            (s("53/udp"), vec![]),
        ]),
        restart_policy: Some(RestartPolicy { name: s("on-failure"), maximum_retry_count: 7 }),
        auto_remove: true,
        volume_driver: s("local"),
        volumes_from: l(&["other:ro"]),
        console_height: 24,
        console_width: 80,
        annotations: m(&[("org.example", "yes")]),
        cap_add: l(&["CAP_NET_ADMIN"]),
        cap_drop: l(&["CAP_MKNOD"]),
        cgroupns_mode: s("private"),
        dns: l(&["9.9.9.9"]),
        dns_options: l(&["ndots:1"]),
        dns_search: l(&["example.org"]),
        extra_hosts: l(&["db:10.0.0.1"]),
        group_add: l(&["audio"]),
        ipc_mode: s("shareable"),
        cgroup: s("cg"),
        links: l(&["/db:/web/db"]),
        oom_score_adj: -5,
        pid_mode: s("host"),
        privileged: true,
        publish_all_ports: true,
        readonly_rootfs: true,
        security_opt: l(&["no-new-privileges"]),
        storage_opt: m(&[("size", "1g")]),
        tmpfs: m(&[("/run", "size=1m")]),
        uts_mode: s("host"),
        userns_mode: s("host"),
        shm_size: 64 << 20,
        sysctls: m(&[("net.core.somaxconn", "1024")]),
        runtime: s("runc"),
        isolation: s("default"),
        resources: Some(resources),
        mounts: vec![
            Mount {
                r#type: s("bind"),
                source: s("/srv"),
                target: s("/srv"),
                read_only: true,
                consistency: s("cached"),
                bind_options: Some(BindOptions {
                    propagation: s("rslave"),
                    non_recursive: true,
                    create_mountpoint: true,
                    read_only_non_recursive: true,
                    read_only_force_recursive: true,
                }),
                ..Default::default()
            },
            Mount {
                r#type: s("volume"),
                source: s("data"),
                target: s("/data"),
                volume_options: Some(VolumeOptions {
                    no_copy: true,
                    labels: m(&[("vl", "1")]),
                    subpath: s("sub"),
                    driver: s("local"),
                    driver_options: m(&[("type", "tmpfs")]),
                }),
                ..Default::default()
            },
            Mount {
                r#type: s("tmpfs"),
                target: s("/tmp"),
                tmpfs_options: Some(TmpfsOptions {
                    size_bytes: 4096,
                    mode: 0o1777,
                    options: vec![l(&["exec"]), l(&["uid", "1000"])],
                }),
                ..Default::default()
            },
            Mount {
                r#type: s("image"),
                source: s("busybox"),
                target: s("/image"),
                image_subpath: s("bin"),
                ..Default::default()
            },
        ],
        masked_paths: Some(l(&["/proc/kcore"])),
        readonly_paths: Some(vec![]),
        init: Some(false),
    };
    let endpoint = EndpointSettings {
        ipam_ipv4_address: s("10.1.0.9"),
        ipam_ipv6_address: s("fd00::9"),
        link_local_ips: l(&["169.254.1.1"]),
        has_ipam_config: true,
        links: l(&["db:database"]),
        aliases: l(&["www", "w3"]),
        mac_address: s("02:42:0a:01:00:09"),
        driver_opts: m(&[("com.docker.network.endpoint.sysctls", "x")]),
        gw_priority: -3,
        network_id: id('9'),
        endpoint_id: id('8'),
        gateway: s("10.1.0.1"),
        ip_address: s("10.1.0.9"),
        ip_prefix_len: 16,
        ipv6_gateway: s("fd00::1"),
        global_ipv6_address: s("fd00::9"),
        global_ipv6_prefix_len: 64,
        dns_names: l(&["web", "www"]),
    };
    let mount = MountRecord {
        point: MountPoint {
            r#type: s("volume"),
            name: s("data"),
            source: s("/var/lib/gantry/engine/volumes/data/_data"),
            destination: s("/data"),
            driver: s("local"),
            mode: s("z"),
            rw: true,
            propagation: s("rprivate"),
        },
        options: l(&["size=1m", "mode=700"]),
        anonymous: true,
        no_copy: true,
        subpath: s("sub"),
        non_recursive: true,
        read_only_non_recursive: true,
        hidden: true,
        read_only_force_recursive: true,
        device: s("/mnt/elsewhere"),
        tmpfs_volume: true,
        volume_options: b(&[("type", "tmpfs")]),
        volume_labels: b(&[("vl", "1")]),
        make_source: true,
        elsewhere: true,
        snapshot: s("view-1"),
        snapshotter: s("native"),
        chain_id: s("sha256:cc"),
    };
    let plain = MountRecord {
        point: MountPoint {
            r#type: s("bind"),
            source: s("/srv"),
            destination: s("/srv"),
            propagation: s("rslave"),
            ..Default::default()
        },
        ..Default::default()
    };
    Record {
        id: id('a'),
        name: s("web"),
        stage: Stage::Ready,
        created_at: 1_700_000_000_000_000_001,
        config,
        host,
        networks: BTreeMap::from([(s("back"), EndpointSettings::default()), (s("front"), endpoint)]),
        mounts: vec![mount, plain],
        image_id: s("sha256:11"),
        manifest_digest: s("sha256:22"),
        manifest_size: 1234,
        manifest_media_type: s("application/vnd.oci.image.manifest.v1+json"),
        image_name: s("docker.io/library/busybox:1.36"),
        command: l(&["/bin/sh", "-c", "serve"]),
        platform: s("linux"),
        snapshotter: s("overlayfs"),
        chain_id: s("sha256:33"),
        recursive_read_only: true,
        keep_volumes: true,
        links: vec![LinkRecord { child: id('b'), name: s("db"), alias: s("database") }],
    }
}

/// The record of a container that was created with defaults only.
fn plain(digit: char, name: &str, stage: Stage) -> Record {
    Record {
        id: id(digit),
        name: s(name),
        stage,
        created_at: 1_700_000_000_000_000_002,
        config: ContainerConfig {
            hostname: s("plain"),
            image: s("busybox"),
            cmd: Some(l(&["sh"])),
            ..Default::default()
        },
        host: HostConfig {
            network_mode: s("bridge"),
            log_config: Some(LogConfig { r#type: s("json-file"), ..Default::default() }),
            restart_policy: Some(RestartPolicy { name: s("no"), ..Default::default() }),
            resources: Some(Resources { oom_kill_disable: Some(false), ..Default::default() }),
            masked_paths: Some(l(&["/proc/acpi", "/proc/kcore"])),
            readonly_paths: Some(l(&["/proc/bus"])),
            ..Default::default()
        },
        networks: BTreeMap::from([(s("bridge"), EndpointSettings::default())]),
        image_id: s("sha256:11"),
        image_name: s("docker.io/library/busybox:latest"),
        command: l(&["sh"]),
        platform: s("linux"),
        snapshotter: s("overlayfs"),
        ..Default::default()
    }
}
