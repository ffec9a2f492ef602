//! The connection tracker: forgets flows whose translation is out of date.
//!
//! A UDP flow from a client's port to a published port lasts as long as the client sends. When the published port
//! belongs to another container, the old translation must go, or the packets go nowhere.

use crate::abi;
use crate::error::Result;
use crate::message::{Attributes, Message, Reply};
use crate::socket::Socket;

const IPCTNL_MSG_CT_GET: u16 = 1;
const IPCTNL_MSG_CT_DELETE: u16 = 2;
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;

/// A socket to the connection tracker of one network namespace.
#[derive(Debug)]
pub struct Conntrack {
    socket: Socket,
}

/// The fields of one direction of a flow that are used here.
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

    /// Deletes the flows of a protocol to one of these ports. Returns how many.
    pub fn forget(&mut self, protocol: u8, ports: &[u16]) -> Result<usize> {
        let mut gone = 0;
        for family in [abi::AF_INET, abi::AF_INET6] {
            // There may be hundreds of thousands of other flows.
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

/// Parses a reply as a flow.
pub(crate) fn read(reply: &Reply) {
    let _ = reply.attributes(4).find_kind(CTA_TUPLE_ORIG).map(tuple);
}
