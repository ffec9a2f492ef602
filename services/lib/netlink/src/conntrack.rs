//! The connection tracker: forgetting flows whose translation is out of date.
//!
//! A UDP flow from one client port to one published port never ends as long as the client goes on sending: after
//! the port has moved to another container, the old translation must go, or the packets go to nobody.

use std::net::IpAddr;

use crate::abi;
use crate::error::Result;
use crate::message::{Attributes, Message, address};
use crate::socket::Socket;

const IPCTNL_MSG_CT_GET: u16 = 1;
const IPCTNL_MSG_CT_DELETE: u16 = 2;
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;

/// A conversation with the connection tracker of one namespace.
#[derive(Debug)]
pub struct Conntrack {
    socket: Socket,
}

/// One direction of a flow, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tuple {
    source: Option<IpAddr>,
    protocol: u8,
    destination_port: u16,
}

impl Conntrack {
    /// Opens a socket in the calling thread's network namespace.
    pub fn open() -> Result<Self> {
        Ok(Conntrack { socket: Socket::open(abi::NETLINK_NETFILTER)? })
    }

    /// Forgets the flows of a protocol to one of these ports, and those that were translated to one of these
    /// addresses. Answers how many.
    pub fn forget(&mut self, protocol: u8, ports: &[u16], translated_to: &[IpAddr]) -> Result<usize> {
        let mut gone = 0;
        for family in [abi::AF_INET, abi::AF_INET6] {
            let request = message(IPCTNL_MSG_CT_GET, family);
            let flows = self.socket.query(request, abi::NLM_F_DUMP, "list tracked flows")?;
            for flow in &flows {
                let Some(original) = flow.attributes(4).find_kind(CTA_TUPLE_ORIG) else { continue };
                let reply = flow.attributes(4).find_kind(CTA_TUPLE_REPLY).map(tuple);
                let there = tuple(original);
                let moved =
                    reply.and_then(|reply| reply.source).is_some_and(|from| translated_to.contains(&from));
                if there.protocol != protocol || !(ports.contains(&there.destination_port) || moved) {
                    continue;
                }
                let mut delete = message(IPCTNL_MSG_CT_DELETE, family);
                delete.bytes(CTA_TUPLE_ORIG | 0x8000, original);
                match self.socket.transact(vec![(delete, "forget a tracked flow".to_owned())]) {
                    Ok(()) => gone += 1,
                    Err(error) if error.is_missing() => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(gone)
    }
}

fn message(kind: u16, family: u8) -> Message {
    Message::new((abi::NFNL_SUBSYS_CTNETLINK << 8) | kind, 0, &[family, 0, 0, 0])
}

fn tuple(raw: &[u8]) -> Tuple {
    let ip = Attributes::of(raw).find_kind(CTA_TUPLE_IP).unwrap_or_default();
    let proto = Attributes::of(raw).find_kind(CTA_TUPLE_PROTO).unwrap_or_default();
    // CTA_IP_V4_SRC = 1, CTA_IP_V6_SRC = 3; CTA_PROTO_NUM = 1, CTA_PROTO_DST_PORT = 3.
    let source =
        Attributes::of(ip).find(|(kind, _)| matches!(kind, 1 | 3)).and_then(|(_, value)| address(value));
    let port =
        Attributes::of(proto).find_kind(3).and_then(|raw| raw.try_into().ok()).map_or(0, u16::from_be_bytes);
    let protocol = Attributes::of(proto).find_kind(1).and_then(|raw| raw.first().copied()).unwrap_or(0);
    Tuple { source, protocol, destination_port: port }
}
