//! Packets and frames.

use std::sync::LazyLock;

use gantry_network::dns::Resolver;
use gantry_network::dns::answer::{Outcome, Transport, answer};
use gantry_network::record::{Endpoint, Netns, Network, Networks};
use gantry_ttrpc::{Kind, Request, Response};
use hickory_proto::op::Message as Dns;
use prost::Message;

/// Names of containers.
static NAMES: LazyLock<Resolver> = LazyLock::new(|| {
    let names = Resolver::default();
    let network =
        Network { id: "n".into(), name: "net".into(), driver: "bridge".into(), ..Network::default() };
    let networks: Networks = [("n".to_owned(), network)].into();
    for last in 2..40 {
        let endpoint = Endpoint {
            network: "n".into(),
            ipv4: format!("10.0.0.{last}/24"),
            ipv6: format!("fd00::{last}/64"),
            aliases: vec!["all".into()],
            ..Endpoint::default()
        };
        let (id, name) = (format!("s{last}"), format!("c{last}"));
        names.put(&Netns { id, name, endpoints: vec![endpoint], ..Netns::default() }, &networks);
    }
    names
});

/// A DNS query of a container. The reply is one to the query, and fits.
pub fn dns(bytes: &[u8]) {
    for transport in [Transport::Udp, Transport::Tcp] {
        let Outcome::Reply(reply) = answer(&NAMES, "s2", bytes, transport) else { continue };
        let query = Dns::from_vec(bytes).expect("what is answered was read");
        let reply_read = Dns::from_vec(&reply).expect("our own can be read");
        assert_eq!(reply_read.metadata.id, query.metadata.id);
        let limit = usize::from(query.max_payload().max(512));
        assert!(transport == Transport::Tcp || reply.len() <= limit, "{} bytes", reply.len());
    }
}

/// Frames of a shim or of its client.
pub fn ttrpc(bytes: &[u8]) {
    thread_local! {
        static LOOP: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().build().expect("an event loop");
    }
    LOOP.with(|event_loop| {
        for kind in [Kind::Request, Kind::Response] {
            let mut input = bytes;
            while let Ok((_, message)) = event_loop.block_on(gantry_ttrpc::read(&mut input, kind)) {
                let Ok(message) = message else { continue };
                let _ = Request::decode(message.as_slice());
                let _ = Response::decode(message.as_slice()).map(Response::into_result);
            }
        }
    });
}

/// Netlink replies about links, addresses, routes, flows, and refused requests.
pub fn netlink(bytes: &[u8]) {
    gantry_netlink::input::datagram(bytes);
}
