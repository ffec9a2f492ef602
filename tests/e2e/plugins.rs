//! Plugins by Docker's protocol: what they are asked, and what Docker's clients see of what they say, here and with the reference.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gantry_plugin_sdk::wire::authorization::{Question, Verdict};
use gantry_plugin_sdk::wire::{Nothing, network};
use gantry_plugin_sdk::{At, Error, Result, Server, interface, volume};
use gantry_tests::{Node, Setup, Side, binary, eventually, sides};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(20);

/// Settings by which plugins are looked for in the node's own root.
const ENGINE: &str = "[plugins]\nsockets = \"{root}/plugins\"\nspecs = []\n";

/// A node that looks for plugins in its own root.
fn node() -> Node {
    let node = Node::with(&Setup { settings: &[("engine", ENGINE)], ..Setup::default() });
    node.import_busybox();
    node
}

/// Where a daemon finds sockets, and a folder that it and the test have, by the name that each has for it.
struct Shared {
    sockets: PathBuf,
    here: PathBuf,
    there: PathBuf,
}

impl Shared {
    fn of(node: &Node, side: &Side) -> Shared {
        let shared = match side.who {
            "gantry" => {
                let here = node.root().join("shared");
                Shared { sockets: node.root().join("plugins"), there: here.clone(), here }
            }
            // The reference's socket is in its /run.
            _ => {
                let run = side.socket().parent().expect("a folder");
                let name = side.name("shared");
                Shared {
                    sockets: run.join("docker/plugins"),
                    here: run.join(&name),
                    there: Path::new("/run").join(name),
                }
            }
        };
        for folder in [&shared.sockets, &shared.here] {
            std::fs::create_dir_all(folder).expect("made");
        }
        shared
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Where it does not go, it is with the node's root.
        let _ = std::fs::remove_dir_all(&self.here);
    }
}

/// A server in this process, until it is dropped.
struct Served {
    shutdown: CancellationToken,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Served {
    fn start(server: Server, socket: PathBuf) -> Served {
        let (shutdown, at) = (CancellationToken::new(), At::Socket(socket.clone()));
        let ended = shutdown.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            runtime.block_on(server.serve_until(&at, ended)).expect("served");
        });
        eventually("the plugin is there", PATIENCE, || {
            std::os::unix::net::UnixStream::connect(&socket).map(drop).map_err(|error| error.to_string())
        });
        Served { shutdown, thread: Some(thread) }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.shutdown.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Keeps volumes in the shared folder and writes down what it is asked. What a volume is called decides what goes wrong.
#[derive(Clone)]
struct Recorder {
    here: PathBuf,
    there: PathBuf,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    fn new(shared: &Shared) -> Recorder {
        Recorder { here: shared.here.clone(), there: shared.there.clone(), asked: Arc::default() }
    }

    fn note(&self, what: String) {
        self.asked.lock().expect("no panic").push(what);
    }

    /// What was asked that changes something.
    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }

    fn there(&self, name: &str) -> volume::Volume {
        let mut volume = volume::Volume::at(name, &self.there.join(name));
        volume.created_at = "2026-01-02T03:04:05Z".to_owned();
        volume.status.insert("colour".to_owned(), "red".into());
        volume
    }
}

impl volume::Driver for Recorder {
    async fn create(&self, name: &str, options: &BTreeMap<String, String>) -> Result<()> {
        self.note(format!("create {name} {options:?}"));
        if name.ends_with("bad") {
            return Err(Error::new("bad luck"));
        }
        std::fs::create_dir_all(self.here.join(name)).map_err(Error::new)
    }

    async fn remove(&self, name: &str) -> Result<()> {
        self.note(format!("remove {name}"));
        if name.ends_with("kept") {
            return Err(Error::new("it stays"));
        }
        std::fs::remove_dir_all(self.here.join(name)).map_err(Error::new)
    }

    async fn mount(&self, name: &str, user: &str) -> Result<PathBuf> {
        self.note(format!("mount {name} {user}"));
        if name.ends_with("unmountable") {
            return Err(Error::new("no medium"));
        }
        if name.ends_with("slow") {
            tokio::time::sleep(Duration::from_secs(600)).await;
        }
        Ok(self.there.join(name))
    }

    async fn unmount(&self, name: &str, user: &str) -> Result<()> {
        self.note(format!("unmount {name} {user}"));
        Ok(())
    }

