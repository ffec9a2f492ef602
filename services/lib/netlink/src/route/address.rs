//! Addresses of links.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::Route;
use crate::abi::*;
use crate::error::Result;
use crate::message::{Message, address, u32_of};
use crate::socket::Described;

/// An address on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The link's index.
    pub link: u32,
    /// The address with its prefix.
    pub net: IpNet,
}

impl Route {
    /// Adds addresses to a link in one system call, ready at once (no duplicate detection for v6).
    ///
    /// # Errors
    /// `is_exists` when one is there already (the others are added).
    pub fn add_addresses(&mut self, link: u32, nets: &[IpNet]) -> Result<()> {
        self.send(nets.iter().map(|net| add(link, net)).collect())
    }

    /// Removes addresses from a link in one system call.
    pub fn delete_addresses(&mut self, link: u32, nets: &[IpNet]) -> Result<()> {
        let request = |net: &IpNet| {
            (request(RTM_DELADDR, 0, link, *net), format!("remove address {net} from link {link}"))
        };
        self.send(nets.iter().map(request).collect())
    }

    /// All addresses of the namespace.
    pub fn addresses(&mut self) -> Result<Vec<Address>> {
        let message = Message::new(RTM_GETADDR, 0, &[0; 8]);
        let replies = self.socket.query(message, NLM_F_DUMP, "list addresses")?;
        let parse = |reply: &crate::message::Reply| {
            let prefix = *reply.body.get(1)?;
            let link = u32_of(reply.body.get(4..)?)?;
            // A peer-to-peer v4 address has its own end in IFA_LOCAL; v6 only has IFA_ADDRESS.
            let attributes = reply.attributes(8);
            let raw =
                attributes.clone().find_kind(IFA_LOCAL).or_else(|| attributes.find_kind(IFA_ADDRESS))?;
            Some(Address { link, net: IpNet::new(address(raw)?, prefix).ok()? })
        };
        Ok(replies.iter().filter_map(parse).collect())
    }
}

pub(super) fn add(link: u32, net: &IpNet) -> Described {
    let mut message = request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, link, *net);
    if let IpNet::V4(v4) = net
        && v4.prefix_len() < 31
    {
        message.ip(IFA_BROADCAST, IpAddr::from(v4.broadcast()));
    }
    (message, format!("add address {net} to link {link}"))
}

fn request(kind: u16, flags: u16, link: u32, net: IpNet) -> Message {
    let mut fixed = [0; 8];
    fixed[0] = if net.addr().is_ipv4() { AF_INET } else { AF_INET6 };
    fixed[1] = net.prefix_len();
    if net.addr().is_ipv6() {
        fixed[2] = IFA_F_NODAD;
    }
    if net.addr() == IpAddr::V4(Ipv4Addr::LOCALHOST) {
        fixed[3] = 254; // RT_SCOPE_HOST
    }
    fixed[4..8].copy_from_slice(&link.to_ne_bytes());
    let mut message = Message::new(kind, flags, &fixed);
    message.ip(IFA_LOCAL, net.addr()).ip(IFA_ADDRESS, net.addr());
    message
}
