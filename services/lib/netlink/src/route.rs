//! rtnetlink: links, addresses and routes of the namespace that the socket was opened in.

mod address;
mod link;
mod table;

use crate::abi;
use crate::error::Result;
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

/// `struct ifinfomsg`.
fn ifinfomsg(index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut raw = [0; 16];
    raw[4..8].copy_from_slice(&index.to_ne_bytes());
    raw[8..12].copy_from_slice(&flags.to_ne_bytes());
    raw[12..16].copy_from_slice(&change.to_ne_bytes());
    raw
}