    async fn get(&self, name: &str) -> Result<volume::Volume> {
        match self.here.join(name).is_dir() {
            true => Ok(self.there(name)),
            false => Err(Error::new("no such volume")),
        }
    }

    async fn list(&self) -> Result<Vec<volume::Volume>> {
        let names = std::fs::read_dir(&self.here).map_err(Error::new)?.flatten();
        Ok(names.map(|entry| self.there(&entry.file_name().to_string_lossy())).collect())
    }
}

/// The users in records of mounts and unmounts.
fn users<'a>(asked: &'a [String], what: &str) -> Vec<&'a str> {
    asked.iter().filter_map(|one| one.strip_prefix(what)?.rsplit(' ').next()).collect()
}

#[test]
fn a_plugin_keeps_volumes_as_the_engine_does() {
    let node = node();
    for side in sides(&node) {
        let shared = Shared::of(&node, &side);
        let recorder = Recorder::new(&shared);
        let (driver, data) = (side.name("driver"), side.name("data"));
        let _served = Served::start(
            Server::new().volumes(recorder.clone()),
            shared.sockets.join(format!("{driver}.sock")),
        );
        side.docker(&["volume", "create", "-d", &driver, "-o", "a=b", "--label", "l=m", &data]).ok();
        let format = "{{.Driver}} {{.Mountpoint}} {{.Scope}} {{.Options.a}} {{.Labels.l}} {{.Status.colour}} {{.CreatedAt}}";
        let place = shared.there.join(&data);
        assert_eq!(
            side.docker(&["volume", "inspect", "-f", format, &data]).ok(),
            format!("{driver} {} local b m red 2026-01-02T03:04:05Z", place.display()),
            "{}",
            side.who
        );
        let mount = format!("{data}:/data");
        side.docker(&["run", "--rm", "-v", &mount, "busybox", "sh", "-c", "echo kept > /data/file"]).ok();
        assert_eq!(std::fs::read_to_string(shared.here.join(&data).join("file")).expect("written"), "kept\n");
        let long = format!("type=volume,src={data},dst=/data,volume-driver={driver}");
        let box_name = side.name("box");
        side.docker(&["run", "-d", "--name", &box_name, "--mount", &long, "busybox", "sleep", "1000"]).ok();
        assert_eq!(side.docker(&["exec", &box_name, "cat", "/data/file"]).ok(), "kept");
        let format = "{{range .Mounts}}{{.Driver}} {{.Name}} {{.Source}}{{end}}";
        assert_eq!(
            side.docker(&["inspect", "-f", format, &box_name]).ok(),
            format!("{driver} {data} {}", place.display()),
            "{}",
            side.who
        );
        let used = side.docker(&["volume", "rm", &data]).fails(1).trim().to_owned();
        assert!(used.contains("volume is in use"), "{used}");
        side.docker(&["rm", "-f", &box_name]).ok();
        let asked = recorder.asked();
        let (mounted, ended) =
            (users(&asked, &format!("mount {data}")), users(&asked, &format!("unmount {data}")));
        assert_eq!(mounted.len(), 2, "{}: {asked:?}", side.who);
        assert_eq!(mounted, ended, "{}: each user's end is told by the same id", side.who);
        assert_ne!(mounted[0], mounted[1], "{}", side.who);
        side.docker(&["volume", "rm", &data]).ok();
        assert!(!shared.here.join(&data).exists(), "{}", side.who);
        assert_eq!(
            asked.iter().filter(|one| one.starts_with("create")).count(),
            1,
            "{}: {asked:?}",
            side.who
        );
    }
}

