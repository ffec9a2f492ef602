//! rtnetlink: links, addresses and routes of the namespace that the socket was opened in.
//!
//! Requests are the messages of `netlink-packet-route`. Answers are read attribute by attribute with the same library,
//! never as whole messages: an attribute of a newer kernel that it cannot read hides itself, not the link it is on.

mod address;
mod link;
mod table;

use netlink_packet_core::Emitable;
use netlink_packet_route::RouteNetlinkMessage;

use crate::abi;
use crate::error::Result;
use crate::message::{Message, Reply};
use crate::socket::{Described, Socket};

pub use address::Address;
pub use link::{Link, Port, Veth, check_name};
pub use table::RouteEntry;

/// A conversation with rtnetlink. One request at a time: keep it behind a lock or on one thread.
#[derive(Debug)]
pub struct Route {
    socket: Socket,
}

impl Route {
    /// Opens a socket in the calling thread's network namespace.
    pub fn open() -> Result<Self> {
        Ok(Route { socket: Socket::open(abi::NETLINK_ROUTE)? })
    }

    /// Sends prepared requests in one system call; the first failure is returned, the others are carried out.
    fn send(&mut self, requests: Vec<Described>) -> Result<()> {
        if requests.is_empty() {
            return Ok(());
        }
        self.socket.transact(requests)
    }
}

/// The bytes of a request.
fn encode(request: &RouteNetlinkMessage, flags: u16) -> Message {
    let mut body = vec![0; request.buffer_len()];
    request.emit(&mut body);
    Message::new(request.message_type(), flags, &body)
}

/// Reads a reply as each of what one may be.
pub(crate) fn read(reply: &Reply) {
    drop((link::parse(reply), address::parse(reply), table::parse(reply)));
}
