//! Routes of the main table.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Route;
use crate::abi::*;
use crate::error::Result;
use crate::message::{Message, address, u32_of};
use crate::socket::Described;

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteEntry {
    /// Where it leads: `0.0.0.0/0` or `::/0` for the default route.
    pub destination: IpNet,
    /// The next hop; none when the destination is on the link.
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
        let message = request(RTM_DELROUTE, 0, entry);
        self.send(vec![(message, format!("delete route to {}", entry.destination))])
    }

    /// The routes of the main table, both families.
    pub fn routes(&mut self) -> Result<Vec<RouteEntry>> {
        let message = Message::new(RTM_GETROUTE, 0, &[AF_UNSPEC, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let replies = self.socket.query(message, NLM_F_DUMP, "list routes")?;
        let parse = |reply: &crate::message::Reply| {
            let family = *reply.body.first()?;
            let prefix = *reply.body.get(1)?;
            let attributes = reply.attributes(12);
            let table = attributes.clone().find_kind(RTA_TABLE).and_then(u32_of);
            let kind = *reply.body.get(7)?;
            if table.unwrap_or(u32::from(*reply.body.get(4)?)) != u32::from(RT_TABLE_MAIN)
                || kind != RTN_UNICAST
            {
                return None;
            }
            let any = || match family {
                AF_INET => Some(IpAddr::from([0u8; 4])),
                AF_INET6 => Some(IpAddr::from([0u8; 16])),
                _ => None,
            };
            let to = attributes.clone().find_kind(RTA_DST).and_then(address).or_else(any)?;
            Some(RouteEntry {
                destination: IpNet::new(to, prefix).ok()?,
                gateway: attributes.clone().find_kind(RTA_GATEWAY).and_then(address),
                link: attributes.find_kind(RTA_OIF).and_then(u32_of),
            })
        };
        Ok(replies.iter().filter_map(parse).collect())
    }
}

pub(super) fn replace(entry: &RouteEntry) -> Described {
    let message = request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, entry);
    (message, format!("add route to {}", entry.destination))
}

fn request(kind: u16, flags: u16, entry: &RouteEntry) -> Message {
    let mut fixed = [0; 12];
    fixed[0] = if entry.destination.addr().is_ipv4() { AF_INET } else { AF_INET6 };
    fixed[1] = entry.destination.prefix_len();
    fixed[4] = RT_TABLE_MAIN;
    fixed[5] = RTPROT_STATIC;
    fixed[6] = if entry.gateway.is_some() { RT_SCOPE_UNIVERSE } else { RT_SCOPE_LINK };
    fixed[7] = RTN_UNICAST;
    let mut message = Message::new(kind, flags, &fixed);
    if entry.destination.prefix_len() > 0 {
        message.ip(RTA_DST, entry.destination.network());
    }
    if let Some(gateway) = entry.gateway {
        message.ip(RTA_GATEWAY, gateway);
    }
    if let Some(link) = entry.link {
        message.u32(RTA_OIF, link);
    }
    if entry.destination.addr().is_ipv6() {
        message.u32(RTA_PRIORITY, 1024);
    }
    message
}
