//! A host for one test: a network namespace with a link to an outside, in which the service runs.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gantry_api::Peers;
use gantry_daemon::{Context, Roots, Service as _};
use gantry_netlink::nft::{Family, Nft};
use gantry_netlink::route::RouteEntry;
use gantry_netlink::{Mac, Namespace, Route, Veth, sysctl};
use gantry_proto::gantry::network::v1 as pb;
use tokio_util::sync::CancellationToken;

pub const HOST: &str = "192.0.2.1";
pub const OUTSIDE: &str = "192.0.2.2";
pub const HOST6: &str = "2001:db8::1";

pub struct World {
    root: tempfile::TempDir,
    pub host: Namespace,
    pub outside: Namespace,
    running: Option<(CancellationToken, JoinHandle<()>)>,
    pub runtime: tokio::runtime::Runtime,
    pub peers: Peers,
}

impl World {
    pub fn new() -> Self {
        Self::prepared(|| {})
    }

    /// A host with `before` run on it before the service first starts.
    pub fn prepared(before: impl FnOnce() + Send) -> Self {
        let root = tempfile::tempdir_in("/dev/shm").unwrap();
        let up = || {
            let mut route = Route::open().unwrap();
            let lo = route.index("lo").unwrap();
            route.set_up(lo).unwrap();
            route
        };
        let (outside, mut far) = Namespace::create(up).unwrap();
        let (host, mut near) = Namespace::create(up).unwrap();
        let veth = Veth {
            name: "up0",
            master: None,
            peer: "out0",
            namespace: &outside,
            mac: Mac::random(),
            mtu: 1500,
            port: Default::default(),
        };
        near.add_veth(&veth).unwrap();
        let gateway = Some(OUTSIDE.parse().unwrap());
        let index = near.index("up0").unwrap();
        let default = RouteEntry { destination: "0.0.0.0/0".parse().unwrap(), gateway, link: Some(index) };
        let here = [format!("{HOST}/24").parse().unwrap(), format!("{HOST6}/64").parse().unwrap()];
        let index = far.index("out0").unwrap();
        let there = [format!("{OUTSIDE}/24").parse().unwrap(), "2001:db8::2/64".parse().unwrap()];
        far.configure(index, &there, &[]).unwrap();
        near.configure(default.link.unwrap(), &here, &[default]).unwrap();
        host.run(before).unwrap();
        Self::on(root, host, outside)
    }

    /// Another Gantry on the same host.
    pub fn beside(other: &World) -> Self {
        Self::on(tempfile::tempdir_in("/dev/shm").unwrap(), other.host.clone(), other.outside.clone())
    }

    fn on(root: tempfile::TempDir, host: Namespace, outside: Namespace) -> Self {
        let roots = Roots { state: root.path().join("state"), run: root.path().join("run") };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let peers = {
            let _inside = runtime.enter();
            Peers::new(&roots.run)
        };
        let mut world = World { root, host, outside, running: None, runtime, peers };
        std::fs::create_dir(world.plugins()).unwrap();
        world.start();
        world
    }

    pub fn roots(&self) -> Roots {
        Roots { state: self.root.path().join("state"), run: self.root.path().join("run") }
    }

    /// Where plugins are looked for.
    pub fn plugins(&self) -> PathBuf {
        self.root.path().join("plugins")
    }

    pub fn pin(&self, id: &str) -> Namespace {
        Namespace::open(&self.roots().run.join("netns").join(id)).unwrap()
    }

