//! Addresses of links.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NlaBuffer, Parseable};
use netlink_packet_route::address::{
    AddressAttribute, AddressHeader, AddressHeaderFlags, AddressMessage, AddressMessageBuffer, AddressScope,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::{Route, encode};
use crate::error::Result;
use crate::message::Reply;
use crate::socket::Described;

/// `IFA_ADDRESS` and `IFA_LOCAL`, in rtnetlink(7).
const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;

/// An address on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The link's index.
    pub link: u32,
    /// The address with its prefix length.
    pub net: IpNet,
}

impl Route {
    /// Adds addresses to a link in one system call, usable at once (no duplicate detection for v6).
    ///
    /// # Errors
    /// `is_exists` when one exists already (the others are added).
    pub fn add_addresses(&mut self, link: u32, nets: &[IpNet]) -> Result<()> {
        self.send(nets.iter().map(|net| add(link, net)).collect())
    }

    /// Removes addresses from a link in one system call.
    pub fn delete_addresses(&mut self, link: u32, nets: &[IpNet]) -> Result<()> {
        let request = |net: &IpNet| {
            let request = RouteNetlinkMessage::DelAddress(message(link, *net));
            (encode(&request, 0), format!("remove address {net} from link {link}"))
        };
        self.send(nets.iter().map(request).collect())
    }

    /// All addresses of the namespace.
    pub fn addresses(&mut self) -> Result<Vec<Address>> {
        let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        let replies = self.socket.query(encode(&request, 0), NLM_F_DUMP, "list addresses")?;
        Ok(replies.iter().filter_map(parse).collect())
    }
}

pub(super) fn add(link: u32, net: &IpNet) -> Described {
    let mut message = message(link, *net);
    if let IpNet::V4(v4) = net
        && v4.prefix_len() < 31
    {
        message.attributes.push(AddressAttribute::Broadcast(v4.broadcast()));
    }
    let request = RouteNetlinkMessage::NewAddress(message);
    (encode(&request, NLM_F_CREATE | NLM_F_EXCL), format!("add address {net} to link {link}"))
}

fn message(link: u32, net: IpNet) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header = AddressHeader { prefix_len: net.prefix_len(), index: link, ..AddressHeader::default() };
    match net.addr() {
        IpAddr::V4(_) => message.header.family = AddressFamily::Inet,
        IpAddr::V6(_) => {
            message.header.family = AddressFamily::Inet6;
            message.header.flags = AddressHeaderFlags::Nodad;
        }
    }
    if net.addr() == IpAddr::V4(Ipv4Addr::LOCALHOST) {
        message.header.scope = AddressScope::Host;
    }
    message.attributes = vec![AddressAttribute::Local(net.addr()), AddressAttribute::Address(net.addr())];
    message
}

pub(super) fn parse(reply: &Reply) -> Option<Address> {
    let body = AddressMessageBuffer::new_checked(reply.body.as_slice()).ok()?;
    let (mut local, mut address) = (None, None);
    // The library trusts the kernel's lengths of the other attributes.
    let read = |attribute: &NlaBuffer<_>| [ADDRESS, LOCAL].contains(&attribute.kind());
    for attribute in body.attributes().map_while(|attribute| attribute.ok()).filter(read) {
        match AddressAttribute::parse(&attribute) {
            Ok(AddressAttribute::Local(found)) => local = Some(found),
            Ok(AddressAttribute::Address(found)) => address = Some(found),
            _ => {}
        }
    }
    // A point-to-point v4 address has the own address as the local one; v6 has no local one.
    Some(Address { link: body.index(), net: IpNet::new(local.or(address)?, body.prefix_len()).ok()? })
}
