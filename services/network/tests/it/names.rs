//! Names at 127.0.0.11.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use gantry_netlink::Namespace;
use gantry_proto::gantry::network::v1 as pb;
use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};

use crate::world::*;

pub fn ask(space: &Namespace, name: &str, kind: RecordType) -> Option<Message> {
    let socket = space.run(|| UdpSocket::bind("0.0.0.0:0").unwrap()).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(1500))).unwrap();
    let mut query = Message::query();
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    socket.send_to(&query.to_vec().unwrap(), "127.0.0.11:53").ok()?;
    let mut buffer = [0; 4096];
    let (length, from) = socket.recv_from(&mut buffer).ok()?;
    assert_eq!(from, SocketAddr::from(([127, 0, 0, 11], 53)), "replies come from where the question went");
    Message::from_vec(&buffer[..length]).ok()
}

pub fn addresses(space: &Namespace, name: &str) -> Vec<Ipv4Addr> {
    let reply = ask(space, name, RecordType::A).expect("a reply");
    let mut found: Vec<Ipv4Addr> = reply
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::A(a) => Some(a.0),
            _ => None,
        })
        .collect();
    found.sort();
    found
}

fn over_tcp(space: &Namespace, name: &str) -> Message {
    let mut stream = space.run(|| TcpStream::connect("127.0.0.11:53").unwrap()).unwrap();
    let mut query = Message::query();
    query.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
    let bytes = query.to_vec().unwrap();
    stream.write_all(&(bytes.len() as u16).to_be_bytes()).unwrap();
    stream.write_all(&bytes).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut reply).unwrap();
    Message::from_vec(&reply).unwrap()
}

#[test]
fn containers_find_each_other_by_name() {
    let world = World::new();
    world.create(pb::CreateRequest { name: "app".into(), ..Default::default() }).unwrap();
    let mut spec = netns('a', "web", &["app"], &[]);
    spec.endpoints[0].aliases = vec!["front".into()];
    let web = world.attach(spec).unwrap();
    assert_eq!(web.endpoints[0].dns_names, ["web", "front", "aaaaaaaaaaaa"]);
    let mut spec = netns('b', "db", &["app"], &[]);
    spec.endpoints[0].aliases = vec!["front".into()];
    spec.endpoints[0].links = vec!["web:w".into()];
    let db = world.attach(spec).unwrap();
    let (inside, other) = (world.pin(&web.id), world.pin(&db.id));
    let address: Ipv4Addr = db.endpoints[0].ipv4_address.parse().unwrap();
    for name in ["db.", "DB.", "db.app.", "bbbbbbbbbbbb."] {
        assert_eq!(addresses(&inside, name), [address], "{name}");
    }
    assert_eq!(addresses(&inside, "front.").len(), 2);
    assert_eq!(addresses(&other, "w."), [web.endpoints[0].ipv4_address.parse::<Ipv4Addr>().unwrap()]);
    let empty = ask(&inside, "db.", RecordType::AAAA).unwrap();
    assert_eq!((empty.metadata.response_code, empty.answers.len()), (ResponseCode::NoError, 0));
    assert_eq!(over_tcp(&inside, "db.").answers.len(), 1);

    // The container's own server on all addresses and the name service do not disturb each other.
    udp_echo(&inside, 53, "own");
    assert_eq!(addresses(&inside, "db."), [address]);

    let mut client = world.peers.netns();
    let request = pb::RenameRequest { netns: db.id.clone(), name: "store".into() };
    world.runtime.block_on(async { client.rename(request).await }).unwrap();
    assert_eq!(addresses(&inside, "store."), [address]);

    let socket = inside.run(|| UdpSocket::bind("0.0.0.0:0").unwrap()).unwrap();
    socket.connect("127.0.0.11:53").unwrap();
    let mut query = Message::query();
    query.add_query(Query::query(Name::from_ascii("store.").unwrap(), RecordType::A));
    let (query, mut buffer) = (query.to_vec().unwrap(), [0; 512]);
    let mut times: Vec<Duration> = (0..300)
        .map(|_| {
            let begun = Instant::now();
            socket.send(&query).unwrap();
            socket.recv(&mut buffer).unwrap();
            begun.elapsed()
        })
        .collect();
    times.sort();
    println!("a name: median {:?}, 95 of 100 below {:?}", times[150], times[285]);
}