    pub fn start(&mut self) {
        let roots = self.roots();
        let claim = roots.claim("network").unwrap();
        let settings = format!("[plugins]\nsockets = {:?}\nspecs = []\n", self.plugins());
        let context = Context::for_test("network", roots.clone()).with_settings(&settings);
        let shutdown = context.shutdown().clone();
        let host = self.host.clone();
        let thread = std::thread::spawn(move || {
            let _claim = claim;
            host.enter().unwrap();
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async { gantry_network::Service::run(context).await.unwrap() });
            // Work that still holds the database would refuse it to the next service.
            runtime.shutdown_timeout(Duration::from_secs(5));
        });
        self.running = Some((shutdown, thread));
        let socket = roots.socket("network");
        let reachable = || std::os::unix::net::UnixStream::connect(&socket).is_ok();
        wait("the service's socket", reachable);
    }

    pub fn stop(&mut self) {
        if let Some((shutdown, thread)) = self.running.take() {
            shutdown.cancel();
            thread.join().unwrap();
            let _ = std::fs::remove_file(self.roots().socket("network"));
        }
    }

    pub fn attach(&self, request: pb::AttachRequest) -> Result<pb::Netns, tonic::Status> {
        let mut client = self.peers.netns();
        self.runtime.block_on(async move { client.attach(request).await }).map(tonic::Response::into_inner)
    }

    pub fn detach(&self, id: &str) {
        let mut client = self.peers.netns();
        let request = pb::DetachRequest { netns: id.to_owned() };
        self.runtime.block_on(async move { client.detach(request).await }).unwrap();
    }

    pub fn create(&self, request: pb::CreateRequest) -> Result<pb::Network, tonic::Status> {
        let mut client = self.peers.networks();
        self.runtime.block_on(async move { client.create(request).await }).map(tonic::Response::into_inner)
    }

    pub fn remove(&self, network: &str) -> Result<(), tonic::Status> {
        let mut client = self.peers.networks();
        let request = pb::RemoveRequest { network: network.to_owned() };
        self.runtime.block_on(async move { client.remove(request).await }).map(drop)
    }

    pub fn withdraw(&self) -> Result<(), tonic::Status> {
        let mut client = self.peers.networks();
        self.runtime.block_on(async move { client.withdraw(pb::WithdrawRequest {}).await }).map(drop)
    }

    pub fn tables(&self) -> Vec<String> {
        self.host.run(|| Nft::open().unwrap().tables(Family::Ip).unwrap()).unwrap()
    }

    pub fn network(&self, network: &str) -> Result<pb::Network, tonic::Status> {
        let mut client = self.peers.networks();
        let request = pb::GetRequest { network: network.to_owned() };
        self.runtime.block_on(async move { client.get(request).await }).map(tonic::Response::into_inner)
    }

    pub fn check(&self, repair: bool) -> Vec<String> {
        let mut client = self.peers.fsck("network");
        let request = gantry_proto::gantry::gc::v1::FsckRequest { repair, ..Default::default() };
        let found = self.runtime.block_on(async move { client.check(request).await }).unwrap().into_inner();
        found.strays.into_iter().map(|stray| format!("{} {}", stray.kind, stray.name)).collect()
    }

    pub fn links(&self) -> Vec<String> {
        let list = || Route::open().unwrap().links().unwrap().into_iter().map(|link| link.name).collect();
        self.host.run(list).unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop();
        let pins = self.roots().run.join("netns");
        for entry in std::fs::read_dir(&pins).into_iter().flatten().flatten() {
            let _ = Namespace::unpin(&entry.path());
        }
    }
}

/// Waits for a condition.
pub fn wait(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(10), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// 64 times the digit.
pub fn id(digit: char) -> String {
    digit.to_string().repeat(64)
}

pub fn on(network: &str) -> pb::EndpointSpec {
    pb::EndpointSpec { network: network.into(), ..Default::default() }
}

pub fn tcp(host_ip: &str, host: u32, container: u32) -> pb::PortMapping {
    pb::PortMapping {
        protocol: "tcp".into(),
        container_port: container,
        host_ip: host_ip.into(),
        host_port_first: host,
        host_port_last: host,
    }
}

pub fn netns(digit: char, name: &str, networks: &[&str], ports: &[pb::PortMapping]) -> pb::AttachRequest {
    pb::AttachRequest {
        netns: id(digit),
        name: name.into(),
        hostname: id(digit)[..12].into(),
        endpoints: networks.iter().map(|network| on(network)).collect(),
        ports: ports.to_vec(),
        ..Default::default()
    }
}

/// A server that sends each client the address that it came from, and then echoes lines.
pub fn serve(space: &Namespace, port: u16) {
    let bind = || TcpListener::bind(("::", port)).or_else(|_| TcpListener::bind(("0.0.0.0", port))).unwrap();
    let listener = space.run(bind).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let Ok(peer) = stream.peer_addr() else { return };
                let mut text = peer.ip().to_canonical().to_string();
                text.push('\n');
                let _ = stream.write_all(text.as_bytes());
                let mut buffer = [0; 512];
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    let _ = stream.write_all(&buffer[..length]);
                }
            });
        }
    });
}

/// Connects from a namespace. Returns the connection and the address that the server saw.
pub fn open(space: &Namespace, to: &str, port: u16) -> Option<(TcpStream, IpAddr)> {
    let to = SocketAddr::new(to.parse().unwrap(), port);
    let connect = || TcpStream::connect_timeout(&to, Duration::from_millis(700)).ok();
    let mut stream = space.run(connect).unwrap()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let mut text = String::new();
    let mut byte = [0];
    while stream.read(&mut byte).ok()? == 1 && byte[0] != b'\n' {
        text.push(char::from(byte[0]));
    }
    Some((stream, text.parse().ok()?))
}

/// The address that the server saw.
pub fn seen(space: &Namespace, to: &str, port: u16) -> Option<String> {
    open(space, to, port).map(|(_, address)| address.to_string())
}

/// A server that echoes datagrams.
pub fn udp_echo(space: &Namespace, port: u16, mark: &'static str) {
    let socket = space.run(|| UdpSocket::bind(("0.0.0.0", port)).unwrap()).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((_, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(mark.as_bytes(), from);
        }
    });
}

/// The settings of IPv4 and IPv6.
pub fn forwarding_of(space: &Namespace) -> [String; 2] {
    space.run(|| FORWARDING.map(|setting| sysctl::read(setting).unwrap())).unwrap()
}

pub fn set_forwarding(value: &str) {
    for setting in FORWARDING {
        sysctl::write(setting, value).unwrap();
    }
}

const FORWARDING: [&str; 2] = ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"];

pub fn exists(path: &Path) -> bool {
    path.exists()
}
