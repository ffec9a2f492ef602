//! Docker's plugin protocol: the calls to plugins, and what Docker's clients see of their answers; with Gantry and
//! with the reference.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gantry_plugin_sdk::wire::authorization::{Question, Verdict};
use gantry_plugin_sdk::wire::{Nothing, network};
use gantry_plugin_sdk::{Error, Result, Server, interface, volume};
use gantry_tests::plugin::{Program, SETTINGS, Served, Shared, node};
use gantry_tests::{Node, Setup, Side, eventually, sides};
use parking_lot::Mutex;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(20);

/// A volume driver in the shared directory that records its calls. A volume's name chooses its failures.
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
        self.asked.lock().push(what);
    }

    /// The calls that change something.
    fn asked(&self) -> Vec<String> {
        self.asked.lock().clone()
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

/// The users in recorded mounts and unmounts.
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
        let _served = Served::start(Server::new().volumes(recorder.clone()), shared.socket(&driver));
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
        let shown = side.docker(&["inspect", "-f", format, &box_name]).ok();
        // dockerd does not name the volume's path.
        let source = if side.who == "gantry" { place.display().to_string() } else { String::new() };
        assert_eq!(shown, format!("{driver} {data} {source}").trim(), "{}", side.who);
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
        let _served = Served::start(Server::new().volumes(Recorder::new(&shared)), shared.socket(&driver));
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
        // Volumes that were created and removed without the engine.
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

    // During a mount that the plugin has not answered.
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
    // A plugin that accepts connections and sends nothing.
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

/// The plugin `volume-dir` on a daemon's side; killed when it is dropped.
fn volume_dir(side: &Side, shared: &Shared, name: &str) -> Program {
    let root = shared.there.display().to_string();
    Program::start(side, shared, "gantry-volume-dir", name, &["--root", &root])
}

#[test]
fn volume_dir_keeps_volumes_for_both() {
    let node = node();
    for side in sides(&node) {
        let shared = Shared::of(&node, &side);
        let (driver, data) = (side.name("dir"), side.name("data"));
        let plugin = volume_dir(&side, &shared, &driver);
        let create = ["volume", "create", "-d", &driver];
        side.docker(&[&create[..], &["-o", "mode=1777", &data]].concat()).ok();
        let mount = format!("{data}:/data");
        let script = "stat -c %a /data; echo kept > /data/file";
        assert_eq!(side.docker(&["run", "--rm", "-v", &mount, "busybox", "sh", "-c", script]).ok(), "1777");
        // Killed and started again, the plugin has its volumes.
        drop(plugin);
        let _plugin = volume_dir(&side, &shared, &driver);
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
    // Made before the gateway starts: the gateway restarts for files that are made later on its paths.
    let folder = tempfile::tempdir_in("/dev/shm").expect("a folder");
    let sockets = folder.path();
    let gateway =
        format!("authorization_plugins = [\"judge\"]\n[plugins]\nsockets = {sockets:?}\nspecs = []\n");
    let settings = [("gateway", gateway.as_str()), ("engine", SETTINGS)];
    let asked: Arc<Mutex<Vec<(String, Question)>>> = Arc::default();
    let judge = |when: &'static str| {
        let asked = Arc::clone(&asked);
        move |question: Question| {
            asked.lock().push((when.to_owned(), question.clone()));
            let denied = question.request_uri.contains(&format!("no-{when}"));
            async move { Ok(Verdict { allow: !denied, msg: "not you".to_owned() }) }
        }
    };
    let server = Server::new()
        .implements(interface::AUTHORIZATION)
        .method("AuthZPlugin.AuthZReq", judge("request"))
        .method("AuthZPlugin.AuthZRes", judge("answer"));
    let node = Node::with(&Setup { settings: &settings, ..Setup::default() });
    node.permit(&["plugin \"judge\" not found"]);
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
    let questions = std::mem::take(&mut *asked.lock());
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
    // A request about which the plugin cannot be asked is refused.
    drop(served);
    let away = curl("GET", "/version", "");
    assert!(away.contains("plugin judge failed with error") && away.ends_with(" 500"), "{away}");
    let _served = Served::start(server, sockets.join("judge.sock"));
    node.import_busybox();
    node.docker(&["run", "--rm", "busybox", "true"]).ok();
    let plugins = node.docker(&["info", "-f", "{{.Plugins.Authorization}}"]).ok();
    assert_eq!(plugins, "[judge]");
}

/// The process at the other end of a side's socket, which is in its daemon's network.
fn daemon(side: &Side) -> i32 {
    let stream = std::os::unix::net::UnixStream::connect(side.socket()).expect("it listens");
    rustix::net::sockopt::socket_peercred(&stream).expect("a peer").pid.as_raw_nonzero().get()
}

/// A network driver whose links lead nowhere, made by ip-link(8) in the daemon's network; it records its calls.
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
        move |what: &str| asked.lock().push(what.to_owned())
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
        .method("NetworkDriver.DeleteEndpoint", move |asked: network::EndpointId| {
            let id = short(&asked.endpoint_id);
            gone(if ip(&format!("link show c{id}")).is_ok() {
                "no endpoint"
            } else {
                "no endpoint, no link"
            });
            // The link may have gone with the network namespace.
            let _ = ip(&format!("link del h{id}"));
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
                let route = |destination: &str, route_type, next_hop: &str| network::StaticRoute {
                    destination: destination.to_owned(),
                    route_type,
                    next_hop: next_hop.to_owned(),
                };
                let static_routes = vec![
                    route("10.79.0.0/16", network::NEXT_HOP, "10.78.0.9"),
                    route("10.80.0.0/16", network::CONNECTED, ""),
                ];
                Ok(network::JoinResponse { interface_name, gateway, static_routes, ..Default::default() })
            }
        })
        .method("NetworkDriver.Leave", move |asked: network::EndpointId| {
            let there = ip(&format!("link show c{}", short(&asked.endpoint_id))).is_ok();
            left(if there { "leave what has left" } else { "leave" });
            async { Ok(Nothing {}) }
        })
}