#[test]
fn what_a_plugin_refuses_is_told_in_its_words() {
    let node = node();
    for side in sides(&node) {
        let shared = Shared::of(&node, &side);
        let driver = side.name("driver");
        let _served = Served::start(
            Server::new().volumes(Recorder::new(&shared)),
            shared.sockets.join(format!("{driver}.sock")),
        );
        let said = |text: &str| format!("Error response from daemon: {text}");
        let (bad, kept, unmountable) = (side.name("bad"), side.name("kept"), side.name("unmountable"));
        let error = side.docker(&["volume", "create", "-d", &driver, &bad]).fails(1).trim().to_owned();
        assert_eq!(error, said(&format!("create {bad}: bad luck")), "{}", side.who);
        side.docker(&["volume", "create", "-d", &driver, &kept]).ok();
        let error = side.docker(&["volume", "rm", &kept]).fails(1).trim().to_owned();
        assert_eq!(error, said(&format!("remove {kept}: it stays")), "{}", side.who);
        let other = side.docker(&["volume", "create", "-d", "local", &kept]).fails(1).trim().to_owned();
        let conflict = format!(
            "create {kept}: driver '{driver}' already has volume '{kept}': volume name must be unique"
        );
        assert_eq!(other, said(&conflict), "{}", side.who);
        side.docker(&["volume", "create", "-d", &driver, &unmountable]).ok();
        let mount = format!("{unmountable}:/x");
        let error = side.docker(&["run", "--rm", "-v", &mount, "busybox", "true"]).fails(125);
        assert!(error.contains("error while mounting volume '': no medium"), "{}: {error}", side.who);
        // Made and removed by others, without the engine's doing.
        let found = side.name("found");
        std::fs::create_dir(shared.here.join(&found)).expect("made");
        let listed = side.docker(&["volume", "ls", "-q", "--filter", &format!("driver={driver}")]).ok();
        assert!(listed.lines().any(|line| line == found), "{}: {listed}", side.who);
        side.docker(&["run", "--rm", "-v", &format!("{found}:/x"), "busybox", "touch", "/x/file"]).ok();
        assert!(shared.here.join(&found).join("file").exists(), "{}", side.who);
        std::fs::remove_dir_all(shared.here.join(&found)).expect("removed");
        let gone = side.docker(&["volume", "inspect", &found]).fails(1).trim().to_owned();
        assert!(gone.to_lowercase().contains("no such volume"), "{}: {gone}", side.who);
        side.docker(&["volume", "rm", "-f", &found, &unmountable]).ok();
        let nobody = side.name("nobody");
        let unknown = side.docker(&["volume", "create", "-d", &nobody, "xx"]).fails(1).trim().to_owned();
        let lookup =
            format!("create xx: error looking up volume plugin {nobody}: plugin \"{nobody}\" not found");
        assert_eq!(unknown.lines().last(), Some(said(&lookup).as_str()), "{}", side.who);
    }
}

#[test]
fn an_engine_that_dies_keeps_and_ends_what_it_has_mounted() {
    let node = node();
    let side = &sides(&node)[0];
    let shared = Shared::of(&node, side);
    let recorder = Recorder::new(&shared);
    let _served = Served::start(Server::new().volumes(recorder.clone()), shared.sockets.join("driver.sock"));
    let run = ["run", "-d", "--volume-driver", "driver"];
    node.docker(&[&run[..], &["--name", "box", "-v", "data:/data", "busybox", "sleep", "1000"]].concat())
        .ok();
    node.kill_service("engine");
    node.docker(&["exec", "box", "touch", "/data/file"]).ok();
    assert!(shared.here.join("data/file").exists());
    let asked = recorder.asked();
    assert_eq!(users(&asked, "unmount").len(), 0, "what runs has its volume: {asked:?}");
    node.docker(&["rm", "-f", "box"]).ok();
    let asked = recorder.asked();
    assert_eq!(users(&asked, "mount data"), users(&asked, "unmount data"), "{asked:?}");

    // In the middle of a mount that nobody has answered yet.
    node.docker(&[&["create"], &run[2..], &["--name", "late", "-v", "slow:/data", "busybox"]].concat()).ok();
    let starting = node.docker_started(&["start", "late"]);
    eventually("the plugin is asked", PATIENCE, || match users(&recorder.asked(), "mount slow").len() {
        0 => Err("not yet".to_owned()),
        _ => Ok(()),
    });
    node.kill_service("engine");
    starting.wait();
    eventually("the plugin hears that it is over", PATIENCE, || {
        let asked = recorder.asked();
        let same = users(&asked, "unmount slow") == users(&asked, "mount slow");
        same.then_some(()).ok_or_else(|| format!("{asked:?}"))
    });
}