/// A name server that answers each client with the client's address, or refuses.
fn name_server(space: &Namespace, at: &'static str, code: ResponseCode) {
    let server = space.run(|| UdpSocket::bind((at, 53)).unwrap()).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = server.recv_from(&mut buffer) {
            let query = Message::from_vec(&buffer[..length]).unwrap();
            let mut reply = Message::response(query.metadata.id, query.metadata.op_code);
            reply.metadata.response_code = code;
            reply.add_queries(query.queries.iter().cloned());
            let IpAddr::V4(seen) = from.ip() else { continue };
            if code == ResponseCode::NoError {
                let data = RData::A(hickory_proto::rr::rdata::A(seen));
                let name = query.queries[0].name().clone();
                reply.add_answer(hickory_proto::rr::Record::from_rdata(name, 5, data));
            }
            let _ = server.send_to(&reply.to_vec().unwrap(), from);
        }
    });
}

#[test]
fn a_server_that_refuses_is_passed_over() {
    let world = World::new();
    world.create(pb::CreateRequest { name: "app".into(), ..Default::default() }).unwrap();
    name_server(&world.outside, OUTSIDE, ResponseCode::Refused);
    name_server(&world.host, HOST, ResponseCode::NoError);
    let mut spec = netns('a', "web", &["app"], &[]);
    spec.dns_servers = vec![OUTSIDE.into(), HOST.into()];
    let web = world.attach(spec).unwrap();
    let address: Ipv4Addr = web.endpoints[0].ipv4_address.parse().unwrap();
    assert_eq!(addresses(&world.pin(&web.id), "example.com."), [address]);
    let mut spec = netns('b', "other", &["app"], &[]);
    spec.dns_servers = vec![OUTSIDE.into()];
    let other = world.attach(spec).unwrap();
    let reply = ask(&world.pin(&other.id), "example.com.", RecordType::A).unwrap();
    assert_eq!(reply.metadata.response_code, ResponseCode::Refused, "nobody else is there to be asked");
}

#[test]
fn one_netns_cannot_use_up_what_all_may_ask() {
    let world = World::new();
    world.create(pb::CreateRequest { name: "app".into(), ..Default::default() }).unwrap();
    name_server(&world.outside, OUTSIDE, ResponseCode::NoError);
    // No server listens there, and no error says so.
    let mut spec = netns('a', "loud", &["app"], &[]);
    spec.dns_servers = vec!["198.51.100.1".into()];
    let loud = world.attach(spec).unwrap();
    let mut spec = netns('b', "quiet", &["app"], &[]);
    spec.dns_servers = vec![OUTSIDE.into()];
    let quiet = world.attach(spec).unwrap();

    let flood = world.pin(&loud.id).run(|| UdpSocket::bind("0.0.0.0:0").unwrap()).unwrap();
    flood.connect("127.0.0.11:53").unwrap();
    flood.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    let mut query = Message::query();
    query.add_query(Query::query(Name::from_ascii("example.com.").unwrap(), RecordType::A));
    let (query, mut buffer) = (query.to_vec().unwrap(), [0; 512]);
    let begun = Instant::now();
    while flood.recv(&mut buffer).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(3), "nothing is ever refused");
        for _ in 0..16 {
            flood.send(&query).unwrap();
        }
    }
    assert_eq!(addresses(&world.pin(&quiet.id), "example.com."), [HOST.parse::<Ipv4Addr>().unwrap()]);
}

#[test]
fn other_names_are_forwarded_from_the_netns() {
    let world = World::new();
    world.create(pb::CreateRequest { name: "app".into(), ..Default::default() }).unwrap();
    name_server(&world.outside, OUTSIDE, ResponseCode::NoError);
    let mut spec = netns('a', "web", &["app"], &[]);
    spec.dns_servers = vec![OUTSIDE.into()];
    let web = world.attach(spec).unwrap();
    assert_eq!(addresses(&world.pin(&web.id), "example.com."), [HOST.parse::<Ipv4Addr>().unwrap()]);

    world.create(pb::CreateRequest { name: "inner".into(), internal: true, ..Default::default() }).unwrap();
    let shut = world.attach(netns('b', "shut", &["inner"], &[])).unwrap();
    let reply = ask(&world.pin(&shut.id), "example.com.", RecordType::A).unwrap();
    assert_eq!(reply.metadata.response_code, ResponseCode::ServFail);
}

#[test]
fn the_default_network_has_no_name_service() {
    let world = World::new();
    let web = world.attach(netns('a', "web", &["bridge"], &[])).unwrap();
    assert!(!web.endpoints[0].name_service);
    assert!(ask(&world.pin(&web.id), "web.", RecordType::A).is_none());
}
