//! The connection tracker: forgetting flows whose translation is out of date.
//!
//! A UDP flow from one client port to one published port never ends as long as the client goes on sending: after
//! the port has moved to another container, the old translation must go, or the packets go to nobody.

use crate::abi;
use crate::error::Result;
use crate::message::{Attributes, Message, Reply};
use crate::socket::Socket;

const IPCTNL_MSG_CT_GET: u16 = 1;
const IPCTNL_MSG_CT_DELETE: u16 = 2;
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;

/// A conversation with the connection tracker of one namespace.
#[derive(Debug)]
pub struct Conntrack {
    socket: Socket,
}

/// One direction of a flow, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tuple {
    protocol: u8,
    destination_port: u16,
}

impl Conntrack {
    /// Opens a socket in the calling thread's network namespace.
    pub fn open() -> Result<Self> {
        Ok(Conntrack { socket: Socket::open(abi::NETLINK_NETFILTER)? })
    }

    /// Forgets the flows of a protocol to one of these ports. Answers how many.
    pub fn forget(&mut self, protocol: u8, ports: &[u16]) -> Result<usize> {
        let mut gone = 0;
        for family in [abi::AF_INET, abi::AF_INET6] {
            // There may be hundreds of thousands of others.
            let ours = |flow: &Reply| {
                let there = flow.attributes(4).find_kind(CTA_TUPLE_ORIG).map(tuple);
                there.is_some_and(|it| it.protocol == protocol && ports.contains(&it.destination_port))
            };
            let request = message(IPCTNL_MSG_CT_GET, family);
            for flow in self.socket.query_where(request, abi::NLM_F_DUMP, "list tracked flows", ours)? {
                let Some(original) = flow.attributes(4).find_kind(CTA_TUPLE_ORIG) else { continue };
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
    let proto = Attributes::of(raw).find_kind(CTA_TUPLE_PROTO).unwrap_or_default();
    // CTA_PROTO_NUM = 1, CTA_PROTO_DST_PORT = 3.
    let port =
        Attributes::of(proto).find_kind(3).and_then(|raw| raw.try_into().ok()).map_or(0, u16::from_be_bytes);
    let protocol = Attributes::of(proto).find_kind(1).and_then(|raw| raw.first().copied()).unwrap_or(0);
    Tuple { protocol, destination_port: port }
}

/// Reads a reply as a flow.
pub(crate) fn read(reply: &Reply) {
    let _ = reply.attributes(4).find_kind(CTA_TUPLE_ORIG).map(tuple);
}