#[test]
fn a_plugin_that_hangs_or_talks_nonsense_stops_nobody() {
    let node = node();
    let sockets = node.root().join("plugins");
    std::fs::create_dir_all(&sockets).expect("made");
    // It takes connections, and says nothing.
    let _silent = std::os::unix::net::UnixListener::bind(sockets.join("silent.sock")).expect("bound");
    let nonsense = std::os::unix::net::UnixListener::bind(sockets.join("nonsense.sock")).expect("bound");
    std::thread::spawn(move || {
        for stream in nonsense.incoming().flatten() {
            let _ = std::io::Write::write_all(&mut &stream, b"\0\xffHTTP? no\r\n\r\n");
        }
    });
    node.docker(&["volume", "create", "own"]).ok();
    let begun = Instant::now();
    assert_eq!(node.docker(&["volume", "ls", "-q"]).ok(), "own");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    node.docker(&["run", "--rm", "-v", "own:/x", "busybox", "true"]).ok();
    node.docker(&["volume", "rm", "own"]).ok();
    assert!(node.docker(&["info", "-f", "{{.Plugins.Volume}}"]).ok().contains("local"));
}

/// The plugin `volume-dir`, where a daemon runs; ended with this.
struct VolumeDir {
    process: Child,
    program: Option<PathBuf>,
}

impl VolumeDir {
    fn start(side: &Side, shared: &Shared, name: &str) -> VolumeDir {
        let (program, socket) = (binary("gantry-volume-dir"), shared.sockets.join(format!("{name}.sock")));
        let mut command = match side.who {
            "gantry" => {
                let mut command = Command::new(&program);
                command.arg("--socket").arg(&socket);
                command
            }
            // Where the reference's root is, its file systems are.
            _ => {
                std::fs::copy(&program, shared.here.with_extension("program")).expect("copied");
                let stream = std::os::unix::net::UnixStream::connect(side.socket()).expect("it listens");
                let daemon = rustix::net::sockopt::socket_peercred(&stream).expect("a peer").pid;
                let mut command = Command::new("nsenter");
                command.arg("-t").arg(daemon.as_raw_nonzero().to_string()).args(["-m", "-r", "-w", "--"]);
                command.arg(shared.there.with_extension("program")).args(["--name", name]);
                command
            }
        };
        let process = command.arg("--root").arg(&shared.there).spawn().expect("started");
        eventually("the plugin is there", PATIENCE, || {
            std::os::unix::net::UnixStream::connect(&socket).map(drop).map_err(|error| error.to_string())
        });
        let program = (side.who != "gantry").then(|| shared.here.with_extension("program"));
        VolumeDir { process, program }
    }
}

impl Drop for VolumeDir {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        self.program.take().map(std::fs::remove_file);
    }
}

#[test]
fn volume_dir_keeps_volumes_for_both() {
    let node = node();
    for side in sides(&node) {
        let shared = Shared::of(&node, &side);
        let (driver, data) = (side.name("dir"), side.name("data"));
        let plugin = VolumeDir::start(&side, &shared, &driver);
        let create = ["volume", "create", "-d", &driver];
        side.docker(&[&create[..], &["-o", "mode=1777", &data]].concat()).ok();
        let mount = format!("{data}:/data");
        let script = "stat -c %a /data; echo kept > /data/file";
        assert_eq!(side.docker(&["run", "--rm", "-v", &mount, "busybox", "sh", "-c", script]).ok(), "1777");
        // Killed and started again, it has what it had.
        drop(plugin);
        let _plugin = VolumeDir::start(&side, &shared, &driver);
        assert_eq!(side.docker(&["run", "--rm", "-v", &mount, "busybox", "cat", "/data/file"]).ok(), "kept");
        for (name, option, why) in [
            ("odd", "colour=red", "colour: no such option: there are gid, inodes, mode, size, uid"),
            ("odd", "size=ten", "size: \"ten\" is not a size, as 500m or 10g"),
        ] {
            let error =
                side.docker(&[&create[..], &["-o", option, name]].concat()).fails(1).trim().to_owned();
            assert_eq!(error, format!("Error response from daemon: create {name}: {why}"), "{}", side.who);
        }
        let error = side.docker(&[&create[..], &["../../etc"]].concat()).fails(1).trim().to_owned();
        assert!(error.contains("are allowed in a volume's name"), "{}: {error}", side.who);
        let listed = side.docker(&["volume", "ls", "-q", "--filter", &format!("driver={driver}")]).ok();
        assert_eq!(listed, data, "{}", side.who);
        side.docker(&["volume", "rm", &data]).ok();
        assert_eq!(std::fs::read_dir(&shared.here).expect("there").count(), 0, "{}", side.who);
    }
}

