//! The name server of one netns: its sockets and the tasks that read them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use gantry_netlink::Namespace;
use gantry_netlink::nft::{
    Batch, Chain, Expression, Family, Hook, HookPoint, MetaKey, Nft, Policy, Register, equals,
};
use gantry_rpc::carry;
use hickory_proto::op::ResponseCode;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};

use super::Resolver;
use super::answer::{Outcome, Transport, answer, refuse};
use super::upstream::{read_framed, write_framed};
use crate::error::{Error, Result};

/// The address that containers ask.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
/// The nf_tables table in a netns.
const TABLE: &str = "gantry-names";
/// How long a connection may be idle.
const IDLE: Duration = Duration::from_secs(10);
/// How many connections a netns may have at a time.
const CONNECTIONS: usize = 64;
/// How many queries of a netns may be forwarded at a time: a part of the limit for all of them.
const OUT: usize = 256;

/// The sockets in a netns that port 53 leads to.
#[derive(Debug)]
pub struct Sockets {
    udp: std::net::UdpSocket,
    tcp: std::net::TcpListener,
}

impl Sockets {
    /// Binds the sockets in a netns and leads 127.0.0.11:53 to them. Replaces the rules of an earlier process.
    /// Blocks.
    pub fn bind(namespace: &Namespace) -> Result<Self> {
        let io = |source| Error::Io { op: "bind the name service".to_owned(), source };
        let inside = || {
            let udp = std::net::UdpSocket::bind((ADDRESS, 0)).map_err(io)?;
            let tcp = std::net::TcpListener::bind((ADDRESS, 0)).map_err(io)?;
            udp.set_nonblocking(true).map_err(io)?;
            tcp.set_nonblocking(true).map_err(io)?;
            let ports = (udp.local_addr().map_err(io)?.port(), tcp.local_addr().map_err(io)?.port());
            let failed = || Error::kernel("lead 127.0.0.11 to the name service");
            Nft::open().and_then(|mut nft| nft.commit(&redirect(ports.0, ports.1))).map_err(failed())?;
            Ok(Sockets { udp, tcp })
        };
        namespace.run(inside).map_err(Error::kernel("bind the name service"))?
    }

    /// Removes the rules from a netns that needs no server any more. Blocks.
    pub fn release(namespace: &Namespace) -> Result<()> {
        let failed = || Error::kernel("release 127.0.0.11");
        let inside = || {
            let mut batch = Batch::new();
            batch.add_table(Family::Ip, TABLE).delete_table(Family::Ip, TABLE);
            Nft::open()?.commit(&batch)
        };
        namespace.run(inside).map_err(failed())?.map_err(failed())
    }
}

/// `ip daddr 127.0.0.11 udp dport 53 dnat to 127.0.0.11:PORT`, and for TCP.
fn redirect(udp: u16, tcp: u16) -> Batch {
    let mut batch = Batch::new();
    batch.replace_table(Family::Ip, TABLE);
    let hook = Hook { point: HookPoint::Output, priority: -100, policy: Policy::Accept };
    batch.add_chain(Family::Ip, TABLE, &Chain { name: "output", kind: "nat", hook: Some(hook) });
    for (protocol, port) in [(17u8, udp), (6u8, tcp)] {
        let rule = [
            Expression::Network(16, 4, Register(0)),
            equals(Register(0), &ADDRESS.octets()),
            Expression::Meta(MetaKey::Transport, Register(1)),
            equals(Register(1), &[protocol]),
            Expression::Transport(2, 2, Register(2)),
            equals(Register(2), &53u16.to_be_bytes()),
            Expression::Load(Register(3), port.to_be_bytes().to_vec()),
            Expression::Dnat { family: Family::Ip, address: Register(0), port: Register(3) },
        ];
        batch.add_rule(Family::Ip, TABLE, "output", &rule);
    }
    batch
}

/// A running server; dropping it stops it.
#[derive(Debug)]
pub struct Server {
    tasks: [AbortHandle; 2],
}

impl Drop for Server {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

struct Shared {
    resolver: Resolver,
    netns: String,
    namespace: Namespace,
    out: Semaphore,
}

impl Server {
    /// Starts to answer on the sockets.
    pub fn start(resolver: Resolver, netns: String, namespace: Namespace, sockets: Sockets) -> Result<Self> {
        let io = |source| Error::Io { op: format!("serve names to network namespace {netns}"), source };
        let udp = UdpSocket::from_std(sockets.udp).map_err(io)?;
        let tcp = TcpListener::from_std(sockets.tcp).map_err(io)?;
        let shared = Arc::new(Shared { resolver, netns, namespace, out: Semaphore::new(OUT) });
        let datagrams = carry::beside(datagrams(shared.clone(), Arc::new(udp)));
        let connections = carry::beside(connections(shared, tcp));
        Ok(Server { tasks: [datagrams.abort_handle(), connections.abort_handle()] })
    }
}

impl Shared {
    async fn forward(
        &self,
        query: &hickory_proto::op::Message,
        bytes: &[u8],
        transport: Transport,
    ) -> Vec<u8> {
        let Ok(_permit) = self.out.try_acquire() else { return refuse(query, ResponseCode::ServFail) };
        let forwarding = self.resolver.forwarding(&self.netns);
        match self.resolver.upstream().ask(bytes, transport, &forwarding, &self.namespace).await {
            Some(reply) => reply,
            None => refuse(query, ResponseCode::ServFail),
        }
    }
}

async fn datagrams(shared: Arc<Shared>, socket: Arc<UdpSocket>) {
    // Dropped with this task, which ends the queries that are being forwarded.
    let mut forwards = JoinSet::new();
    let mut buffer = vec![0; 4096];
    loop {
        let (length, from) = tokio::select! {
            received = socket.recv_from(&mut buffer) => match received {
                Ok(received) => received,
                // An ICMP error about an earlier reply.
                Err(_) => continue,
            },
            Some(_) = forwards.join_next() => continue,
        };
        match answer(&shared.resolver, &shared.netns, &buffer[..length], Transport::Udp) {
            Outcome::Reply(reply) => send(&socket, &reply, from).await,
            Outcome::Forward(query) => {
                let (shared, socket, bytes) = (shared.clone(), socket.clone(), buffer[..length].to_vec());
                forwards.spawn(async move {
                    let reply = shared.forward(&query, &bytes, Transport::Udp).await;
                    send(&socket, &reply, from).await;
                });
            }
            Outcome::Ignore => {}
        }
    }
}

async fn send(socket: &UdpSocket, reply: &[u8], to: SocketAddr) {
    // The client may be gone.
    let _ = socket.send_to(reply, to).await;
}

async fn connections(shared: Arc<Shared>, listener: TcpListener) {
    let mut open = JoinSet::new();
    let limit = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = limit.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let shared = shared.clone();
                open.spawn(async move {
                    let _permit = permit;
                    connection(&shared, stream).await;
                });
            }
            // The process may be out of descriptors, and have some a moment later.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
        while open.try_join_next().is_some() {}
    }
}

async fn connection(shared: &Shared, mut stream: TcpStream) {
    loop {
        let Ok(Ok(bytes)) = tokio::time::timeout(IDLE, read_framed(&mut stream)).await else { return };
        let reply = match answer(&shared.resolver, &shared.netns, &bytes, Transport::Tcp) {
            Outcome::Reply(reply) => reply,
            Outcome::Forward(query) => shared.forward(&query, &bytes, Transport::Tcp).await,
            Outcome::Ignore => return,
        };
        let Ok(Ok(())) = tokio::time::timeout(IDLE, write_framed(&mut stream, &reply)).await else { return };
    }
}
