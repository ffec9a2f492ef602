//! rtnetlink: links, addresses and routes of the namespace that the socket was opened in.
//!
//! Requests are messages of `netlink-packet-route`. Replies are parsed attribute by attribute with the same library,
//! not as whole messages: where it cannot parse an attribute of a newer kernel, only that attribute is lost, and not
//! the link.

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

/// A rtnetlink socket. It carries one request at a time: keep it behind a lock or on one thread.
#[derive(Debug)]
pub struct Route {
    socket: Socket,
}

impl Route {
    /// Opens a socket in the calling thread's network namespace.
    pub fn open() -> Result<Self> {
        Ok(Route { socket: Socket::open(abi::NETLINK_ROUTE)? })
    }

    /// Sends requests in one system call. Returns the first failure; the other requests are carried out.
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

/// Parses a reply as every kind of object.
pub(crate) fn read(reply: &Reply) {
    drop((link::parse(reply), address::parse(reply), table::parse(reply)));
}