#[test]
fn nothing_passes_that_a_plugin_has_not_allowed() {
    // There before the gateway: what appears in its way later, it starts again for.
    let folder = tempfile::tempdir_in("/dev/shm").expect("a folder");
    let sockets = folder.path();
    let gateway =
        format!("authorization_plugins = [\"judge\"]\n[plugins]\nsockets = {sockets:?}\nspecs = []\n");
    let settings = [("gateway", gateway.as_str()), ("engine", ENGINE)];
    let asked: Arc<Mutex<Vec<(String, Question)>>> = Arc::default();
    let judge = |when: &'static str| {
        let asked = Arc::clone(&asked);
        move |question: Question| {
            asked.lock().expect("no panic").push((when.to_owned(), question.clone()));
            let denied = question.request_uri.contains(&format!("no-{when}"));
            async move { Ok(Verdict { allow: !denied, msg: "not you".to_owned() }) }
        }
    };
    let server = Server::new()
        .implements(interface::AUTHORIZATION)
        .method("AuthZPlugin.AuthZReq", judge("request"))
        .method("AuthZPlugin.AuthZRes", judge("answer"));
    let node = Node::with(&Setup { settings: &settings, ..Setup::default() });
    let curl = |method: &str, path: &str, body: &str| {
        let mut command = Command::new("curl");
        command.args([
            "-s",
            "-X",
            method,
            "-H",
            "Content-Type: application/json",
            "-H",
            "X-Registry-Auth: secret",
        ]);
        command.args(["-w", " %{http_code}", "-d", body, "--unix-socket"]).arg(node.socket("docker.sock"));
        command.arg(format!("http://d{path}"));
        String::from_utf8(command.output().expect("curl").stdout).expect("text")
    };
    let absent = curl("GET", "/version", "");
    let missing = "{\"message\":\"plugin judge failed with error: plugin \\\"judge\\\" not found\"}\n 500";
    assert_eq!(absent, missing);

    let served = Served::start(server.clone(), sockets.join("judge.sock"));
    let made = curl("POST", "/v1.51/volumes/create", r#"{"Name": "vol"}"#);
    assert!(made.ends_with(" 201"), "{made}");
    let questions = std::mem::take(&mut *asked.lock().expect("no panic"));
    let [(first, request), (second, answer)] = &questions[..] else { panic!("{questions:?}") };
    assert_eq!((first.as_str(), second.as_str()), ("request", "answer"));
    assert_eq!(
        (request.request_method.as_str(), request.request_uri.as_str()),
        ("POST", "/v1.51/volumes/create")
    );
    assert_eq!(request.request_body, "eyJOYW1lIjogInZvbCJ9");
    assert!(!request.request_headers.contains_key("X-Registry-Auth"), "{request:?}");
    assert_eq!((request.response_status_code, answer.response_status_code), (0, 201));
    assert!(!answer.response_body.is_empty() && answer.request_body == request.request_body);
    let denied = "{\"message\":\"authorization denied by plugin judge: not you\"}\n 403";
    assert_eq!(curl("GET", "/volumes?no-request", ""), denied);
    assert_eq!(curl("GET", "/volumes?no-answer", ""), denied);
    let large = format!(r#"{{"Name": "{}"}}"#, "x".repeat(5 << 20));
    std::fs::write(node.root().join("large"), large).expect("written");
    let large = curl("POST", "/volumes/create", &format!("@{}", node.root().join("large").display()));
    assert!(large.contains("request body too large for authorization plugin"), "{large}");
    // What it cannot be asked about, it has not allowed.
    drop(served);
    let away = curl("GET", "/version", "");
    assert!(away.contains("plugin judge failed with error") && away.ends_with(" 500"), "{away}");
    let _served = Served::start(server, sockets.join("judge.sock"));
    node.import_busybox();
    node.docker(&["run", "--rm", "busybox", "true"]).ok();
    let plugins = node.docker(&["info", "-f", "{{.Plugins.Authorization}}"]).ok();
    assert_eq!(plugins, "[judge]");
}

/// The process at the other end of a side's socket, in whose network its daemon is.
fn daemon(side: &Side) -> i32 {
    let stream = std::os::unix::net::UnixStream::connect(side.socket()).expect("it listens");
    rustix::net::sockopt::socket_peercred(&stream).expect("a peer").pid.as_raw_nonzero().get()
}

/// A driver of networks whose links lead nowhere, made by ip-link(8) where the daemon is; it writes down what it is asked.
fn links(daemon: i32, asked: &Arc<Mutex<Vec<String>>>) -> Server {
    let ip = move |words: &str| {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{daemon}/ns/net")).arg("ip").args(words.split(' '));
        match command.status() {
            Ok(status) if status.success() => Ok(()),
            other => Err(Error::about(words, format!("{other:?}"))),
        }
    };
    let noting = || {
        let asked = Arc::clone(asked);
        move |what: &str| asked.lock().expect("no panic").push(what.to_owned())
    };
    let (created, deleted, made, gone, joined, left) =
        (noting(), noting(), noting(), noting(), noting(), noting());
    let short = |id: &str| id[..8].to_owned();
    Server::new()
        .implements(interface::NETWORK)
        .method("NetworkDriver.GetCapabilities", |_: Nothing| async {
            Ok(network::Capabilities { scope: "local".to_owned() })
        })
        .method("NetworkDriver.CreateNetwork", move |asked: network::Network| {
            let subnet = asked.ipv4_data.first().cloned().unwrap_or_default();
            let options = asked.options.get(network::GENERIC).cloned().unwrap_or_default();
            created(&format!("network {} {} {options}", subnet.pool, subnet.gateway));
            async { Ok(Nothing {}) }
        })
        .method("NetworkDriver.DeleteNetwork", move |_: network::NetworkId| {
            deleted("no network");
            async { Ok(Nothing {}) }
        })
        .method("NetworkDriver.CreateEndpoint", move |asked: network::EndpointRequest| {
            made(&format!("endpoint {}", asked.interface.address));
            async { Ok(network::EndpointResponse::default()) }
        })
        .method("NetworkDriver.DeleteEndpoint", move |_: network::EndpointId| {
            gone("no endpoint");
            async { Ok(Nothing {}) }
        })
        .method("NetworkDriver.Join", move |asked: network::JoinRequest| {
            joined("join");
            let id = short(&asked.endpoint_id);
            let linked = ip(&format!("link add h{id} type veth peer name c{id}"));
            async move {
                linked?;
                let interface_name =
                    network::InterfaceName { src_name: format!("c{id}"), dst_prefix: "eth".to_owned() };
                let gateway = "10.78.0.1".to_owned();
                Ok(network::JoinResponse { interface_name, gateway, ..Default::default() })
            }
        })
        .method("NetworkDriver.Leave", move |asked: network::EndpointId| {
            left("leave");
            // It may have gone with the network namespace.
            let _ = ip(&format!("link del h{}", short(&asked.endpoint_id)));
            async { Ok(Nothing {}) }
        })
}

#[test]
fn a_plugin_makes_networks_and_their_links() {
    let settings = [("engine", ENGINE), ("network", ENGINE)];
    let node = Node::with(&Setup { settings: &settings, ..Setup::default() });
    node.import_busybox();
    for side in sides(&node) {
        let shared = Shared::of(&node, &side);
        let (driver, net, box_name) = (side.name("links"), side.name("net"), side.name("box"));
        let asked = Arc::default();
        let server = links(daemon(&side), &asked);
        let _served = Served::start(server, shared.sockets.join(format!("{driver}.sock")));
        side.docker(&["network", "create", "-d", &driver, "--subnet", "10.78.0.0/16", "-o", "k=v", &net])
            .ok();
        side.docker(&["run", "-d", "--name", &box_name, "--network", &net, "busybox", "sleep", "1000"]).ok();
        let addresses = side.docker(&["exec", &box_name, "ip", "-4", "addr", "show", "eth0"]).ok();
        assert!(addresses.contains("inet 10.78.0.2/16"), "{}: {addresses}", side.who);
        let routes = side.docker(&["exec", &box_name, "ip", "route"]).ok();
        assert!(routes.contains("default via 10.78.0.1 dev eth0"), "{}: {routes}", side.who);
        side.docker(&["rm", "-f", &box_name]).ok();
        side.docker(&["network", "rm", &net]).ok();
        let told = asked.lock().expect("no panic").clone();
        assert_eq!(
            told,
            [
                "network 10.78.0.0/16 10.78.0.1/16 {\"k\":\"v\"}",
                "endpoint 10.78.0.2/16",
                "join",
                "leave",
                "no endpoint",
                "no network"
            ],
            "{}",
            side.who
        );
    }
}
