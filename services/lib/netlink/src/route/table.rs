//! Routes of the main table.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use netlink_packet_core::{
    NLM_F_CREATE, NLM_F_DUMP, NLM_F_REPLACE, NlaBuffer, Parseable, ParseableParametrized,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteLwEnCapType, RouteMessage, RouteMessageBuffer,
    RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::{Route, encode};
use crate::error::Result;
use crate::message::Reply;
use crate::socket::Described;

/// `RTA_DST`, `RTA_OIF`, `RTA_GATEWAY` and `RTA_TABLE`, in rtnetlink(7).
const READ: [u16; 4] = [1, 4, 5, 15];
/// The kernel's default priority of IPv6 routes.
const PRIORITY_V6: u32 = 1024;

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteEntry {
    /// The destination: `0.0.0.0/0` or `::/0` for a default route.
    pub destination: IpNet,
    /// The next hop; `None` when the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// The link's index.
    pub link: Option<u32>,
}

impl Route {
    /// Adds a route, or replaces the one to the same destination.
    pub fn replace_routes(&mut self, entries: &[RouteEntry]) -> Result<()> {
        self.send(entries.iter().map(replace).collect())
    }

    /// Deletes a route.
    pub fn delete_route(&mut self, entry: &RouteEntry) -> Result<()> {
        let request = RouteNetlinkMessage::DelRoute(message(entry));
        self.send(vec![(encode(&request, 0), format!("delete route to {}", entry.destination))])
    }

    /// The routes of the main table, both families.
    pub fn routes(&mut self) -> Result<Vec<RouteEntry>> {
        let request = RouteNetlinkMessage::GetRoute(RouteMessage::default());
        let replies = self.socket.query(encode(&request, 0), NLM_F_DUMP, "list routes")?;
        Ok(replies.iter().filter_map(parse).collect())
    }
}

pub(super) fn replace(entry: &RouteEntry) -> Described {
    let request = RouteNetlinkMessage::NewRoute(message(entry));
    (encode(&request, NLM_F_CREATE | NLM_F_REPLACE), format!("add route to {}", entry.destination))
}

fn message(entry: &RouteEntry) -> RouteMessage {
    let destination = entry.destination;
    let v4 = destination.addr().is_ipv4();
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: if v4 { AddressFamily::Inet } else { AddressFamily::Inet6 },
        destination_prefix_length: destination.prefix_len(),
        table: RouteHeader::RT_TABLE_MAIN,
        protocol: RouteProtocol::Static,
        scope: if entry.gateway.is_some() { RouteScope::Universe } else { RouteScope::Link },
        kind: RouteType::Unicast,
        ..RouteHeader::default()
    };
    if destination.prefix_len() > 0 {
        message.attributes.push(RouteAttribute::Destination(destination.network().into()));
    }
    message.attributes.extend(entry.gateway.map(|gateway| RouteAttribute::Gateway(gateway.into())));
    message.attributes.extend(entry.link.map(RouteAttribute::Oif));
    if !v4 {
        message.attributes.push(RouteAttribute::Priority(PRIORITY_V6));
    }
    message
}

pub(super) fn parse(reply: &Reply) -> Option<RouteEntry> {
    let body = RouteMessageBuffer::new_checked(reply.body.as_slice()).ok()?;
    let header = RouteHeader::parse(&body).ok()?;
    let any = match header.address_family {
        AddressFamily::Inet => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        AddressFamily::Inet6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
    let (mut table, mut destination, mut gateway, mut link) = (u32::from(header.table), any, None, None);
    // The library panics at some of the others when they are too short.
    let read = |attribute: &NlaBuffer<&[u8]>| READ.contains(&attribute.kind());
    for attribute in body.attributes().map_while(|attribute| attribute.ok()).filter(read) {
        let context = (header.address_family, header.kind, RouteLwEnCapType::None);
        match RouteAttribute::parse_with_param(&attribute, context) {
            Ok(RouteAttribute::Table(found)) => table = found,
            Ok(RouteAttribute::Destination(found)) => destination = address(found)?,
            Ok(RouteAttribute::Gateway(found)) => gateway = address(found),
            Ok(RouteAttribute::Oif(found)) => link = Some(found),
            _ => {}
        }
    }
    let destination = IpNet::new(destination, header.destination_prefix_length).ok()?;
    let ours = table == u32::from(RouteHeader::RT_TABLE_MAIN) && header.kind == RouteType::Unicast;
    ours.then_some(RouteEntry { destination, gateway, link })
}

fn address(address: RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(v4) => Some(IpAddr::V4(v4)),
        RouteAddress::Inet6(v6) => Some(IpAddr::V6(v6)),
        _ => None,
    }
}
