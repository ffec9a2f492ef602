//! Answers queries about containers' names and addresses: from a query's bytes to a reply's.

use std::net::IpAddr;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, PTR};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use rand::seq::SliceRandom;

use super::Resolver;

/// In seconds; the same as Docker's.
const TTL: u32 = 600;

/// The answer to a query.
#[derive(Debug)]
pub enum Outcome {
    /// The bytes of the reply.
    Reply(Vec<u8>),
    /// The query is not about a container: other servers may know.
    Forward(Box<Message>),
    /// The bytes are not a query: no reply.
    Ignore,
}

/// The transport of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A reply has a limit; a longer one is truncated and marked so.
    Udp,
    /// A reply has no limit.
    Tcp,
}

/// Answers a query of a netns.
pub fn answer(resolver: &Resolver, asker: &str, bytes: &[u8], transport: Transport) -> Outcome {
    let Ok(query) = Message::from_vec(bytes) else { return Outcome::Ignore };
    if query.metadata.message_type != MessageType::Query {
        return Outcome::Ignore;
    }
    let one = match query.queries.as_slice() {
        [one] if query.metadata.op_code == OpCode::Query => one,
        _ => return reply(failure(&query, ResponseCode::NotImp), transport, 512),
    };
    let answers = if one.query_class() != DNSClass::IN {
        None
    } else if one.query_type() == RecordType::PTR {
        pointer(resolver, asker, one.name())
    } else {
        addresses(resolver, asker, one.name(), one.query_type())
    };
    let Some(answers) = answers else { return Outcome::Forward(Box::new(query)) };
    let mut message = respond(&query);
    message.add_answers(answers);
    reply(message, transport, query.max_payload())
}

/// The bytes of an error reply.
pub fn refuse(query: &Message, code: ResponseCode) -> Vec<u8> {
    failure(query, code).to_vec().unwrap_or_default()
}

/// All addresses of a known name, in random order; empty for a type that the name does not have.
fn addresses(resolver: &Resolver, asker: &str, name: &Name, kind: RecordType) -> Option<Vec<Record>> {
    let found = resolver.lookup(asker, &name.to_ascii())?;
    let record = |data: RData| Record::from_rdata(name.clone(), TTL, data);
    let mut answers = Vec::new();
    if matches!(kind, RecordType::A | RecordType::ANY) {
        answers.extend(found.v4.into_iter().map(|v4| record(RData::A(A(v4)))));
    }
    if matches!(kind, RecordType::AAAA | RecordType::ANY) {
        answers.extend(found.v6.into_iter().map(|v6| record(RData::AAAA(AAAA(v6)))));
    }
    answers.shuffle(&mut rand::rng());
    Some(answers)
}

fn pointer(resolver: &Resolver, asker: &str, name: &Name) -> Option<Vec<Record>> {
    let net = name.parse_arpa_name().ok()?;
    let address: IpAddr = net.addr();
    if net.prefix_len() != net.max_prefix_len() {
        return None;
    }
    let mut full = Name::from_ascii(resolver.reverse(asker, address)?).ok()?;
    full.set_fqdn(true);
    Some(vec![Record::from_rdata(name.clone(), TTL, RData::PTR(PTR(full)))])
}

fn respond(query: &Message) -> Message {
    let mut message = Message::response(query.metadata.id, query.metadata.op_code);
    message.metadata.recursion_desired = query.metadata.recursion_desired;
    message.metadata.recursion_available = true;
    message.add_queries(query.queries.iter().cloned());
    message
}

fn failure(query: &Message, code: ResponseCode) -> Message {
    let mut message = respond(query);
    message.metadata.response_code = code;
    message
}

fn reply(message: Message, transport: Transport, limit: u16) -> Outcome {
    let Ok(bytes) = message.to_vec() else { return Outcome::Ignore };
    if transport == Transport::Udp && bytes.len() > usize::from(limit) {
        return message.truncate().to_vec().map_or(Outcome::Ignore, Outcome::Reply);
    }
    Outcome::Reply(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Endpoint, Netns, Network, Networks};
    use hickory_proto::op::Query;

    fn resolver(count: u8) -> Resolver {
        let resolver = Resolver::default();
        let network =
            Network { id: "n".into(), name: "net".into(), driver: "bridge".into(), ..Network::default() };
        let networks: Networks = [("n".to_owned(), network)].into();
        for last in 2..2 + count {
            let endpoint = Endpoint {
                network: "n".into(),
                ipv4: format!("10.0.0.{last}/24"),
                aliases: vec!["all".into()],
                ..Endpoint::default()
            };
            let netns = Netns {
                id: format!("s{last}"),
                name: format!("c{last}"),
                endpoints: vec![endpoint],
                ..Netns::default()
            };
            resolver.put(&netns, &networks);
        }
        resolver
    }

    fn ask(resolver: &Resolver, name: &str, kind: RecordType, transport: Transport) -> Option<Message> {
        let mut query = Message::query();
        query.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        match answer(resolver, "s2", &query.to_vec().unwrap(), transport) {
            Outcome::Reply(bytes) => Some(Message::from_vec(&bytes).unwrap()),
            _ => None,
        }
    }

    #[test]
    fn known_names_answer_and_other_types_are_empty() {
        let resolver = resolver(2);
        let reply = ask(&resolver, "C3.", RecordType::A, Transport::Udp).unwrap();
        assert_eq!(reply.answers.len(), 1);
        assert_eq!((reply.answers[0].ttl, reply.metadata.response_code), (600, ResponseCode::NoError));
        for kind in [RecordType::AAAA, RecordType::MX] {
            let reply = ask(&resolver, "c3", kind, Transport::Udp).unwrap();
            assert_eq!((reply.answers.len(), reply.metadata.response_code), (0, ResponseCode::NoError));
        }
        assert!(ask(&resolver, "example.com.", RecordType::A, Transport::Udp).is_none());
    }

    #[test]
    fn pointers_lead_back() {
        let reply = ask(&resolver(2), "3.0.0.10.in-addr.arpa.", RecordType::PTR, Transport::Udp).unwrap();
        assert!(matches!(&reply.answers[0].data, RData::PTR(PTR(name)) if name.to_ascii() == "c3.net."));
    }

    #[test]
    fn long_replies_are_cut_on_udp() {
        let resolver = resolver(60);
        assert!(ask(&resolver, "all.", RecordType::A, Transport::Udp).unwrap().metadata.truncation);
        assert_eq!(ask(&resolver, "all.", RecordType::A, Transport::Tcp).unwrap().answers.len(), 60);
    }

    #[test]
    fn noise_is_ignored() {
        assert!(matches!(answer(&resolver(1), "s2", b"\0\x01noise", Transport::Udp), Outcome::Ignore));
    }
}