#[test]
fn a_plugin_makes_networks_and_their_links() {
    let settings = [("engine", SETTINGS), ("network", SETTINGS)];
    let node = Node::with(&Setup { settings: &settings, ..Setup::default() });
    node.import_busybox();
    for side in sides(&node) {
        let shared = Shared::of(&node, &side);
        let (driver, net, box_name) = (side.name("links"), side.name("net"), side.name("box"));
        let asked = Arc::default();
        let server = links(daemon(&side), &asked);
        let _served = Served::start(server, shared.socket(&driver));
        let info = |what: &str| side.docker(&["info", "-f", &format!("{{{{.Plugins.{what}}}}}")]).ok();
        assert!(!info("Network").contains(&driver), "{}: nobody has used it yet", side.who);
        side.docker(&["network", "create", "-d", &driver, "--subnet", "10.78.0.0/16", "-o", "k=v", &net])
            .ok();
        let networks = info("Network");
        assert!(
            networks.contains(&driver) && networks.starts_with("[bridge host "),
            "{}: {networks}",
            side.who
        );
        assert!(!info("Log").contains("none") && info("Log").contains("json-file local"), "{}", side.who);
        side.docker(&["run", "-d", "--name", &box_name, "--network", &net, "busybox", "sleep", "1000"]).ok();
        let addresses = side.docker(&["exec", &box_name, "ip", "-4", "addr", "show", "eth0"]).ok();
        assert!(addresses.contains("inet 10.78.0.2/16"), "{}: {addresses}", side.who);
        let routes = side.docker(&["exec", &box_name, "ip", "route"]).ok();
        for route in
            ["default via 10.78.0.1 dev eth0", "10.79.0.0/16 via 10.78.0.9 dev eth0", "10.80.0.0/16 dev eth0"]
        {
            assert!(routes.contains(route), "{}: {routes}", side.who);
        }
        side.docker(&["rm", "-f", &box_name]).ok();
        side.docker(&["network", "rm", &net]).ok();
        let told = asked.lock().clone();
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

#[test]
fn a_link_goes_back_to_its_plugin_before_the_endpoint_ends() {
    let settings = [("engine", SETTINGS), ("network", SETTINGS)];
    let node = Node::with(&Setup { settings: &settings, ..Setup::default() });
    node.import_busybox();
    for side in sides(&node) {
        let shared = Shared::of(&node, &side);
        let (driver, net, box_name) = (side.name("links"), side.name("net"), side.name("box"));
        let asked = Arc::default();
        let _served = Served::start(links(daemon(&side), &asked), shared.socket(&driver));
        side.docker(&["network", "create", "-d", &driver, "--subnet", "10.78.0.0/16", &net]).ok();
        side.docker(&["run", "-d", "--name", &box_name, "busybox", "sleep", "1000"]).ok();
        let has = |what: &str| side.docker(&["exec", &box_name, "ip", "-o", what]).ok().lines().count();
        let (links, addresses) = (has("link"), has("addr"));
        for time in ["first", "second"] {
            side.docker(&["network", "connect", &net, &box_name]).ok();
            assert_eq!(has("link"), links + 1, "{} {time}", side.who);
            let routes = side.docker(&["exec", &box_name, "ip", "route"]).ok();
            assert!(routes.contains("10.79.0.0/16 via 10.78.0.9"), "{} {time}: {routes}", side.who);
            side.docker(&["network", "disconnect", &net, &box_name]).ok();
            assert_eq!((has("link"), has("addr")), (links, addresses), "{} {time}", side.who);
        }
        side.docker(&["rm", "-f", &box_name]).ok();
        side.docker(&["network", "rm", &net]).ok();
        let told = asked.lock().clone();
        let once = ["endpoint 10.78.0.2/16", "join", "leave", "no endpoint"];
        let all = [&["network 10.78.0.0/16 10.78.0.1/16 {}"][..], &once, &once, &["no network"]].concat();
        assert_eq!(told, all, "{}", side.who);
    }
}

/// A driver of networks that writes down each call about endpoints as it was made, with short names in place of ids, and
/// refuses one call of a method once.
#[derive(Clone)]
struct Talker {
    daemon: i32,
    calls: Arc<Mutex<Vec<String>>>,
    refuses: Arc<Mutex<&'static str>>,
    /// Ids in the order of their appearance.
    ids: Arc<Mutex<Vec<String>>>,
    /// By the network's id.
    gateways: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Talker {
    fn new(daemon: i32) -> Talker {
        Talker {
            daemon,
            calls: Arc::default(),
            refuses: Arc::default(),
            ids: Arc::default(),
            gateways: Arc::default(),
        }
    }

    /// The calls since the last time.
    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock())
    }

    fn endpoint(&self, id: &str) -> String {
        let mut ids = self.ids.lock();
        let index = ids.iter().position(|known| known == id).unwrap_or_else(|| {
            ids.push(id.to_owned());
            ids.len() - 1
        });
        format!("e{}", index + 1)
    }

    fn ip(&self, words: &str) {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.daemon)).arg("ip").args(words.split(' '));
        // What is not there any more need not go.
        let _ = command.output();
    }

    fn answer(&self, method: &'static str, asked: &Value) -> Result<Value> {
        let text = |key: &str| asked[key].as_str().unwrap_or_default().to_owned();
        let (network, endpoint) = (text("NetworkID"), text("EndpointID"));
        let name = self.endpoint(&endpoint);
        let mut told = asked.clone();
        for key in ["NetworkID", "EndpointID", "SandboxKey"] {
            told.as_object_mut().expect("a document").remove(key);
        }
        let rest = if told == json!({}) { String::new() } else { format!(" {told}") };
        self.calls.lock().push(format!("{method} {name}{rest}"));
        let mut refuses = self.refuses.lock();
        if *refuses == method {
            *refuses = "";
            return Err(Error::new("bad luck"));
        }
        drop(refuses);
        let short = &endpoint[..8];
        Ok(match method {
            "Join" => {
                self.ip(&format!("link add h{short} type veth peer name c{short}"));
                let gateway = self.gateways.lock()[&network].clone();
                json!({"InterfaceName": {"SrcName": format!("c{short}"), "DstPrefix": "eth"}, "Gateway": gateway})
            }
            "DeleteEndpoint" => {
                self.ip(&format!("link del h{short}"));
                json!({})
            }
            "EndpointOperInfo" => json!({"Value": {}}),
            _ => json!({}),
        })
    }

    fn server(&self) -> Server {
        let this = self.clone();
        let mut server = Server::new()
            .implements(interface::NETWORK)
            .method("NetworkDriver.GetCapabilities", |_: Nothing| async {
                Ok(network::Capabilities { scope: "global".to_owned() })
            })
            .method("NetworkDriver.CreateNetwork", move |asked: network::Network| {
                let gateway = asked.ipv4_data[0].gateway.split('/').next().unwrap_or_default().to_owned();
                this.gateways.lock().insert(asked.network_id, gateway);
                async { Ok(Nothing {}) }
            })
            .method("NetworkDriver.DeleteNetwork", |_: network::NetworkId| async { Ok(Nothing {}) });
        for method in [
            "CreateEndpoint",
            "Join",
            "ProgramExternalConnectivity",
            "EndpointOperInfo",
            "RevokeExternalConnectivity",
            "Leave",
            "DeleteEndpoint",
        ] {
            let this = self.clone();
            server = server.method(&format!("NetworkDriver.{method}"), move |asked: Value| {
                let answer = this.answer(method, &asked);
                async { answer }
            });
        }
        server
    }
}

#[test]
fn a_plugin_hears_of_ports_and_of_the_way_out_as_from_dockerd() {
    let settings = [("engine", SETTINGS), ("network", SETTINGS)];
    let node = Node::with(&Setup { settings: &settings, ..Setup::default() });
    node.import_busybox();
    node.permit(&["remote: bad luck"]);
    for side in sides(&node) {
        let shared = Shared::of(&node, &side);
        let (driver, first, second) = (side.name("talker"), side.name("bnet"), side.name("anet"));
        let box_name = side.name("box");
        let talker = Talker::new(daemon(&side));
        let _served = Served::start(talker.server(), shared.socket(&driver));
        for (name, subnet) in [(&first, "10.78.0.0/16"), (&second, "10.77.0.0/16")] {
            side.docker(&["network", "create", "-d", &driver, "--subnet", subnet, name]).ok();
        }
        let listed =
            side.docker(&["network", "ls", "--format", "{{.Scope}}", "-f", &format!("name={first}")]);
        assert_eq!(listed.ok(), "global", "{}", side.who);
        let ports = r#""com.docker.network.endpoint.exposedports":[{"Port":80,"Proto":6}],"com.docker.network.portmap":[{"HostIP":"","HostPort":18080,"HostPortEnd":18080,"IP":"","Port":80,"Proto":6}]"#;
        let create = |name: &str, address: &str, mac: &str| {
            let wanted = if mac.is_empty() {
                String::new()
            } else {
                r#""com.docker.network.endpoint.macaddress":"AkIAAAAJ","#.to_owned()
            };
            let (exposed, map) = ports.split_once(r#","com.docker.network.portmap""#).expect("two options");
            format!(
                r#"CreateEndpoint {name} {{"Interface":{{"Address":"{address}/16","AddressIPv6":"","MacAddress":"{mac}"}},"Options":{{{exposed},{wanted}"com.docker.network.portmap"{map}}}}}"#
            )
        };
        let join = |name: &str| format!(r#"Join {name} {{"Options":{{{ports}}}}}"#);
        let program = |name: &str| {
            format!(
                r#"ProgramExternalConnectivity {name} {{"Options":{{"com.docker.network.driver.private.no_proxy_6to4":false,{ports}}}}}"#
            )
        };
        let (info, revoke) = (
            |name: &str| format!("EndpointOperInfo {name}"),
            |name: &str| format!("RevokeExternalConnectivity {name}"),
        );
        let (leave, delete) =
            (|name: &str| format!("Leave {name}"), |name: &str| format!("DeleteEndpoint {name}"));
        let run = ["run", "-d", "--name", &box_name, "-p", "18080:80", "--network", &first];
        let run = |more: &[&str]| side.docker(&[&run[..], more, &["busybox", "sleep", "1000"]].concat());

        run(&["--mac-address", "02:42:00:00:00:09"]).ok();
        let started = [create("e1", "10.78.0.2", "02:42:00:00:00:09"), join("e1"), program("e1"), info("e1")];
        assert_eq!(talker.calls(), started, "{}", side.who);
        let link = side.docker(&["exec", &box_name, "ip", "link", "show", "eth0"]).ok();
        assert!(link.contains("02:42:00:00:00:09"), "{}: {link}", side.who);
        assert_eq!(side.docker(&["port", &box_name]).ok(), "", "{}", side.who);

        // The network whose name comes first has the default route.
        side.docker(&["network", "connect", &second, &box_name]).ok();
        let connected = [
            info("e1"),
            create("e2", "10.77.0.2", ""),
            join("e2"),
            revoke("e1"),
            program("e2"),
            info("e2"),
            info("e1"),
        ];
        assert_eq!(talker.calls(), connected, "{}", side.who);
        side.docker(&["network", "disconnect", &second, &box_name]).ok();
        let left = [revoke("e2"), leave("e2"), program("e1"), info("e1"), delete("e2")];
        assert_eq!(talker.calls(), left, "{}", side.who);

        *talker.refuses.lock() = "ProgramExternalConnectivity";
        let error = side.docker(&["network", "connect", &second, &box_name]).fails(1).trim().to_owned();
        let words = format!("driver failed programming external connectivity on endpoint {box_name} (");
        assert!(error.contains(&words) && error.ends_with("): remote: bad luck"), "{}: {error}", side.who);
        let undone = [
            info("e1"),
            create("e3", "10.77.0.2", ""),
            join("e3"),
            revoke("e1"),
            program("e3"),
            program("e1"),
            leave("e3"),
            delete("e3"),
        ];
        assert_eq!(talker.calls(), undone, "{}", side.who);
        side.docker(&["rm", "-f", &box_name]).ok();
        assert_eq!(talker.calls(), [revoke("e1"), leave("e1"), delete("e1")], "{}", side.who);

        *talker.refuses.lock() = "ProgramExternalConnectivity";
        let error = run(&[]).fails(125);
        let words = format!("failed to set up container networking: {words}");
        assert!(error.contains(&words) && error.contains("): remote: bad luck"), "{}: {error}", side.who);
        let undone = [create("e4", "10.78.0.2", ""), join("e4"), program("e4"), leave("e4"), delete("e4")];
        assert_eq!(talker.calls(), undone, "{}", side.who);
        side.docker(&["rm", &box_name]).ok();
        *talker.refuses.lock() = "CreateEndpoint";
        let error = run(&[]).fails(125);
        let words = format!("failed to create endpoint {box_name} on network {first}: remote: bad luck");
        assert!(error.contains(&words), "{}: {error}", side.who);
        assert_eq!(talker.calls(), [create("e5", "10.78.0.2", "")], "{}", side.who);
        side.docker(&["rm", &box_name]).ok();
        // Nobody depends on these.
        for method in ["EndpointOperInfo", "RevokeExternalConnectivity", "Leave", "DeleteEndpoint"] {
            *talker.refuses.lock() = method;
            run(&[]).ok();
            side.docker(&["rm", "-f", &box_name]).ok();
        }
        side.docker(&["network", "rm", &first, &second]).ok();
    }
}
